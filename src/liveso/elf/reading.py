"""Reads an image from the bytes of a file. Nothing in it runs longer, or takes more memory, than the file is large."""

from collections.abc import Iterator

import numpy as np

from liveso.elf import soundness, tables
from liveso.elf.image import FilledMemory, Image, Section, Symbol, string_at
from liveso.elf.tables import Table
from liveso.elf.text import printable
from liveso.elf.versions import defined_versions, needed_versions
from liveso.errors import ImageError
from liveso.machine import MACHINES, Machine

_MAGIC = b"\x7fELF"
_HIDDEN_VERSION = 0x8000
_NAMES_PER_BYTE = 8  # of a string table: names may share their ends, but not this often
_GNU_BUILD_ID, _LONGEST_BUILD_ID = (b"GNU\0", 3), 64  # bytes


def read_image(content: bytes, *, may_be_program: bool = False) -> Image:
    """Parse an ELF shared library, or also a program that is linked to a fixed address (ET_EXEC).

    Raises ImageError where the bytes are not a complete and sound one for a machine that liveso knows.
    """
    header, machine = _header(content, may_be_program)
    segments_offset, count = int(header["segments"]), int(header["segment_count"])
    segments = _array(content, tables.SEGMENT, segments_offset, count * tables.SEGMENT.itemsize, "program headers")
    soundness.check_segments(segments, len(content))
    sections = _sections(content, header)
    soundness.check_sections(sections, segments, len(content))
    dynamic, dynamic_offset = _dynamic(content, segments)
    soundness.check_dynamic(dynamic, segments)
    values = dict(dynamic.tolist())
    filled = FilledMemory(segments)
    start = filled.file_offset(values.get(tables.DT_STRTAB, 0)) or 0
    strings = range(start, start + values.get(tables.DT_STRSZ, 0))
    relocations, offsets = _relocations(content, filled, values, machine)
    symbols = _symbols(content, filled, values, sections, strings, segments)
    soundness.check_relocations(relocations, segments, machine, len(symbols))
    named = {tag: [value for one, value in dynamic.tolist() if one == tag] for tag in _NAMING}
    soname, needed, *paths = ([string_at(content, it, strings) for it in found] for found in named.values())
    return Image(
        machine=machine,
        content=content,
        segments=segments,
        segments_offset=segments_offset,
        sections=sections,
        dynamic=dynamic,
        dynamic_offset=dynamic_offset,
        soname=soname[-1] if soname else "",
        needed=tuple(needed),
        search_path=":".join(path for found in paths for path in found),
        build_id=_build_id(content, sections),
        symbols=symbols,
        relocations=_about_modules(relocations, symbols, machine),
        relocations_offset=offsets,
    )


_NAMING = (tables.DT_SONAME, tables.DT_NEEDED, tables.DT_RPATH, tables.DT_RUNPATH)


def read_sections(content: bytes) -> tuple[Section, ...]:
    """The sections of any ELF file for a machine that liveso knows, such as one with debug information only. Raises
    ImageError where it is not one."""
    if len(content) < tables.HEADER.itemsize or not content.startswith(_MAGIC):
        raise ImageError("not an ELF file")
    return _sections(content, np.frombuffer(content, tables.HEADER, 1)[0])


