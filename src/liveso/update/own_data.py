"""The new version's own copy of the data, for code in which a reference may have been missed."""

import numpy as np

from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.target import Agent
from liveso.target.protocol import WORD


async def values_of_the_moment(agent: Agent, new: Image, base: int, home: Image, home_base: int) -> Table:
    """The words to store so that the data of `new`, loaded at `base`, equals its home's: whoever still reads it there
    finds what was set once at the start (the processor's capabilities). Both data spans have the same size."""
    span = data_layout(new).span
    start = home_base + data_layout(home).span.start
    skipped = -(base + span.start) % new.machine.word
    size = max(0, len(span) - skipped) // new.machine.word * new.machine.word
    if not size:
        return np.zeros(0, WORD)
    own, live = (
        np.frombuffer(content, f"<u{new.machine.word}")
        for content in await agent.read([(base + span.start + skipped, size), (start + skipped, size)])
    )
    differing = np.flatnonzero(own != live)
    words = np.zeros(len(differing), WORD)
    words["address"] = base + span.start + skipped + differing * new.machine.word
    words["expected"] = own[differing]
    words["value"] = live[differing]
    return words
