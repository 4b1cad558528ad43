"""ELF tables as numpy structured arrays (gABI, "Symbol Table", "Relocation", "Dynamic Section"; ELFCLASS64, LSB)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]

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

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS, PT_NULL = 1, 2, 4, 7, 0
PT_GNU_EH_FRAME, PT_GNU_STACK, PT_GNU_RELRO = 0x6474E550, 0x6474E551, 0x6474E552
PF_X, PF_W, PF_R = 1, 2, 4

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_PLTGOT, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 0, 1, 2, 3, 5, 6, 7, 8
DT_STRSZ, DT_INIT, DT_FINI, DT_SONAME, DT_TEXTREL, DT_JMPREL = 10, 12, 13, 14, 22, 23
DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, DT_FLAGS = 25, 26, 27, 28, 30
DT_RELRSZ, DT_RELR = 35, 36
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
DF_TEXTREL, DF_STATIC_TLS = 0x4, 0x10

VER_FLG_WEAK = 2
STT_OBJECT, STT_FUNC, STT_TLS, STT_GNU_IFUNC = 1, 2, 6, 10
STB_LOCAL, STB_WEAK, STB_GNU_UNIQUE = 0, 2, 10
STV_PROTECTED = 3
SHN_UNDEF, SHN_ABS = 0, 0xFFF1


def decode_relr(words: Table) -> Table:
    """The addresses that a RELR table stands for (gABI, "Relative Relocation Table")."""
    found: list[int] = []
    following = 0
    for word in words.tolist():
        if word & 1 == 0:
            found.append(word)
            following = word + 8
        else:
            found.extend(following + 8 * bit for bit in range(63) if word >> (bit + 1) & 1)
            following += 63 * 8
    return np.array(found, dtype="<u8")


def relative_relocations(places: Table, addends: Table, relative: int) -> Table:
    """A relocation table of type `relative` for words at `places` that hold `addends` already."""
    table = np.zeros(len(places), dtype=RELOCATION)
    table["offset"] = places
    table["type"] = relative
    table["addend"] = addends
    return table
