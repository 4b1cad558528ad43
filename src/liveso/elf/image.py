"""The image of a version: one ELF shared library, as `liveso.elf.reading` reads it from its bytes."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np

from liveso.elf import tables
from liveso.elf.tables import Table
from liveso.errors import ImageError
from liveso.machine import Machine


@dataclass(frozen=True, slots=True)
class Section:
    """A section header (gABI, "Sections"). Addresses and sizes in bytes, addresses relative to the load address; `type`
    is the SHT_ number."""

    name: str
    address: int
    offset: int
    size: int
    flags: int
    type: int
    align: int

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def is_allocated(self) -> bool:
        return bool(self.flags & tables.SHF_ALLOC)

    @property
    def is_writable(self) -> bool:
        return bool(self.flags & tables.SHF_WRITE)

    @property
    def is_code(self) -> bool:
        return self.is_allocated and bool(self.flags & tables.SHF_EXECINSTR)

    @property
    def is_thread_local(self) -> bool:
        return bool(self.flags & tables.SHF_TLS)

    @property
    def has_bytes(self) -> bool:
        return self.type != tables.SHT_NOBITS


@dataclass(frozen=True, slots=True)
class Symbol:
    """An entry of `.dynsym` with its version (gABI, "Symbol Table"; LSB, "Symbol Versioning").

    `version` is empty where there is none; `is_default` is false for `name@VERSION` with a single @.
    """

    index: int
    name: str
    version: str
    is_default: bool
    type: int
    binding: int
    visibility: int
    section: int
    value: int
    size: int

    @property
    def is_defined(self) -> bool:
        return self.section != tables.SHN_UNDEF

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.version

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, eq=False)
class Image:
    """A parsed ELF shared library. All addresses are relative to the load address.

    What `read_image` makes is sound, as liveso.elf.soundness has it: every table, section and function symbol lies
    inside of the memory that the file describes, which is smaller than 2 GiB.
    """

    machine: Machine
    content: bytes
    segments: Table
    segments_offset: int
    sections: tuple[Section, ...]
    dynamic: Table
    dynamic_offset: int
    soname: str
    needed: tuple[str, ...]
    search_path: str
    build_id: str
    symbols: tuple[Symbol, ...]
    relocations: Table
    relocations_offset: tuple[int, ...]
    """The file offset of each relocation, -1 for one that RELR encodes."""

    def __getstate__(self) -> dict[str, Any]:
        return {it.name: getattr(self, it.name) for it in fields(self)}  # without what was made of it

    @cached_property
    def _made_of_it(self) -> dict[Callable[["Image"], Any], Any]:
        return {}

    def section(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.name == name), None)

    def tag(self, tag: int, default: int = 0) -> int:
        """The value of the first dynamic entry with this tag."""
        found = self.dynamic["value"][self.dynamic["tag"] == tag]
        return int(found[0]) if len(found) else default

    def has_tag(self, tag: int) -> bool:
        return bool((self.dynamic["tag"] == tag).any())

    def segment(self, segment_type: int) -> Table | None:
        found = self.segments[self.segments["type"] == segment_type]
        return found[0] if len(found) else None

    @cached_property
    def size_in_memory(self) -> int:
        loads = self.segments[self.segments["type"] == tables.PT_LOAD]
        return int((loads["address"] + loads["memory_size"]).max())

    def are_code(self, addresses: Table) -> Table:
        """Which of many addresses, numbers with sign, lie in sections of code."""
        found = self._code
        at = np.searchsorted(found[:, 0], addresses, side="right")
        inside: Table = (at > 0) & (addresses < np.append(0, found[:, 1])[at])
        return inside

    def is_code(self, address: int) -> bool:
        """Whether an address lies in a section of code."""
        index = bisect_right(self._code_starts, address)
        return index > 0 and address < int(self._code[index - 1, 1])

    @cached_property
    def _code(self) -> Table:
        return np.array(sorted((it.address, it.end) for it in self.sections if it.is_code), "<i8").reshape(-1, 2)

    @cached_property
    def _code_starts(self) -> list[int]:
        starts: list[int] = self._code[:, 0].tolist()
        return starts

    @property
    def block_size(self) -> int:
        """The size of a thread's block of this module (PT_TLS), in bytes."""
        segment = self.segment(tables.PT_TLS)
        return 0 if segment is None else int(segment["memory_size"])

    def string(self, offset: int) -> str:
        """A string of the dynamic string table (DT_STRTAB)."""
        start = self.file_offset(self.tag(tables.DT_STRTAB)) or 0
        return string_at(self.content, offset, range(start, start + self.tag(tables.DT_STRSZ)))

    def file_offset(self, address: int) -> int | None:
        """Where the byte at `address` lies in the file; None for memory that the file does not fill."""
        return self._filled.file_offset(address)

    def bytes_at(self, address: int, size: int) -> bytes:
        """The initial bytes of memory, before relocation; what the file does not fill is zero."""
        offset = self.file_offset(address)
        found = b"" if offset is None else self.content[offset : offset + size]
        return found.ljust(size, b"\0")

    def are_filled(self, start: int, end: int) -> bool:
        """Whether the file has all the bytes from `start` to `end`, in one segment."""
        return self._filled.holds(start, end)

    def word_at(self, address: int) -> int:
        """The word at `address`, before relocation."""
        return int.from_bytes(self.bytes_at(address, self.machine.word), "little")

    def section_bytes(self, section: Section) -> bytes:
        return self.content[section.offset : section.offset + section.size] if section.has_bytes else b""

    def own_value(self, symbol: int) -> int | None:
        """The value that the symbol with this index gives a relocation: 0 where that has none (STN_UNDEF; gABI, "Symbol
        Table"), None where another object defines it."""
        if symbol == 0:
            return 0
        it = self.symbols[symbol]
        return it.value if it.is_defined else None

    @cached_property
    def _filled(self) -> "FilledMemory":
        return FilledMemory(self.segments)

    @cached_property
    def defined(self) -> dict[tuple[str, str], Symbol]:
        """The symbols that this library offers, by name and version."""
        return {symbol.key: symbol for symbol in self.symbols if symbol.is_defined and symbol.name}

    @cached_property
    def by_name(self) -> dict[str, list[Symbol]]:
        """The symbols that this library offers, in all their versions, by name."""
        found: dict[str, list[Symbol]] = {}
        for symbol in self.defined.values():
            found.setdefault(symbol.name, []).append(symbol)
        return found

    def successor_of(self, symbol: Symbol) -> Symbol | None:
        """What the dynamic linker finds here for whoever refers to `symbol` of another version of this library. Who was
        linked with a library without versions takes the only version of a name that is not hidden (ld.so, as dlsym(3)
        does)."""
        found = self.defined.get(symbol.key)
        if found is None and not symbol.version:
            shown = [it for it in self.by_name.get(symbol.name, ()) if it.is_default]
            found = shown[0] if len(shown) == 1 else None
        return found

    @cached_property
    def relro(self) -> range:
        """Addresses that are read-only after relocation."""
        segment = self.segment(tables.PT_GNU_RELRO)
        if segment is None:
            return range(0)
        # ld.so protects whole pages only: up to the last page boundary inside
        start = int(segment["address"])
        return range(start, max(start, (start + int(segment["memory_size"])) & ~0xFFF))


