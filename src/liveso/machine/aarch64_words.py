"""The words of AArch64 code (Arm Architecture Reference Manual, C4.1 "A64 instruction set encoding")."""

import numpy as np

from liveso.machine.words import NO_REGISTER, CodeWords, Part, Words

_ALL = 0x7FFFFFFF  # the general registers; 31 is the stack pointer, or none
_RESULT = 1 << 0
_SOON = 8  # instructions


def code_words(content: bytes, start: int) -> CodeWords:
    """What the words of `content`, which lies at `start`, do with addresses."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    places = np.arange(start, start + 4 * len(words), 4, dtype="<i8")
    part = np.zeros(len(words), "u1")
    number, target = np.zeros(len(words), "<i8"), np.full(len(words), -1, "<i8")

    _fill_addresses(words, places, part, number)
    reads, writes = _registers(words)
    calls, jumps, goes_on = _flow(words, places, target)
    return CodeWords(
        part,
        number,
        base=np.where(part == Part.COPY, words >> 16 & 31, words >> 5 & 31).astype("u1"),
        result=(words & 31).astype("u1"),
        reads=reads,
        writes=writes,
        target=target,
        goes_on=goes_on,
        calls=calls,
        jumps=jumps,
        asks_descriptor=_asks_descriptor(words, number),
        is_known=_is_known(words),
        wide=np.where(_is_narrow(words), 0, reads).astype("<u4"),
        **_frame(words),
        moves_stack=_moves_stack(words),
        is_filler=_is(words, 0xFFFFFFFF, 0xD503201F) | (words == 0),
        is_end=_ends(words),
    )


def extended_words(content: bytes) -> Words:
    """The places of LDRSW in code (C4.1.4), in bytes."""
    return np.flatnonzero(_loads_extended(np.frombuffer(content, "<u4", count=len(content) // 4))) * 4


def adds_words(content: bytes) -> bool:
    """Whether code adds what it loads by LDRSW by way of the register that its first instruction writes to that one,
    soon afterwards, by ADD of two registers (C4.1.5)."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    if not len(words):
        return False
    table = int(words[0]) & 31
    for at in np.flatnonzero(_loads_extended(words) & (words >> 5 & 31 == table)).tolist():
        loaded, following = int(words[at]) & 31, words[at + 1 : at + 1 + _SOON]
        pairs = (following >> 5 & 31, following >> 16 & 31)
        adds = _is(following, 0xFFE0FC00, 0x8B000000)
        one, other = ((pairs[k] == table) & (pairs[1 - k] == loaded) for k in (0, 1))
        if (adds & (one | other)).any():
            return True
    return False


def adds_place(content: bytes) -> bool:
    """Whether code that begins with the reference to a slot adds the high part of a place in a thread's block soon
    afterwards, as it does to the block's address: ADD of a number that is shifted by 12 bits (C4.1.2)."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    return bool(_is(words, 0xFFC00000, 0x91400000).any())


def _loads_extended(words: Words) -> Words:
    found: Words = _is(words, 0xFFC00000, 0xB9800000) | _is(words, 0xFFE00000, 0xB8800000) | _is(words, 0xFFE00C00, 0xB8A00800)
    return found


def _is(words: Words, mask: int, value: int) -> Words:
    found: Words = words & np.uint32(mask) == np.uint32(value)
    return found


def _signed(words: Words, low: int, bits: int) -> Words:
    """A field of `bits` bits from bit `low` on, as a number with sign."""
    found: Words = (words.astype("<i8") >> low & ((1 << bits) - 1) ^ (1 << (bits - 1))) - (1 << (bits - 1))
    return found


def _fill_addresses(words: Words, places: Words, part: Words, number: Words) -> None:
    """C4.1.2 "PC-rel. addressing" and "Add/subtract (immediate)", C4.1.4 "Load register (literal)" and "(unsigned
    immediate)", C4.1.5 "Logical (shifted register)" for the copy of a register."""
    relative = _signed(words, 5, 19) << 2 | (words >> 29 & 3).astype("<i8")
    is_page, is_whole = _is(words, 0x9F000000, 0x90000000), _is(words, 0x9F000000, 0x10000000)
    part[is_page], part[is_whole] = Part.PAGE, Part.WHOLE
    number[is_page] = (places[is_page] & ~0xFFF) + (relative[is_page] << 12)
    number[is_whole] = places[is_whole] + relative[is_whole]

    is_literal = _is(words, 0x3B000000, 0x18000000)
    part[is_literal] = Part.LITERAL
    number[is_literal] = places[is_literal] + _signed(words[is_literal], 5, 19) * 4

    low = (words >> 10 & 0xFFF).astype("<i8")
    is_sum = _is(words, 0xFFC00000, 0x91000000) & (words & 31 != 31)
    part[is_sum] = Part.SUM
    number[is_sum] = low[is_sum]

    is_access = _is(words, 0x3B000000, 0x39000000)
    scale = (words >> 30).astype("<i8")
    scale[_is(words, 0xFF800000, 0x3D800000)] = 4  # a vector register's 16 bytes
    part[is_access] = Part.ACCESS
    number[is_access] = low[is_access] << scale[is_access]

    part[_is(words, 0xFFE0FFE0, 0xAA0003E0)] = Part.COPY


