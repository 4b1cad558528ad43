"""Symbol versions (LSB, "Symbol Versioning"), read within the bounds of the file.

Both tables are lists of entries, each of which says how far away the next is and how many of a second kind belong to
it. The entries of an undamaged table do not overlap, so there are no more than the file has room for.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from liveso.errors import ImageError

_VERDEF, _VERDAUX = struct.Struct("<HHHHIII"), struct.Struct("<II")
_VERNEED, _VERNAUX = struct.Struct("<HHIII"), struct.Struct("<IHHII")


@dataclass(frozen=True, slots=True)
class NeededVersion:
    """An entry (Elf64_Vernaux) that names a version which another library must have: where it lies in the file, the
    offset of its name in the string table, and the number by which symbols refer to it."""

    offset: int
    name: int
    index: int


@dataclass(frozen=True, slots=True)
class DefinedVersion:
    """A version that the library itself has (Elf64_Verdef): flags, number, and the offset of its name in the string
    table."""

    flags: int
    index: int
    name: int


def defined_versions(content: bytes, start: int, count: int) -> Iterator[DefinedVersion]:
    """The `count` versions of a table at `start` of the file. Raises ImageError where the file ends before them."""
    for offset, (_version, flags, index, _count, _hash, first, _next) in _chain(content, start, count, _VERDEF, 6):
        name, _next = _unpack(_VERDAUX, content, offset + first)
        yield DefinedVersion(flags, index, name)


def needed_versions(content: bytes, start: int, count: int) -> Iterator[NeededVersion]:
    """The versions that are needed from `count` libraries, whose table is at `start` of the file. Raises ImageError
    where the file ends before them."""
    room = len(content) // _VERNAUX.size
    for offset, (_version, number, _file, first, _next) in _chain(content, start, count, _VERNEED, 4):
        for entry, (_hash, _flags, index, name, _next) in _chain(content, offset + first, number, _VERNAUX, 4):
            room -= 1
            if room < 0:
                raise ImageError("its table of needed versions refers to itself")
            yield NeededVersion(entry, name, index)


def _chain(
    content: bytes, start: int, count: int, entry: struct.Struct, distance: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Entries with their places in the file, each of which has, as its part `distance`, how far away the next is; the
    last has 0."""
    offset = start
    for _number in range(count):
        found = _unpack(entry, content, offset)
        yield offset, found
        if not found[distance]:
            return
        if found[distance] < entry.size:
            raise ImageError("the entries of its tables of versions overlap")
        offset += found[distance]


def _unpack(entry: struct.Struct, content: bytes, offset: int) -> tuple[int, ...]:
    if offset + entry.size > len(content):
        raise ImageError("the file ends before its table of versions")
    return entry.unpack_from(content, offset)
