"""What lies on a stack, where its frames cannot be told."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from liveso.elf.tables import Table
from liveso.process.memory import Memory, Unreadable
from liveso.process.memory_map import Mapping

_MOST_STACK = 8 << 20  # bytes of one thread that are looked at
_WORD = 8


def stack_words(memory: Memory, mappings: Sequence[Mapping], stack: int, end: int = 1 << 63) -> Table | None:
    """The words from a stack pointer on to an end, or to that of what is mapped there; None where they are not to be
    told."""
    start = -(-stack // _WORD) * _WORD
    index = bisect_right(mappings, start, key=lambda it: it.start) - 1
    size = min(mappings[index].end, end) - start if index >= 0 else 0
    if not 0 < size <= _MOST_STACK:
        return None
    with suppress(Unreadable):
        content = memory.fresh(start, size)
        return np.frombuffer(content[: len(content) // _WORD * _WORD], "<u8")
    return None


def lie_inside(words: Table, code: range) -> Table:
    """Which words could be an address in code, or one that a call at its end returns to."""
    inside: Table = (words >= code.start) & (words <= code.stop)
    return inside