def _flow(words: Words, places: Words, target: Words) -> tuple[Words, Words, Words]:
    """C4.1.3 "Branches, Exception Generating and System instructions"."""
    is_call, is_branch = _is(words, 0xFC000000, 0x94000000), _is(words, 0xFC000000, 0x14000000)
    far = is_call | is_branch
    target[far] = places[far] + _signed(words[far], 0, 26) * 4
    near = _is(words, 0xFE000000, 0x54000000) | _is(words, 0x7E000000, 0x34000000)  # b.cond, cbz
    target[near] = places[near] + _signed(words[near], 5, 19) * 4
    short = _is(words, 0x7E000000, 0x36000000)  # tbz
    target[short] = places[short] + _signed(words[short], 5, 14) * 4
    to_register = _is(words, 0xFE000000, 0xD6000000)
    operation = words >> 21 & 7  # without the bit of those that authenticate with a modifier
    calls_register = to_register & (operation == 1)
    jumps = to_register & (operation == 0)
    returns = to_register & (operation > 1)
    return is_call | calls_register, jumps, ~(is_branch | jumps | returns | _ends(words))


def _ends(words: Words) -> Words:
    found: Words = _is(words, 0xFFE0001F, 0xD4200000) | (words >> 16 == 0)  # brk, udf
    return found


def _asks_descriptor(words: Words, number: Words) -> Words:
    """ELF for the Arm 64-bit Architecture, "TLS descriptors": compilers write in one piece the load of a function from
    the descriptor, whose address goes to x0, and the call, and linkers know it so."""
    found = np.zeros(len(words), np.bool_)
    if len(words) < 3:
        return found
    load, argument, call = words[:-2], words[1:-1], words[2:]
    is_pair = _is(load, 0xFFC003E0, 0xF9400000) & _is(argument, 0xFFC003FF, 0x91000000)
    is_whole = _is(load, 0xFF000000, 0x58000000) & _is(argument, 0x9F00001F, 0x10000000)
    is_call = _is(call, 0xFFFFFC1F, 0xD63F0000) & (call >> 5 & 31 == load & 31)
    found[2:] = (is_pair | is_whole) & is_call & (number[:-2] == number[1:-1])
    return found


