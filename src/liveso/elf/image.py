"""The image of a version: one ELF shared library, read from its bytes."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.sections import NoteSection

from liveso.elf import tables
from liveso.elf.machine import MACHINES, Machine
from liveso.elf.tables import Table
from liveso.errors import ImageError

HIDDEN_VERSION = 0x8000


@dataclass(frozen=True, slots=True)
class Section:
    """A section header (gABI, "Sections"). Addresses and sizes in bytes, addresses relative to the load address."""

    name: str
    address: int
    offset: int
    size: int
    flags: int
    type: str
    align: int

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def is_allocated(self) -> bool:
        return bool(self.flags & 2)

    @property
    def is_writable(self) -> bool:
        return bool(self.flags & 1)

    @property
    def is_code(self) -> bool:
        return bool(self.flags & 4)

    @property
    def is_thread_local(self) -> bool:
        return bool(self.flags & 0x400)

    @property
    def has_bytes(self) -> bool:
        return self.type != "SHT_NOBITS"


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


@dataclass(frozen=True)
class Image:
    """A parsed ELF shared library. All addresses are relative to the load address."""

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

    @property
    def size_in_memory(self) -> int:
        loads = self.segments[self.segments["type"] == tables.PT_LOAD]
        return int((loads["address"] + loads["memory_size"]).max())

    @property
    def block_size(self) -> int:
        """The size of a thread's block of this module (PT_TLS), in bytes."""
        segment = self.segment(tables.PT_TLS)
        return 0 if segment is None else int(segment["memory_size"])

    def string(self, offset: int) -> str:
        """A string of the dynamic string table (DT_STRTAB)."""
        start = self.file_offset(self.tag(tables.DT_STRTAB)) or 0
        return _string(self.content[start : start + self.tag(tables.DT_STRSZ)], offset)

    def file_offset(self, address: int) -> int | None:
        """Where the byte at `address` lies in the file; None for memory that the file does not fill."""
        return _offset_in(self._in_file, address)

    def bytes_at(self, address: int, size: int) -> bytes:
        """The initial bytes of memory, before relocation; what the file does not fill is zero."""
        offset = self.file_offset(address)
        found = b"" if offset is None else self.content[offset : offset + size]
        return found.ljust(size, b"\0")

    def word_at(self, address: int) -> int:
        """The word at `address`, before relocation."""
        return int.from_bytes(self.bytes_at(address, self.machine.word), "little")

    def section_bytes(self, section: Section) -> bytes:
        return self.content[section.offset : section.offset + section.size] if section.has_bytes else b""

    @cached_property
    def _in_file(self) -> list[tuple[int, int, int]]:
        """What the file fills of memory: the start and end of each part, and where it lies in the file."""
        return _parts_in_file(self.segments)

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


def _file_offset(segments: Table, address: int) -> int | None:
    return _offset_in(_parts_in_file(segments), address)


def _offset_in(parts: list[tuple[int, int, int]], address: int) -> int | None:
    for start, end, offset in parts:
        if start <= address < end:
            return offset + address - start
    return None


def _parts_in_file(segments: Table) -> list[tuple[int, int, int]]:
    loads = segments[segments["type"] == tables.PT_LOAD][["address", "file_size", "offset"]]
    return [(start, start + size, offset) for start, size, offset in loads.tolist()]


