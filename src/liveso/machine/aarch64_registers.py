"""The general registers that the words of AArch64 code read and write (Arm Architecture Reference Manual, C4.1)."""

import numpy as np

from liveso.machine.words import Words, has_bits

_ALL = 0x7FFFFFFF  # the general registers; 31 is the stack pointer, or none
_RESULT = 1 << 0


class _Registers:
    """The general registers that each word reads and writes, a bit for each; fields are named by their lowest bit."""

    def __init__(self, words: Words) -> None:
        self._bits = {low: _bit(words >> low & 31) for low in (0, 5, 10, 16)}
        self.reads, self.writes = np.zeros(len(words), "<u4"), np.zeros(len(words), "<u4")

    def read(self, where: Words, *fields: int) -> None:
        for low in fields:
            self.reads[where] |= self._bits[low][where]

    def write(self, where: Words, *fields: int) -> None:
        for low in fields:
            self.writes[where] |= self._bits[low][where]


def _bit(numbers: Words) -> Words:
    """The bit of each register number; none for 31, the stack pointer or no register."""
    found: Words = np.left_shift(np.uint32(1), numbers.astype("<u4"), dtype="<u4") & np.uint32(_ALL)
    return found


_D, _N, _A, _M = 0, 5, 10, 16


def registers(words: Words) -> tuple[Words, Words]:
    """The general registers that each word reads and writes, as bits."""
    found, group = _Registers(words), words >> 25 & 15
    _of_immediates(words, found, (group & 14) == 8)
    _of_registers(words, found, (group & 7) == 5)
    _of_vectors(words, found, (group & 7) == 7)
    _of_branches(words, found)
    _of_memory(words, found, (group & 5) == 4)
    is_scalable = (group == 2) & (words >> 31 == 1)
    found.read(is_scalable, _N, _M)
    return found.reads, found.writes


def without_registers(words: Words) -> Words:
    """The words without the numbers of the registers that an instruction writes and reads, whatever kind these are: Rd
    or Rt, and Rn, in all that compute or access memory; Rm where there is one; Rt2 of pairs (C4.1.2, C4.1.4 to
    C4.1.6)."""
    group = words >> 25 & 15
    computes, accesses = (group & 14) == 8, (group & 5) == 4
    of_registers = ((group & 7) == 5) | ((group & 7) == 7)
    is_pair = accesses & has_bits(words, 0x3A000000, 0x28000000)
    is_indexed = accesses & has_bits(words, 0x3B200C00, 0x38200800)
    is_relative = has_bits(words, 0x1F000000, 0x10000000)  # adr, adrp: no Rn
    is_wide = has_bits(words, 0x1F800000, 0x12800000)  # movn, movz, movk: no Rn
    found = words.copy()
    _clear(found, computes | accesses | of_registers, _D)
    _clear(found, accesses | of_registers | (computes & ~is_relative & ~is_wide), _N)
    _clear(found, of_registers | is_indexed, _M)
    _clear(found, is_pair, _A)
    _clear(found, has_bits(words, 0x7C000000, 0x34000000), _D)  # cbz, tbz
    return found


def _clear(words: Words, where: Words, low: int) -> None:
    words[where] &= np.uint32(~(31 << low) & 0xFFFFFFFF)


