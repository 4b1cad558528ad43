"""The new version's own copy of the data, for code in which a reference may have been missed: whoever still reads it
there finds what was set once at the start (the processor's capabilities)."""

from collections.abc import Sequence

import numpy as np

from liveso.elf.tables import Table
from liveso.plan.address_map import AddressMap
from liveso.process.pages import Pages
from liveso.process.protocol import WORD


def copied_ranges(loaded: AddressMap, word: int) -> list[tuple[int, int, int]]:
    """The whole words of a version's variables that live elsewhere: the address of its own copy, that of their home,
    and the size in bytes."""
    found = []
    for it in loaded.parts(loaded.variables.start, loaded.variables.stop):
        own = loaded.own(it.start)
        skipped = -own % word
        size = max(0, it.end - it.start - skipped) // word * word
        if size and it.home != own:
            found.append((own + skipped, it.home + skipped, size))
    return found


def values_of_the_moment(ranges: Sequence[tuple[int, int, int]], pages: Pages, word: int) -> Table:
    """The words to store so that each copy equals what the variables hold."""
    found = [np.zeros(0, WORD)]
    for own, home, size in ranges:
        before, live = (
            np.frombuffer(pages.between(at, at + size).tobytes(), f"<u{word}").astype("<u8") for at in (own, home)
        )
        differing = np.flatnonzero(before != live)
        words = np.zeros(len(differing), WORD)
        words["address"] = own + differing * word
        words["expected"] = before[differing]
        words["value"] = live[differing]
        found.append(words)
    return np.concatenate(found)
