"""Where the functions of a version are known: the home of each is its address in the first version that had it."""

import base64
import zlib
from functools import lru_cache

import numpy as np

from liveso.elf.tables import Table

HOME = np.dtype([("at", "<u4"), ("home", "<u8"), ("place", "<u8")])
"""A function `at` an address of its version, relative to the load address; the address in the target that it is known
by; and the address of the jump there that leads to the version that runs."""

OVERWRITTEN = np.dtype([("place", "<u4"), ("content", "u1", (8,))])
"""What a jump took the place of, by its address relative to the load address. A jump may be shorter."""

_LARGEST = 64 << 20  # bytes of a table
_CACHED = 64  # tables


def pack(rows: Table) -> str:
    """A table in text, column by column, which compresses well: a target remembers those of each of its versions."""
    if not len(rows):
        return ""
    columns = (np.ascontiguousarray(rows[name]).tobytes() for name in rows.dtype.names or ())
    return base64.b85encode(zlib.compress(b"".join(columns))).decode()


@lru_cache(_CACHED)
def homes_of_functions(packed: str) -> Table:
    """The HOME rows in `packed`. Raises ValueError for what `pack` did not make, as `overwritten_bytes` does."""
    return _unpack(packed, HOME)


@lru_cache(_CACHED)
def overwritten_bytes(packed: str) -> Table:
    """The OVERWRITTEN rows in `packed`."""
    return _unpack(packed, OVERWRITTEN)


def _unpack(packed: str, dtype: "np.dtype[np.void]") -> Table:
    if not packed:
        return np.zeros(0, dtype)
    try:
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b85decode(packed), _LARGEST)
    except zlib.error as error:
        raise ValueError("not a table of functions") from error
    if not unpacking.eof or len(content) % dtype.itemsize:
        raise ValueError("not a table of functions")
    rows, at = np.zeros(len(content) // dtype.itemsize, dtype), 0
    for name in dtype.names or ():
        column = rows[name]
        size = column.nbytes
        rows[name] = np.frombuffer(content, column.dtype, column.size, at).reshape(column.shape)
        at += size
    return rows