def _frame(words: Words) -> dict[str, Words]:
    """Accesses of whole words, and others, by way of the stack or frame pointer (C4.1.4): with an unsigned offset, one
    that is not scaled, or of a pair; where that changes the pointer, none."""
    base = words >> 5 & 31
    is_vector, loads = _is(words, 1 << 26, 1 << 26), words >> 22 & 3 != 0
    unsigned, plain = _is(words, 0x3B000000, 0x39000000), _is(words, 0x3B200C00, 0x38000000)
    pair = _is(words, 0x3B000000, 0x29000000) & _is(words, 1 << 24, 1 << 24)
    scale = (words >> 30).astype("<i8")
    scale[is_vector & (words >> 23 & 1 == 1) & (words >> 30 == 0)] = 4
    pair_scale = np.where(is_vector, (words >> 30) + 2, (words >> 31) + 2).astype("<i8")
    offset = np.where(unsigned, (words >> 10 & 0xFFF).astype("<i8") << scale, _signed(words, 12, 9))
    offset = np.where(pair, _signed(words, 15, 7) << pair_scale, offset)
    is_frame = (unsigned | plain | pair) & ((base == 31) | (base == 29))
    is_store = np.where(pair, ~_is(words, 1 << 22, 1 << 22), ~loads | (is_vector & ~_is(words, 1 << 22, 1 << 22)))
    whole = is_frame & ~is_vector & (pair & (words >> 30 == 2) | ~pair & (words >> 30 == 3) & (words >> 22 & 3 < 2))
    return {
        "frame_base": np.where(is_frame, base, 0).astype("u1"),
        "frame_offset": offset,
        "frame_size": np.where(pair, 2 << pair_scale, 1 << scale),
        "is_store": is_frame & is_store,
        "first": np.where(whole & (words & 31 != 31), words & 31, NO_REGISTER).astype("u1"),
        "second": np.where(whole & pair & (words >> 10 & 31 != 31), words >> 10 & 31, NO_REGISTER).astype("u1"),
    }


def _moves_stack(words: Words) -> Words:
    """Sums with the stack pointer (C4.1.2), and accesses that change it (C4.1.4)."""
    sums = _is(words, 0x3F80001F, 0x1100001F) | _is(words, 0x3FE0001F, 0x0B20001F)
    masks = _is(words, 0x1F80001F, 0x1200001F) & ~_is(words, 0x60000000, 0x60000000)
    one, two = _is(words, 0x3B2007E0, 0x380007E0), _is(words, 0x3A8003E0, 0x288003E0)
    found: Words = sums | masks | one | two
    return found


def _is_narrow(words: Words) -> Words:
    """Whether an instruction that only computes takes half a register (C4.1.2, C4.1.5: bit 31)."""
    group = words >> 25 & 15
    computes = ((group & 14) == 8) & ~_is(words, 0x1F000000, 0x10000000) | ((group & 7) == 5)
    found: Words = computes & (words >> 31 == 0)
    return found


def _is_known(words: Words) -> Words:
    """C4.1 "A64 instruction set encoding": groups that are reserved or not allocated, and the scalable extensions,
    whose results are in general registers at times."""
    group = words >> 25 & 15
    is_memory = _is(words, 0x80000000, 0x80000000)
    found: Words = ~np.isin(group, (0, 1, 3)) & ((group != 2) | is_memory)
    return found


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


def _registers(words: Words) -> tuple[Words, Words]:
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