def _of_immediates(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.2 "Data Processing -- Immediate"."""
    is_relative = has_bits(words, 0x1F000000, 0x10000000)
    is_wide = has_bits(words, 0x1F800000, 0x12800000)  # movn, movz, movk
    found.read(inside & ~is_relative & ~is_wide, _N)
    found.read(inside & is_wide & has_bits(words, 0x60000000, 0x60000000), _D)
    found.read(inside & has_bits(words, 0x1F800000, 0x13800000), _M)  # extr
    found.read(inside & has_bits(words, 0x7F800000, 0x33000000), _D)  # bfm
    found.write(inside, _D)


def _of_registers(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.5 "Data Processing -- Register"."""
    is_condition = has_bits(words, 0x1FE00000, 0x1A400000)
    sets_flags = has_bits(words, 0x1FE07C00, 0x1A000400) | has_bits(
        words, 0x1FE03C00, 0x1A000800
    )  # rmif; setf8, setf16
    has_one = has_bits(words, 0x5FE00000, 0x5AC00000) | sets_flags | (is_condition & has_bits(words, 0x800, 0x800))
    found.read(inside, _N)
    found.read(inside & ~has_one, _M)
    found.read(inside & has_bits(words, 0x1F000000, 0x1B000000), _A)
    found.write(inside & ~is_condition & ~sets_flags, _D)


def _of_vectors(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.6 "Data Processing -- Scalar Floating-Point and Advanced SIMD": conversions, and copies of elements."""
    converts = inside & (has_bits(words, 0x5F20FC00, 0x1E200000) | has_bits(words, 0x5F200000, 0x1E000000))
    is_lane, lane = inside & has_bits(words, 0x9FE08400, 0x0E000400), words >> 11 & 15
    from_general = np.isin(words >> 16 & 7, (2, 3, 7))
    found.read((converts & from_general) | (is_lane & np.isin(lane, (1, 3))), _N)
    found.write((converts & ~from_general) | (is_lane & np.isin(lane, (5, 7))), _D)


def _of_branches(words: Words, found: _Registers) -> None:
    """C4.1.3 "Branches, Exception Generating and System instructions"."""
    is_system, gets = has_bits(words, 0xFFC00000, 0xD5000000), has_bits(words, 0x00200000, 0x00200000)
    found.write(is_system & gets, _D)
    found.read(is_system & ~gets, _D)
    found.read(has_bits(words, 0x7C000000, 0x34000000), _D)  # cbz, tbz
    found.read(has_bits(words, 0xFE000000, 0xD6000000), _N)  # br, blr, ret
    supervisor = has_bits(words, 0xFFE0001F, 0xD4000001)
    found.writes[supervisor] |= np.uint32(_RESULT)


def _of_memory(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.4 "Loads and Stores"."""
    kind, is_general = words >> 27 & 7, inside & ~has_bits(words, 1 << 26, 1 << 26)
    loads_single, bit21 = words >> 22 & 3 != 0, has_bits(words, 1 << 21, 1 << 21)
    is_single, is_unsigned = inside & (kind == 7), has_bits(words, 1 << 24, 1 << 24)
    prefetches = has_bits(words, 0xFEC00000, 0xF8800000)  # with the bit of the unsigned offset, or without
    other = is_single & ~is_unsigned & bit21
    mode = words >> 10 & 3
    is_atomic, authenticates = other & (mode == 0), other & has_bits(words, 1 << 10, 1 << 10)
    plain = is_single & is_general & ~is_atomic & ~authenticates & ~prefetches
    found.read(is_single, _N)
    found.read(other & (mode == 2), _M)
    found.read(plain & ~loads_single, _D)
    found.write(plain & loads_single, _D)
    found.read(is_atomic, _M)
    found.write(is_atomic | authenticates, _D)
    found.write((is_single & ~is_unsigned & ~bit21 & has_bits(words, 1 << 10, 1 << 10)), _N)  # before or after
    found.write(authenticates & has_bits(words, 1 << 11, 1 << 11), _N)

    is_pair, loads = inside & (kind == 5), has_bits(words, 1 << 22, 1 << 22)
    found.read(is_pair, _N)
    found.read(is_pair & is_general & ~loads, _D, _A)
    found.write(is_pair & is_general & loads, _D, _A)
    found.write(is_pair & has_bits(words, 1 << 23, 1 << 23), _N)

    is_literal = inside & (kind == 3) & ~is_unsigned
    found.write(is_literal & is_general & (words >> 30 != 3), _D)
    rare = inside & (kind == 3) & is_unsigned  # ordered with an offset; tags; copies of memory
    is_ordered = rare & ~bit21 & (mode == 0)
    found.read(rare, _N)
    found.read(is_ordered & ~loads_single, _D)
    found.write(is_ordered & loads_single, _D)
    found.write(rare & bit21, _D, _N)
    found.write(rare & ~bit21 & (mode == 1), _D, _N, _M)

    is_exclusive, is_structure = is_general & (kind == 1), inside & ~is_general & (kind == 1)
    is_store = is_exclusive & ~loads
    swaps = is_exclusive & bit21 & (has_bits(words, 1 << 23, 1 << 23) | (words >> 31 == 0))  # cas, casp
    found.read(is_exclusive | is_structure, _N)
    found.read(is_store | swaps, _D, _A)
    found.read(swaps, _M)
    found.write(is_exclusive & loads & ~swaps, _D)
    found.write(is_exclusive & loads & bit21 & ~swaps, _A)
    found.write(is_exclusive & (~loads | swaps), _M)
    is_two = swaps & ~has_bits(words, 1 << 23, 1 << 23)  # casp: two registers each
    found.writes[is_two] |= found.writes[is_two] << np.uint32(1)
    found.read(is_structure & has_bits(words, 1 << 23, 1 << 23), _M)
    found.write(is_structure & has_bits(words, 1 << 23, 1 << 23), _N)
