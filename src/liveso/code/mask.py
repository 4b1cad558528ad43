"""What the linker fills into code, as tables."""

from collections.abc import Callable, Iterator

import numpy as np

from liveso.elf.tables import Table

FIELD = np.dtype([("place", "<u8"), ("target", "<i8")])
"""A place in code that the linker fills in, by its address, and the address that it leads to; NOWHERE where it leads to
nothing by itself."""

NOWHERE = -1

_FARTHEST = 2048  # instructions between the two of a pair

OfRegisters = Callable[[Table, Table], Table]
"""Tells of instructions, by their numbers, whether each does something with the register beside it."""


def low_parts(
    owner: Table, pages: Table, bases: Table, register: Table, uses: OfRegisters, writes: OfRegisters
) -> Iterator[tuple[Table, Table]]:
    """The instructions that may add the low part to a page, with that page, one of `bases`: those behind the ones that
    leave it in `register`, `pages`, in the order of the addresses, that use it before it is written again. All are
    followed at once, as far as the function, one of `owner`, goes."""
    for distance in range(1, _FARTHEST):
        at = pages + distance
        going = at < len(owner)
        pages, bases, register, at = pages[going], bases[going], register[going], at[going]
        going = owner[at] == owner[pages]
        pages, bases, register, at = pages[going], bases[going], register[going], at[going]
        if not len(at):
            return
        used = uses(at, register)
        if used.any():
            yield at[used], bases[used]
        going = ~writes(at, register)
        pages, bases, register = pages[going], bases[going], register[going]


def displacements(code: bytes) -> Table:
    """The four bytes at every offset of `code`, as a number with sign: a view of them, which is not aligned."""
    count = max(0, len(code) - 3)
    return np.ndarray(count, "<i4", code if count else b"", strides=(1,))
