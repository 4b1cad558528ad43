"""What the linker fills into code, as tables."""

import numpy as np

from liveso.elf.tables import Table

FIELD = np.dtype([("place", "<u8"), ("target", "<i8")])
"""A place in code that the linker fills in, by its address, and the address that it leads to; NOWHERE where it leads to
nothing by itself."""

NOWHERE = -1


def displacements(code: bytes) -> Table:
    """The four bytes at every offset of `code`, as a number with sign: a view of them, which is not aligned."""
    count = max(0, len(code) - 3)
    return np.ndarray(count, "<i4", code if count else b"", strides=(1,))