def _array(content: bytes, dtype: np.dtype[np.void] | str, offset: int, size: int, what: str) -> Table:
    kind = np.dtype(dtype)
    if offset < 0 or size < 0 or offset + size > len(content):
        raise ImageError(f"the file ends before its {what}")
    return np.frombuffer(content, dtype=kind, count=size // kind.itemsize, offset=offset)


def read_image(content: bytes, *, may_be_program: bool = False) -> Image:
    """Parse an ELF shared library, or also a program that is linked to a fixed address (ET_EXEC).

    Raises ImageError where the bytes are not a complete one for a machine that liveso knows.
    """
    try:
        return _read_image(content, may_be_program)
    except ImageError:
        raise
    except (ELFError, ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise ImageError(f"not a readable ELF file ({str(error) or type(error).__name__})") from error
    except Exception as error:  # pyelftools lets errors of its parser through (construct)
        raise ImageError(f"not a readable ELF file ({type(error).__name__})") from error


def _read_image(content: bytes, may_be_program: bool) -> Image:
    if content[:4] != b"\x7fELF":
        raise ImageError("not an ELF file" if content else "the file is empty")
    elf = ELFFile(io.BytesIO(content))
    header = elf.header
    machine = MACHINES.get(_machine_number(content))
    if machine is None or elf.elfclass != machine.word * 8 or not elf.little_endian:
        raise ImageError(f"a file for another machine ({elf.get_machine_arch()}, {elf.elfclass} bit)")
    if header["e_type"] != "ET_DYN" and not (may_be_program and header["e_type"] == "ET_EXEC"):
        raise ImageError("not a shared library (ELF type is not ET_DYN)")
    if header["e_phentsize"] != tables.SEGMENT.itemsize:
        raise ImageError("the program header entries have an unknown size")
    segments_offset = int(header["e_phoff"])
    segments = _array(
        content, tables.SEGMENT, segments_offset, header["e_phnum"] * tables.SEGMENT.itemsize, "program headers"
    )
    for segment in segments:
        if int(segment["offset"]) + int(segment["file_size"]) > len(content):
            raise ImageError("the file ends before its last segment")
    sections = _sections(elf, len(content))
    dynamic, dynamic_offset = _dynamic(content, segments)
    strings = _string_table(content, segments, dynamic)
    values = {int(tag): int(value) for tag, value in dynamic.tolist()[::-1]}
    paths = [int(value) for tag, value in dynamic.tolist() if tag in (15, 29)]  # DT_RPATH, DT_RUNPATH
    relocations, offsets = _relocations(content, segments, values, machine)
    symbols = tuple(_symbols(content, elf, sections, strings))
    if len(relocations) and int(relocations["symbol"].max()) >= max(1, len(symbols)):
        raise ImageError("a relocation refers to a symbol that is not there")
    return Image(
        machine=machine,
        content=content,
        segments=segments,
        segments_offset=segments_offset,
        sections=sections,
        dynamic=dynamic,
        dynamic_offset=dynamic_offset,
        soname=_string(strings, values[tables.DT_SONAME]) if tables.DT_SONAME in values else "",
        needed=tuple(_string(strings, int(value)) for tag, value in dynamic.tolist() if tag == tables.DT_NEEDED),
        search_path=":".join(_string(strings, path) for path in paths),
        build_id=_build_id(elf),
        symbols=symbols,
        relocations=relocations,
        relocations_offset=offsets,
    )


def _machine_number(content: bytes) -> int:
    return int.from_bytes(content[18:20], "little")


def _sections(elf: ELFFile, size: int) -> tuple[Section, ...]:
    if elf.header["e_shoff"] == 0:
        raise ImageError("no section headers, so its variables cannot be told from the linker's tables")
    if elf.header["e_shoff"] + elf.header["e_shnum"] * elf.header["e_shentsize"] > size:
        raise ImageError("the file ends before its section headers")
    found = tuple(
        Section(
            name=section.name,
            address=section["sh_addr"],
            offset=section["sh_offset"],
            size=section["sh_size"],
            flags=section["sh_flags"],
            type=str(section["sh_type"]),
            align=section["sh_addralign"],
        )
        for section in elf.iter_sections()
    )
    if any(section.has_bytes and section.offset + section.size > size for section in found):
        raise ImageError("the file ends before its last section")
    return found


def _dynamic(content: bytes, segments: Table) -> tuple[Table, int]:
    found = segments[segments["type"] == tables.PT_DYNAMIC]
    if not len(found):
        raise ImageError("no dynamic section, so not a shared library")
    offset = int(found[0]["offset"])
    table = _array(content, tables.DYNAMIC, offset, int(found[0]["file_size"]), "dynamic section")
    ends = np.flatnonzero(table["tag"] == tables.DT_NULL)
    return (table[: ends[0]] if len(ends) else table), offset


def _string_table(content: bytes, segments: Table, dynamic: Table) -> bytes:
    values = dict(dynamic.tolist())
    offset = _file_offset(segments, values.get(tables.DT_STRTAB, 0))
    size = values.get(tables.DT_STRSZ, 0)
    if offset is None or offset + size > len(content):
        raise ImageError("the file ends before its string table")
    return content[offset : offset + size]


def _string(strings: bytes, offset: int) -> str:
    if offset >= len(strings):
        raise ImageError("a name lies outside of the string table")
    end = strings.find(b"\0", offset)
    return strings[offset : end if end >= 0 else len(strings)].decode("utf-8", "replace")


def _build_id(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".note.gnu.build-id")
    if not isinstance(section, NoteSection):
        return ""
    return next((str(note["n_desc"]) for note in section.iter_notes() if note["n_type"] == "NT_GNU_BUILD_ID"), "")


def _symbols(content: bytes, elf: ELFFile, sections: tuple[Section, ...], strings: bytes) -> Iterator[Symbol]:
    section = next((section for section in sections if section.type == "SHT_DYNSYM"), None)
    if section is None:
        raise ImageError("no dynamic symbol table")
    table = _array(content, tables.SYMBOL, section.offset, section.size, "symbol table")
    names = _version_names(elf)
    versym = next((section for section in sections if section.name == ".gnu.version"), None)
    versions = (
        _array(content, "<u2", versym.offset, versym.size, "symbol versions").tolist() if versym else [1] * len(table)
    )
    if len(versions) < len(table):
        raise ImageError("the table of symbol versions is too short")
    for index, (name, info, other, shndx, value, size) in enumerate(table.tolist()):
        version = versions[index]
        yield Symbol(
            index=index,
            name=_string(strings, name),
            version=names.get(version & ~HIDDEN_VERSION, ""),
            is_default=not version & HIDDEN_VERSION,
            type=info & 15,
            binding=info >> 4,
            visibility=other & 3,
            section=shndx,
            value=value,
            size=size,
        )


def _version_names(elf: ELFFile) -> dict[int, str]:
    names: dict[int, str] = {}
    defined = elf.get_section_by_name(".gnu.version_d")
    if isinstance(defined, GNUVerDefSection):
        for version, auxiliaries in defined.iter_versions():
            if not version["vd_flags"] & 1:  # VER_FLG_BASE names the file, not a version
                names[version["vd_ndx"]] = next(auxiliaries).name
    needed = elf.get_section_by_name(".gnu.version_r")
    if isinstance(needed, GNUVerNeedSection):
        for _file, auxiliaries in needed.iter_versions():
            for auxiliary in auxiliaries:
                names[auxiliary["vna_other"]] = auxiliary.name
    return names


def _relocations(
    content: bytes, segments: Table, values: dict[int, int], machine: Machine
) -> tuple[Table, tuple[int, ...]]:
    parts: list[Table] = []
    offsets: list[int] = []
    for address, size in ((tables.DT_RELA, tables.DT_RELASZ), (tables.DT_JMPREL, tables.DT_PLTRELSZ)):
        if not values.get(size):
            continue
        start = _file_offset(segments, values.get(address, 0))
        part = _array(content, tables.RELOCATION, -1 if start is None else start, values[size], "relocations")
        parts.append(part)
        offsets.extend(range(start or 0, (start or 0) + len(part) * part.itemsize, part.itemsize))
    if values.get(tables.DT_RELRSZ):
        start = _file_offset(segments, values.get(tables.DT_RELR, 0))
        packed = _array(content, "<u8", -1 if start is None else start, values[tables.DT_RELRSZ], "relocations")
        places = tables.decode_relr(packed)
        parts_in_file = _parts_in_file(segments)
        where = [_offset_in(parts_in_file, place) for place in places.tolist()]
        if any(place is None for place in where):
            raise ImageError("a relocation lies outside of the file")
        addends = np.array([int.from_bytes(content[at : at + 8], "little") for at in where if at is not None], "<u8")
        parts.append(tables.relative_relocations(places, addends.astype("<i8"), machine.relative))
        offsets.extend([-1] * len(places))
    return (np.concatenate(parts) if parts else np.zeros(0, tables.RELOCATION)), tuple(offsets)
