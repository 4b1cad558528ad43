"""Tables in text, as a target remembers them of each of its versions."""

import base64
import zlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from liveso.elf.tables import Table

HOME = np.dtype([("at", "<u4"), ("home", "<u8"), ("place", "<u8")])
"""A function `at` an address of its version, relative to the load address; the address in the target that it is known
by; and the address of the jump there that leads to the version that runs."""

OVERWRITTEN = np.dtype([("place", "<u4"), ("content", "u1", (8,))])
"""What a jump took the place of, by its address relative to the load address. A jump may be shorter."""

STRETCH = np.dtype([("start", "<u8"), ("end", "<u8"), ("home", "<u8")])
"""What lies together in a version and at home: from `start` to `end` of the image, at the address `home`."""

_LARGEST = 16 << 20  # bytes of a table: 800,000 functions
_CACHED = 32  # tables


def pack(rows: Table) -> str:
    """A table in text, column by column, which compresses well."""
    if not len(rows):
        return ""
    columns = (np.ascontiguousarray(rows[name]).tobytes() for name in rows.dtype.names or ())
    return base64.b85encode(zlib.compress(b"".join(columns))).decode()


def pack_stretches(stretches: Iterable[tuple[int, int, int]]) -> str:
    """Stretches in any order, of which those that go on where another ends become one."""
    found: list[tuple[int, int, int]] = []
    for start, end, home in sorted(stretches):
        if found and found[-1][1] == start and found[-1][2] - found[-1][0] == home - start:
            start, _end, home = found.pop()
        found.append((start, end, home))
    return pack(np.array(found, STRETCH))


@lru_cache(_CACHED)
def unpacked(packed: str, dtype: "np.dtype[np.void]") -> Table:
    """The rows in `packed`. Raises ValueError for what `pack` did not make."""
    if not packed:
        return np.zeros(0, dtype)
    try:
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b85decode(packed), _LARGEST)
    except zlib.error as error:
        raise ValueError("not a table") from error
    if not unpacking.eof or len(content) % dtype.itemsize:
        raise ValueError("not a table")
    rows, at = np.zeros(len(content) // dtype.itemsize, dtype), 0
    for name in dtype.names or ():
        column = rows[name]
        size = column.nbytes
        rows[name] = np.frombuffer(content, column.dtype, column.size, at).reshape(column.shape)
        at += size
    return rows