def _array(content: bytes, dtype: np.dtype[np.void] | str, offset: int, size: int, what: str) -> Table:
    kind = np.dtype(dtype)
    if offset < 0 or size < 0 or offset + size > len(content):
        raise ImageError(f"the file ends before its {what}")
    return np.frombuffer(content, dtype=kind, count=size // kind.itemsize, offset=offset)


def _header(content: bytes, may_be_program: bool) -> tuple[Table, Machine]:
    if not content.startswith(_MAGIC):
        raise ImageError("not an ELF file" if content else "the file is empty")
    if len(content) < tables.HEADER.itemsize:
        raise ImageError("not a readable ELF file (it ends inside of its header)")
    header = np.frombuffer(content, tables.HEADER, 1)[0]
    machine = MACHINES.get(int(header["machine"]))
    kind = content[4], content[5]
    if machine is None or kind != (tables.ELFCLASS64, tables.ELFDATA2LSB):
        bits = 64 if kind[0] == tables.ELFCLASS64 else 32
        raise ImageError(f"a file for another machine (ELF machine {int(header['machine'])}, {bits} bit)")
    if header["type"] != tables.ET_DYN and not (may_be_program and header["type"] == tables.ET_EXEC):
        raise ImageError("not a shared library (ELF type is not ET_DYN)")
    if header["segment_size"] != tables.SEGMENT.itemsize:
        raise ImageError("the program header entries have an unknown size")
    return header, machine


def _sections(content: bytes, header: Table) -> tuple[Section, ...]:
    offset, count, names = (int(header[it]) for it in ("sections", "section_count", "section_names"))
    if not offset or not count:
        raise ImageError("no section headers, so its variables cannot be told from the linker's tables")
    if header["section_size"] != tables.SECTION.itemsize:
        raise ImageError("the section header entries have an unknown size")
    rows = _array(content, tables.SECTION, offset, count * tables.SECTION.itemsize, "section headers")
    soundness.check_count(count)
    if names >= count:
        raise ImageError("its sections have no names")
    start, size = int(rows[names]["offset"]), int(rows[names]["size"])
    if start + size > len(content):
        raise ImageError("the file ends before its last section")
    text = range(start, start + size)
    return tuple(
        Section(printable(string_at(content, name, text)), address, place, length, flags, kind, align)
        for name, kind, flags, address, place, length, _link, _info, align, _entry in rows.tolist()
    )


def _dynamic(content: bytes, segments: Table) -> tuple[Table, int]:
    found = segments[segments["type"] == tables.PT_DYNAMIC]
    if not len(found):
        raise ImageError("no dynamic section, so not a shared library")
    offset = int(found[0]["offset"])
    table = _array(content, tables.DYNAMIC, offset, int(found[0]["file_size"]), "dynamic section")
    ends = np.flatnonzero(table["tag"] == tables.DT_NULL)
    if not len(ends):
        raise ImageError("its dynamic section has no end")
    return table[: ends[0]], offset


def _build_id(content: bytes, sections: tuple[Section, ...]) -> str:
    """The build ID, in hexadecimal, from its note (gABI, "Note Section"); empty where there is none."""
    section = next((it for it in sections if it.name == ".note.gnu.build-id" and it.type == tables.SHT_NOTE), None)
    note = content[section.offset : section.offset + section.size] if section is not None else b""
    while len(note) >= 12:
        name_size, size, kind = (int.from_bytes(note[at : at + 4], "little") for at in (0, 4, 8))
        start = 12 + (name_size + 3 & ~3)
        if (note[12 : 12 + name_size], kind) == _GNU_BUILD_ID and size <= _LONGEST_BUILD_ID:
            return note[start : start + size].hex()
        note = note[start + (size + 3 & ~3) :]
    return ""


def _symbols(
    content: bytes,
    filled: FilledMemory,
    values: dict[int, int],
    sections: tuple[Section, ...],
    strings: range,
    segments: Table,
) -> tuple[Symbol, ...]:
    section = next((it for it in sections if it.type == tables.SHT_DYNSYM), None)
    if section is None:
        raise ImageError("no dynamic symbol table")
    if section.address != values.get(tables.DT_SYMTAB):
        raise ImageError("its section headers have another dynamic symbol table than its dynamic section")
    table = _array(content, tables.SYMBOL, section.offset, section.size, "symbol table")
    soundness.check_symbols(table, segments)
    versions = [1] * len(table)
    if tables.DT_VERSYM in values:
        start = filled.file_offset(values[tables.DT_VERSYM])
        versions = _array(
            content, "<u2", -1 if start is None else start, 2 * len(table), "table of symbol versions"
        ).tolist()
    names, version_names = _Names(content, strings), _version_names(content, filled, values, strings)
    return tuple(
        Symbol(
            index=index,
            name=names.at(name),
            version=version_names.get(version & ~_HIDDEN_VERSION, ""),
            is_default=not version & _HIDDEN_VERSION,
            type=info & 15,
            binding=info >> 4,
            visibility=other & 3,
            section=place,
            value=value,
            size=size,
        )
        for index, ((name, info, other, place, value, size), version) in enumerate(
            zip(table.tolist(), versions, strict=True)
        )
    )


class _Names:
    """Names of a string table, each read once. A table that has no ends in it would make each of many names as long as
    it is itself."""

    def __init__(self, content: bytes, strings: range) -> None:
        self._content, self._strings = content, strings
        self._known: dict[int, str] = {}
        self._room = _NAMES_PER_BYTE * len(strings)

    def at(self, offset: int) -> str:
        found = self._known.get(offset)
        if found is None:
            found = self._known[offset] = string_at(self._content, offset, self._strings)
            self._room -= len(found)
            if self._room < 0:
                raise ImageError("the names of its symbols overlap in the string table")
        return found


def _version_names(content: bytes, filled: FilledMemory, values: dict[int, int], strings: range) -> dict[int, str]:
    """The names of the versions that symbols refer to, by their numbers."""
    names: dict[int, int] = {}
    start, count = _table_of_versions(filled, values, tables.DT_VERDEF, tables.DT_VERDEFNUM)
    for defined in defined_versions(content, start, count):
        if not defined.flags & tables.VER_FLG_BASE:  # it names the file, not a version
            names[defined.index] = defined.name
    start, count = _table_of_versions(filled, values, tables.DT_VERNEED, tables.DT_VERNEEDNUM)
    for needed in needed_versions(content, start, count):
        names[needed.index] = needed.name
    text = _Names(content, strings)
    return {index: text.at(name) for index, name in names.items()}


def _table_of_versions(filled: FilledMemory, values: dict[int, int], tag: int, count_tag: int) -> tuple[int, int]:
    """Where one of the tables of versions lies in the file, and how many entries it has."""
    start = filled.file_offset(values[tag]) if tag in values else None
    if start is None:
        return 0, 0
    return start, values.get(count_tag, 0)


def _relocations(
    content: bytes, filled: FilledMemory, values: dict[int, int], machine: Machine
) -> tuple[Table, tuple[int, ...]]:
    parts: list[Table] = []
    offsets: list[int] = []
    sizes = {it: values.get(it, 0) for it in (tables.DT_RELASZ, tables.DT_PLTRELSZ)}
    first, of_plt = (values.get(it, 0) for it in (tables.DT_RELA, tables.DT_JMPREL))
    if first + sizes[tables.DT_RELASZ] == of_plt + sizes[tables.DT_PLTRELSZ]:  # the first has the second, too
        sizes[tables.DT_RELASZ] = max(0, of_plt - first)
    for address, size in ((tables.DT_RELA, tables.DT_RELASZ), (tables.DT_JMPREL, tables.DT_PLTRELSZ)):
        if sizes[size]:
            start = filled.file_offset(values.get(address, 0)) or 0
            part = _array(content, tables.RELOCATION, start, sizes[size], "relocations")
            parts.append(part)
            offsets.extend(range(start, start + len(part) * part.itemsize, part.itemsize))
    if values.get(tables.DT_RELRSZ):
        start = filled.file_offset(values.get(tables.DT_RELR, 0)) or 0
        packed = _array(content, "<u8", start, values[tables.DT_RELRSZ], "relocations")
        part = _packed_relocations(content, filled, packed, machine)
        parts.append(part)
        offsets.extend([-1] * len(part))
    return (np.concatenate(parts) if parts else np.zeros(0, tables.RELOCATION)), tuple(offsets)


def _about_modules(relocations: Table, symbols: tuple[Symbol, ...], machine: Machine) -> Table:
    """The same, where the ID of the image's own module is asked for without a symbol: gold names the section of the
    variable, which says no more (ELF TLS, 3.4.6)."""
    sections = [it.index for it in symbols if it.type == tables.STT_SECTION and it.is_defined]
    is_own = (relocations["type"] == machine.tls_module) & np.isin(relocations["symbol"], sections)
    if not is_own.any():
        return relocations
    found = relocations.copy()
    found["symbol"][is_own] = 0
    return found


def _packed_relocations(content: bytes, filled: FilledMemory, packed: Table, machine: Machine) -> Table:
    """The relocations of a RELR table. Each is about another word of the file, so there are no more than it has."""
    if tables.number_of_relr(packed) > len(content) // machine.word + len(packed):
        raise ImageError("its packed relocations are more than the file has words")
    if len(packed) and packed[0] & 1:
        raise ImageError("its packed relocations do not begin with an address")
    places = tables.decode_relr(packed)
    where = [filled.file_offset(place) for place in places.tolist()]
    if any(place is None or place + machine.word > len(content) for place in where):
        raise ImageError("a relocation lies outside of the file")
    words = [int.from_bytes(content[at : at + machine.word], "little", signed=True) for at in where if at is not None]
    return tables.relative_relocations(places, np.array(words, "<i8"), machine.relative)


def version_needs(image: Image) -> Iterator[tuple[int, str]]:
    """The entries of an image's table of needed versions (Elf64_Vernaux): where each lies in the file, with the name of
    its version."""
    start = image.file_offset(image.tag(tables.DT_VERNEED)) or 0
    for it in needed_versions(image.content, start, image.tag(tables.DT_VERNEEDNUM) if start else 0):
        yield it.offset, image.string(it.name)
