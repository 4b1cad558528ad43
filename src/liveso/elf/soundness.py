"""Whether what a file says about itself can be: checked once, when it is read, so that nothing behind has to.

What the dynamic linker could not load either is refused, and what no linker writes: for a table of addresses that lead
out of the library there is no right reading, and one that claims more memory than there is would be believed.
"""

from collections.abc import Iterable

import numpy as np

from liveso.elf import tables
from liveso.elf.image import FilledMemory, Section
from liveso.elf.tables import Table
from liveso.errors import ImageError
from liveso.machine import Machine

_LARGEST = 1 << 31  # bytes of memory: what code reaches by a displacement (psABI, "Architectural Constraints")
_LARGEST_ALIGNMENT = 1 << 30
_LARGEST_ADDEND = 1 << 47  # the end of a process's addresses
_PAGE = 4096
_MOST_SEGMENTS, _MOST_SECTIONS = 128, 1024  # the most in 1,700 libraries of Debian: 15 and 64

_ADDRESSES = {
    tables.DT_INIT: "initialiser",
    tables.DT_FINI: "finaliser",
    tables.DT_HASH: "hash table",
    tables.DT_GNU_HASH: "hash table",
    tables.DT_SYMTAB: "symbol table",
    tables.DT_PLTGOT: "global offset table",
    tables.DT_VERSYM: "table of symbol versions",
    tables.DT_VERDEF: "table of versions",
    tables.DT_VERNEED: "table of needed versions",
}
_TABLES = {
    tables.DT_INIT_ARRAY: (tables.DT_INIT_ARRAYSZ, "table of initialisers"),
    tables.DT_FINI_ARRAY: (tables.DT_FINI_ARRAYSZ, "table of finalisers"),
    tables.DT_STRTAB: (tables.DT_STRSZ, "string table"),
    tables.DT_RELA: (tables.DT_RELASZ, "table of relocations"),
    tables.DT_JMPREL: (tables.DT_PLTRELSZ, "table of relocations of the procedure linkage table"),
    tables.DT_RELR: (tables.DT_RELRSZ, "table of packed relocations"),
}
_SEGMENTS = {
    tables.PT_DYNAMIC: "dynamic section",
    tables.PT_GNU_EH_FRAME: "unwind table",
    tables.PT_TLS: "thread-local storage",
}


def check_segments(segments: Table, size: int) -> None:
    """Raises ImageError where the segments of a file of `size` bytes cannot be loaded (gABI, "Program Header")."""
    if len(segments) > _MOST_SEGMENTS:
        raise ImageError(f"it has {len(segments)} program headers, where no linker writes more than a few")
    rows = segments.tolist()
    if any(offset + file_size > size for _type, _flags, offset, _address, _physical, file_size, *_rest in rows):
        raise ImageError("the file ends before its last segment")
    loads = [row for row in rows if row[0] == tables.PT_LOAD]
    if not loads:
        raise ImageError("it has no segment that would be loaded")
    position = 0
    for _type, _flags, offset, address, _physical, file_size, memory_size, align in loads:
        if address < position:
            raise ImageError("its segments overlap, or are not in the order of their addresses")
        if file_size > memory_size:
            raise ImageError(f"its segment at {address:#x} has more bytes in the file than in memory")
        if (address - offset) % _PAGE:
            raise ImageError(f"its segment at {address:#x} lies elsewhere in its page than in the file")
        if align & (align - 1) or align > _LARGEST_ALIGNMENT:
            raise ImageError(f"its segment at {address:#x} has an alignment, {align:#x}, that cannot be")
        position = address + memory_size
        if position > _LARGEST:
            raise ImageError(f"it would take {position} bytes of memory, where code reaches {_LARGEST} at most")
    if sum(row[5] for row in loads) > 2 * size:
        raise ImageError("its segments take more bytes than the file has")
    _check_special(rows, FilledMemory(segments), position)


def _check_special(rows: list[tuple[int, ...]], filled: FilledMemory, end: int) -> None:
    """The segments that lie inside of loaded ones must do so in the file, too: the dynamic linker reads the one, and
    liveso the other."""
    for kind, _flags, offset, address, _physical, file_size, memory_size, align in rows:
        is_placed = filled.holds(address, address + file_size) and filled.file_offset(address) == offset
        if kind in _SEGMENTS and file_size and not is_placed:
            raise ImageError(f"its {_SEGMENTS[kind]} does not lie where its program header says")
        if kind in (*_SEGMENTS, tables.PT_GNU_RELRO) and not address <= end:
            raise ImageError(f"its program header of type {kind:#x} leads out of its memory, to {address:#x}")
        if kind in _SEGMENTS and kind != tables.PT_TLS and memory_size > file_size:
            raise ImageError(f"its {_SEGMENTS[kind]} is larger in memory than in the file")
        if kind == tables.PT_GNU_RELRO and address + memory_size > end + _PAGE:
            raise ImageError("what is to be read-only after relocation lies outside of its memory")
        if kind == tables.PT_TLS and (
            memory_size > _LARGEST or file_size > memory_size or align & (align - 1) or align > _LARGEST_ALIGNMENT
        ):
            raise ImageError(f"its thread-local storage, of {memory_size} bytes, cannot be")