def _of_immediates(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.2 "Data Processing -- Immediate"."""
    is_relative = _is(words, 0x1F000000, 0x10000000)
    is_wide = _is(words, 0x1F800000, 0x12800000)  # movn, movz, movk
    found.read(inside & ~is_relative & ~is_wide, _N)
    found.read(inside & is_wide & _is(words, 0x60000000, 0x60000000), _D)
    found.read(inside & _is(words, 0x1F800000, 0x13800000), _M)  # extr
    found.read(inside & _is(words, 0x7F800000, 0x33000000), _D)  # bfm
    found.write(inside, _D)


def _of_registers(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.5 "Data Processing -- Register"."""
    is_condition = _is(words, 0x1FE00000, 0x1A400000)
    sets_flags = _is(words, 0x1FE07C00, 0x1A000400) | _is(words, 0x1FE03C00, 0x1A000800)  # rmif; setf8, setf16
    has_one = _is(words, 0x5FE00000, 0x5AC00000) | sets_flags | (is_condition & _is(words, 0x800, 0x800))
    found.read(inside, _N)
    found.read(inside & ~has_one, _M)
    found.read(inside & _is(words, 0x1F000000, 0x1B000000), _A)
    found.write(inside & ~is_condition & ~sets_flags, _D)


def _of_vectors(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.6 "Data Processing -- Scalar Floating-Point and Advanced SIMD": conversions, and copies of elements."""
    converts = inside & (_is(words, 0x5F20FC00, 0x1E200000) | _is(words, 0x5F200000, 0x1E000000))
    is_lane, lane = inside & _is(words, 0x9FE08400, 0x0E000400), words >> 11 & 15
    from_general = np.isin(words >> 16 & 7, (2, 3, 7))
    found.read((converts & from_general) | (is_lane & np.isin(lane, (1, 3))), _N)
    found.write((converts & ~from_general) | (is_lane & np.isin(lane, (5, 7))), _D)


def _of_branches(words: Words, found: _Registers) -> None:
    """C4.1.3 "Branches, Exception Generating and System instructions"."""
    is_system, gets = _is(words, 0xFFC00000, 0xD5000000), _is(words, 0x00200000, 0x00200000)
    found.write(is_system & gets, _D)
    found.read(is_system & ~gets, _D)
    found.read(_is(words, 0x7C000000, 0x34000000), _D)  # cbz, tbz
    found.read(_is(words, 0xFE000000, 0xD6000000), _N)  # br, blr, ret
    supervisor = _is(words, 0xFFE0001F, 0xD4000001)
    found.writes[supervisor] |= np.uint32(_RESULT)


def _of_memory(words: Words, found: _Registers, inside: Words) -> None:
    """C4.1.4 "Loads and Stores"."""
    kind, is_general = words >> 27 & 7, inside & ~_is(words, 1 << 26, 1 << 26)
    loads_single, bit21 = words >> 22 & 3 != 0, _is(words, 1 << 21, 1 << 21)
    is_single, is_unsigned = inside & (kind == 7), _is(words, 1 << 24, 1 << 24)
    prefetches = _is(words, 0xFEC00000, 0xF8800000)  # with the bit of the unsigned offset, or without
    other = is_single & ~is_unsigned & bit21
    mode = words >> 10 & 3
    is_atomic, authenticates = other & (mode == 0), other & _is(words, 1 << 10, 1 << 10)
    plain = is_single & is_general & ~is_atomic & ~authenticates & ~prefetches
    found.read(is_single, _N)
    found.read(other & (mode == 2), _M)
    found.read(plain & ~loads_single, _D)
    found.write(plain & loads_single, _D)
    found.read(is_atomic, _M)
    found.write(is_atomic | authenticates, _D)
    found.write((is_single & ~is_unsigned & ~bit21 & _is(words, 1 << 10, 1 << 10)), _N)  # before or after
    found.write(authenticates & _is(words, 1 << 11, 1 << 11), _N)

    is_pair, loads = inside & (kind == 5), _is(words, 1 << 22, 1 << 22)
    found.read(is_pair, _N)
    found.read(is_pair & is_general & ~loads, _D, _A)
    found.write(is_pair & is_general & loads, _D, _A)
    found.write(is_pair & _is(words, 1 << 23, 1 << 23), _N)

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
    swaps = is_exclusive & bit21 & (_is(words, 1 << 23, 1 << 23) | (words >> 31 == 0))  # cas, casp
    found.read(is_exclusive | is_structure, _N)
    found.read((is_store | swaps), _D, _A)
    found.write(is_exclusive & loads & ~swaps, _D)
    found.write(is_exclusive & loads & bit21 & ~swaps, _A)
    found.write(is_exclusive & (~loads | swaps), _M)
    is_two = swaps & ~_is(words, 1 << 23, 1 << 23)  # casp: two registers each
    found.writes[is_two] |= found.writes[is_two] << np.uint32(1)
    found.read(is_structure & _is(words, 1 << 23, 1 << 23), _M)
    found.write(is_structure & _is(words, 1 << 23, 1 << 23), _N)
