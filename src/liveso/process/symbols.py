"""The symbols that an object in a process's memory offers to others."""

from collections.abc import Callable

import numpy as np

from liveso.elf import tables
from liveso.errors import TargetError

Read = Callable[[int, int], bytes]
"""Memory of a process, by address and size in bytes; less where it ends before."""

_HEADER = 64  # bytes (gABI, "ELF Header")
_MOST_SEGMENTS = 128
_LARGEST_DYNAMIC = 1 << 16  # bytes
_LARGEST_TABLE = 1 << 24  # bytes


def program_headers(read: Read, start: int) -> np.ndarray:
    """The program headers of the object whose ELF header lies at `start`. Raises TargetError where there is none."""
    header = read(start, _HEADER)
    if len(header) < _HEADER or header[:5] != b"\x7fELF\x02":
        raise TargetError(f"there is no ELF header at {start:#x}")
    place, count = int.from_bytes(header[32:40], "little"), int.from_bytes(header[56:58], "little")
    if not 0 < count <= _MOST_SEGMENTS:
        raise TargetError(f"the ELF header at {start:#x} is damaged")
    content = read(start + place, count * tables.SEGMENT.itemsize)
    if len(content) != count * tables.SEGMENT.itemsize:
        raise TargetError(f"the ELF header at {start:#x} is damaged")
    return np.frombuffer(content, tables.SEGMENT)


def load_address(segments: np.ndarray, start: int) -> int:
    """What is added to the addresses in an object's file, whose ELF header lies at `start`."""
    loads = segments[segments["type"] == tables.PT_LOAD]
    first = loads["address"][loads["offset"] == 0]
    return start - int(first[0]) if len(first) else start


def defined_symbols(read: Read, start: int) -> dict[str, int]:
    """The absolute addresses of the functions and variables of the object whose ELF header lies at `start`, by name.

    The table of symbols has no size (gABI, "Dynamic Section"): every linker puts the strings right behind it. Raises
    TargetError where that is not so.
    """
    segments = program_headers(read, start)
    base = load_address(segments, start)
    dynamic = segments[segments["type"] == tables.PT_DYNAMIC]
    if not len(dynamic) or int(dynamic[0]["memory_size"]) > _LARGEST_DYNAMIC:
        raise TargetError(f"the object at {start:#x} has no dynamic section")
    content = read(base + int(dynamic[0]["address"]), int(dynamic[0]["memory_size"]))
    tags: dict[int, int] = {}
    for tag, value in np.frombuffer(content[: len(content) // 16 * 16], tables.DYNAMIC).tolist():
        tags.setdefault(tag, value)
    symbols, strings = (_absolute(tags.get(it, 0), base) for it in (tables.DT_SYMTAB, tables.DT_STRTAB))
    size, strings_size = strings - symbols, tags.get(tables.DT_STRSZ, 0)
    if not 0 < size <= _LARGEST_TABLE or not 0 < strings_size <= _LARGEST_TABLE:
        raise TargetError(f"the object at {start:#x} has a table of symbols that cannot be read")
    names = read(strings, strings_size)
    table = np.frombuffer(read(symbols, size // tables.SYMBOL.itemsize * tables.SYMBOL.itemsize), tables.SYMBOL)
    found = {}
    for row in table[(table["section"] != 0) & (table["name"] < len(names))]:
        at = int(row["name"])
        found[names[at : names.find(b"\0", at)].decode("utf-8", "replace")] = base + int(row["value"])
    return found


def _absolute(address: int, base: int) -> int:
    """ld.so has made some of the addresses absolute already, in place."""
    return address + base if address < base else address
