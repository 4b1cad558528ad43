"""The new version's own copy of the data, for code in which a reference may have been missed."""

import numpy as np

from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.plan.record import Homes
from liveso.process import Agent
from liveso.process.protocol import WORD


async def values_of_the_moment(agent: Agent, new: Image, base: int, homes: Homes) -> Table:
    """The words to store so that the data of `new`, loaded at `base`, equals what its variables hold in their `homes`:
    whoever still reads it there finds what was set once at the start (the processor's capabilities)."""
    start, word = base + data_layout(new).span.start, new.machine.word
    ranges = []
    for it in homes:
        own = start + it.start
        skipped = -own % word
        size = max(0, it.end - it.start - skipped) // word * word
        if size and it.address != own:
            ranges.append((own + skipped, it.address + skipped, size))
    contents = await agent.read([(place, size) for own, home, size in ranges for place in (own, home)])
    found = [np.zeros(0, WORD)]
    for (own, _home, _size), mine, theirs in zip(ranges, contents[::2], contents[1::2], strict=True):
        before, live = np.frombuffer(mine, f"<u{word}"), np.frombuffer(theirs, f"<u{word}")
        differing = np.flatnonzero(before != live)
        words = np.zeros(len(differing), WORD)
        words["address"] = own + differing * word
        words["expected"] = before[differing]
        words["value"] = live[differing]
        found.append(words)
    return np.concatenate(found)