_Found = TypeVar("_Found")


def once_per_image(function: Callable[[Image], _Found]) -> Callable[[Image], _Found]:
    """Let `function` look at each image once. What it found lives as long as the image does, and must stay as it is."""

    @wraps(function)
    def found(image: Image) -> _Found:
        kept = image._made_of_it
        if function not in kept:
            kept[function] = function(image)
        result: _Found = kept[function]
        return result

    return found


class FilledMemory:
    """Which parts of memory the file fills: what PT_LOAD segments, in the order of their addresses, have in it."""

    def __init__(self, segments: Table) -> None:
        loads = segments[segments["type"] == tables.PT_LOAD]
        self._starts: list[int] = loads["address"].tolist()
        self._sizes: list[int] = loads["file_size"].tolist()
        self._offsets: list[int] = loads["offset"].tolist()

    def file_offset(self, address: int) -> int | None:
        """Where the byte at `address` lies in the file; None for memory that the file does not fill."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._starts[index] + self._sizes[index]:
            return None
        return self._offsets[index] + address - self._starts[index]

    def holds(self, start: int, end: int) -> bool:
        """Whether the file has all the bytes from `start` to `end`, in one segment."""
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and start <= end <= self._starts[index] + self._sizes[index]


def string_at(content: bytes, offset: int, table: range) -> str:
    """The string that begins at `offset` of a string table, which lies in `table` of the file. Raises ImageError where
    that is outside."""
    start = table.start + offset
    if start not in table:
        raise ImageError("a name lies outside of the string table")
    end = content.find(b"\0", start, table.stop)
    return content[start : end if end >= 0 else table.stop].decode("utf-8", "replace")
