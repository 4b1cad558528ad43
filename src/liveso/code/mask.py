"""What the linker fills into code, as tables."""

import numpy as np

from liveso.elf.tables import Table

FIELD = np.dtype([("place", "<u8"), ("target", "<i8")])
"""A place in code that the linker fills in, by its address, and the address that it leads to; NOWHERE where it leads to
nothing by itself."""

NOWHERE = -1


def displacements(code: bytes) -> Table:
    """The four bytes at every offset of `code`, as a number with sign."""
    content = np.frombuffer(code, np.uint8)
    count = max(0, len(content) - 3)
    numbers = np.zeros(count, "<u4")
    for byte in range(4):
        numbers |= content[byte : byte + count].astype("<u4") << np.uint32(8 * byte)
    return numbers.view("<i4")