def check_sections(sections: Iterable[Section], segments: Table, size: int) -> None:
    """Raises ImageError where sections lie outside of a file of `size` bytes, or, if they are part of memory, of the
    segments, or on each other."""
    filled, end = FilledMemory(segments), _end(segments)
    position = 0
    for it in sorted(sections, key=lambda it: it.address):
        if it.has_bytes and it.offset + it.size > size:
            raise ImageError("the file ends before its last section")
        if not it.is_allocated:
            continue
        if it.address > end:
            raise ImageError(f"its section {it.name} lies outside of its memory, at {it.address:#x}")
        if not it.size or (it.is_thread_local and not it.has_bytes):  # takes no memory of its own
            continue
        if it.address < position:
            raise ImageError(f"its section {it.name} overlaps the one before")
        position = it.end
        if it.end > end:
            raise ImageError(f"its section {it.name} lies outside of its memory, up to {it.end:#x}")
        if it.has_bytes and (not filled.holds(it.address, it.end) or filled.file_offset(it.address) != it.offset):
            raise ImageError(f"its section {it.name} does not lie where its segment is in the file")


def check_count(number: int) -> None:
    """Raises ImageError for more sections than any linker writes."""
    if number > _MOST_SECTIONS:
        raise ImageError(f"it has {number} section headers, where no linker writes more than some dozens")


def check_dynamic(dynamic: Table, segments: Table) -> None:
    """Raises ImageError where what the dynamic section refers to lies outside of memory, or is said twice: the first
    counts for some readers and the last for others."""
    tags = [tag for tag in dynamic["tag"].tolist() if tag in _ADDRESSES or tag in _TABLES]
    if len(tags) != len(set(tags)):
        raise ImageError("its dynamic section names one table twice")
    values = dict(dynamic.tolist())
    end, filled = _end(segments), FilledMemory(segments)
    for tag, name in _ADDRESSES.items():
        if values.get(tag, 0) >= end:
            raise ImageError(f"its {name} lies outside of its memory, at {values[tag]:#x}")
    for tag, (size_tag, name) in _TABLES.items():
        address, size = values.get(tag, 0), values.get(size_tag, 0)
        if size and not filled.holds(address, address + size):
            raise ImageError(f"the file ends before its {name}")


def check_symbols(symbols: Table, segments: Table) -> None:
    """Raises ImageError where a symbol that is defined lies outside of memory, or of the thread-local storage."""
    end = _end(segments)
    blocks = segments["memory_size"][segments["type"] == tables.PT_TLS].tolist()
    is_thread_local = symbols["info"] & 15 == tables.STT_TLS
    is_placed = (symbols["section"] != tables.SHN_UNDEF) & (symbols["section"] != tables.SHN_ABS)
    ends = np.where(is_thread_local, np.uint64(blocks[0] if blocks else 0), np.uint64(end))
    outside = is_placed & ((symbols["value"] > ends) | (symbols["size"] > ends - np.minimum(symbols["value"], ends)))
    if outside.any():
        index = int(outside.argmax())
        raise ImageError(
            f"symbol {index} lies outside of its memory, at {int(symbols['value'][index]):#x} with "
            f"{int(symbols['size'][index])} bytes"
        )


def check_relocations(relocations: Table, segments: Table, machine: Machine, symbols: int) -> None:
    """Raises ImageError where a relocation is about a word outside of memory, or one of `symbols` that is not there."""
    used = relocations[relocations["type"] != machine.none]
    if len(relocations) and int(relocations["symbol"].max()) >= max(1, symbols):
        raise ImageError("a relocation refers to a symbol that is not there")
    loads = segments[segments["type"] == tables.PT_LOAD]
    ends = np.append(np.zeros(1, "<u8"), loads["address"] + loads["memory_size"])
    room = ends[np.searchsorted(loads["address"], used["offset"], side="right")]
    outside = (used["offset"] >= room) | (room - np.minimum(used["offset"], room) < machine.word)
    if outside.any():
        raise ImageError(f"a relocation is about {int(used['offset'][outside.argmax()]):#x}, outside of its memory")
    addends = used["addend"]
    if ((addends < -_LARGEST_ADDEND) | (addends > _LARGEST_ADDEND)).any():
        raise ImageError("a relocation leads further away than any process has memory")


def _end(segments: Table) -> int:
    loads = segments[segments["type"] == tables.PT_LOAD]
    return int((loads["address"] + loads["memory_size"]).max())
