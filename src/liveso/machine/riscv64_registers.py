"""The general registers that RISC-V instructions read and write (The RISC-V Instruction Set Manual, Volume I, "RV32/64G
Instruction Set Listings", and "V" Standard Extension for Vector Operations)."""

import numpy as np

from liveso.machine.words import Words, has_bits

NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{number}" for number in range(8)),
    *(f"s{number}" for number in range(2, 12)),
    *(f"t{number}" for number in range(3, 7)),
)
"""By number (RISC-V ELF psABI, "Register Convention")."""


def bits(*names: str) -> int:
    """A bit for each of some registers."""
    return sum(1 << NAMES.index(name) for name in names)


ARGUMENTS = tuple(f"a{number}" for number in range(8))
FREED = bits("ra", *ARGUMENTS, *(f"t{number}" for number in range(7)))
"""Those that calls may change."""
_ALL = 0xFFFFFFFE  # x0 is no register
_SYSTEM_CALL, _RESULT = bits(*ARGUMENTS), bits("a0")


def registers(words: Words) -> tuple[Words, Words]:
    """The general registers that each instruction reads and writes, as bits."""
    opcode, kind = words & 0x7F, words >> 12 & 7
    rd, rs1, rs2 = (_bit(words >> low & 31) for low in (7, 15, 20))
    reads, writes = np.zeros(len(words), "<u4"), np.zeros(len(words), "<u4")

    of_two = np.isin(opcode, (0x33, 0x3B))
    of_one = np.isin(opcode, (0x13, 0x1B, 0x03, 0x67))
    stores, branches, atomic = opcode == 0x23, opcode == 0x63, opcode == 0x2F
    of_floats, vector = opcode == 0x53, opcode == 0x57
    accesses_floats = (opcode == 0x07) | (opcode == 0x27)
    from_general = of_floats & np.isin(words >> 28, (0xD, 0xF))  # fcvt.d.w, fmv.d.x
    to_general = of_floats & np.isin(words >> 28, (0xA, 0xC, 0xE))  # feq.d, fcvt.w.d, fmv.x.d, fclass.d
    system = opcode == 0x73
    counts = system & (kind != 0)
    sets_vector, with_scalar = vector & (kind == 7), vector & ((kind == 4) | (kind == 6))
    leaves_scalar = vector & (kind == 2) & (words >> 26 == 0x10)  # vmv.x.s, vcpop.m, vfirst.m

    one = of_two | of_one | stores | branches | atomic | accesses_floats | from_general
    one |= (counts & (kind < 4)) | sets_vector | with_scalar
    reads[one] |= rs1[one]
    # an access of vectors may have a distance in a register
    strided = accesses_floats & ~np.isin(kind, (1, 2, 3, 4)) & has_bits(words, 0x0C000000, 0x08000000)
    other = of_two | stores | branches | atomic | strided | (sets_vector & has_bits(words, 0xC0000000, 0x80000000))
    reads[other] |= rs2[other]
    result = of_two | of_one | atomic | to_general | counts | sets_vector | leaves_scalar
    result |= np.isin(opcode, (0x17, 0x37, 0x6F))
    writes[result] |= rd[result]
    calls_system = words == 0x73
    reads[calls_system], writes[calls_system] = _SYSTEM_CALL, _RESULT
    return reads, writes


def _bit(numbers: Words) -> Words:
    found: Words = np.left_shift(np.uint32(1), numbers.astype("<u4"), dtype="<u4") & np.uint32(_ALL)
    return found
