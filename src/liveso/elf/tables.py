"""ELF tables as numpy structured arrays (gABI, "Symbol Table", "Relocation", "Dynamic Section"; ELFCLASS64, LSB)."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]

# gABI, "ELF Header" and "Sections"
HEADER = np.dtype(
    [
        ("identification", "V16"),
        ("type", "<u2"),
        ("machine", "<u2"),
        ("version", "<u4"),
        ("entry", "<u8"),
        ("segments", "<u8"),
        ("sections", "<u8"),
        ("flags", "<u4"),
        ("size", "<u2"),
        ("segment_size", "<u2"),
        ("segment_count", "<u2"),
        ("section_size", "<u2"),
        ("section_count", "<u2"),
        ("section_names", "<u2"),
    ]
)
SECTION = np.dtype(
    [
        ("name", "<u4"),
        ("type", "<u4"),
        ("flags", "<u8"),
        ("address", "<u8"),
        ("offset", "<u8"),
        ("size", "<u8"),
        ("link", "<u4"),
        ("info", "<u4"),
        ("align", "<u8"),
        ("entry_size", "<u8"),
    ]
)
SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
RELOCATION = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
DYNAMIC = np.dtype([("tag", "<i8"), ("value", "<u8")])
SEGMENT = np.dtype(
    [
        ("type", "<u4"),
        ("flags", "<u4"),
        ("offset", "<u8"),
        ("address", "<u8"),
        ("physical", "<u8"),
        ("file_size", "<u8"),
        ("memory_size", "<u8"),
        ("align", "<u8"),
    ]
)

ET_EXEC, ET_DYN = 2, 3
ELFCLASS64, ELFDATA2LSB = 2, 1
PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS, PT_NULL = 1, 2, 4, 7, 0
PT_GNU_EH_FRAME, PT_GNU_STACK, PT_GNU_RELRO = 0x6474E550, 0x6474E551, 0x6474E552
PF_X, PF_W, PF_R = 1, 2, 4

SHT_PROGBITS, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM, SHT_GNU_VERSYM = 1, 7, 8, 11, 0x6FFFFFFF
SHT_INIT_ARRAY, SHT_FINI_ARRAY = 14, 15
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_COMPRESSED = 1, 2, 4, 0x400, 0x800

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_PLTGOT, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)
DT_STRSZ, DT_INIT, DT_FINI, DT_SONAME, DT_RPATH, DT_TEXTREL, DT_JMPREL, DT_RUNPATH = 10, 12, 13, 14, 15, 22, 23, 29
DT_DEBUG = 21
DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, DT_FLAGS = 25, 26, 27, 28, 30
DT_RELRSZ, DT_RELR = 35, 36
DT_GNU_HASH, DT_VERSYM, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = (
    *(0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF),
)
DF_TEXTREL, DF_STATIC_TLS = 0x4, 0x10

VER_FLG_BASE, VER_FLG_WEAK = 1, 2
STT_OBJECT, STT_FUNC, STT_SECTION, STT_TLS, STT_GNU_IFUNC = 1, 2, 3, 6, 10
STB_LOCAL, STB_WEAK, STB_GNU_UNIQUE = 0, 2, 10
STV_PROTECTED = 3
SHN_UNDEF, SHN_ABS = 0, 0xFFF1


def decode_relr(words: Table) -> Table:
    """The addresses that a RELR table stands for (gABI, "Relative Relocation Table"): an even word is one, and the bits
    of the odd ones behind it, but for their lowest, say which of the 63 words that follow are others."""
    is_address = words & 1 == 0
    group = np.cumsum(is_address) - 1
    starts = np.append(words[is_address], np.zeros(1, "<u8"))
    first = np.append(np.flatnonzero(is_address), len(words))
    step = (np.arange(len(words)) - first[group] - 1).astype("<u8")  # odd words before, in the same group
    bases = starts[group] + 8 + 63 * 8 * step
    bits = np.unpackbits(words.view("u1").reshape(len(words), 8), axis=1, bitorder="little").astype(np.bool_)
    bits[:, 0] = False
    bits[is_address] = False
    row, column = np.nonzero(bits)
    marked = bases[row] + 8 * (column.astype("<u8") - 1)
    places = np.concatenate([words[is_address], marked])
    order = np.argsort(np.concatenate([np.flatnonzero(is_address), row]), kind="stable")
    found: Table = places[order].astype("<u8")
    return found


def number_of_relr(words: Table) -> int:
    """How many addresses a RELR table stands for, at most: its words may be of a damaged file."""
    return len(words) + int(np.unpackbits(words.view("u1")).sum())


def relative_relocations(places: Table, addends: Table, relative: int) -> Table:
    """A relocation table of type `relative` for words at `places` that hold `addends` already."""
    table = np.zeros(len(places), dtype=RELOCATION)
    table["offset"] = places
    table["type"] = relative
    table["addend"] = addends
    return table


def have_equal_fields(one: object, other: object) -> bool:
    """Whether two values of one dataclass are equal, tables of numpy's, which say it row by row, included."""
    if type(one) is not type(other) or not is_dataclass(one):
        return False
    pairs = ((getattr(one, it.name), getattr(other, it.name)) for it in fields(one) if it.compare)
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b) for a, b in pairs)
