"""The words of AArch64 code (Arm Architecture Reference Manual, C4.1 "A64 instruction set encoding")."""

import numpy as np

from liveso.machine import reaching
from liveso.machine.aarch64_registers import registers
from liveso.machine.words import NO_REGISTER, CodeWords, Part, Words, has_bits

_SIZE = 4  # bytes
_SOON = 8  # instructions
_FREED, _RESULT = (1 << 19) - 1, 0  # the general registers that calls may change, and that of what they leave


def code_words(content: bytes, start: int) -> CodeWords:
    """What the words of `content`, which lies at `start`, do with addresses."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    places = np.arange(start, start + 4 * len(words), 4, dtype="<i8")
    part = np.zeros(len(words), "u1")
    number, target = np.zeros(len(words), "<i8"), np.full(len(words), -1, "<i8")

    _fill_addresses(words, places, part, number)
    _fill_distances(words, part, number)
    reads, writes = registers(words)
    calls, jumps, goes_on = _flow(words, places, target)
    return CodeWords(
        places,
        np.full(len(words), _SIZE, "<i8"),
        part,
        number,
        base=np.where(part == Part.COPY, words >> 16 & 31, words >> 5 & 31).astype("u1"),
        result=np.where(_leave_base(part), words >> 5 & 31, words & 31).astype("u1"),
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
        second_at=_second_at(words),
        compares=has_bits(words, 0xFFE0FC00, 0xEB000000),  # subs, cmp
        is_filler=has_bits(words, 0xFFFFFFFF, 0xD503201F) | (words == 0),
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
        adds = has_bits(following, 0xFFE0FC00, 0x8B000000)
        one, other = ((pairs[k] == table) & (pairs[1 - k] == loaded) for k in (0, 1))
        if (adds & (one | other)).any():
            return True
    return False


def adds_place(content: bytes) -> bool:
    """Whether code that begins with the reference to a slot adds the high part of a place in a thread's block soon
    afterwards, as it does to the block's address: ADD of a number that is shifted by 12 bits (C4.1.2)."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    return bool(has_bits(words, 0xFFC00000, 0x91400000).any())


def reached_behind(content: bytes) -> int:
    """How far behind a variable of a thread's block, in bytes, code gets that begins with the reference to its slot: by
    a number that is added to what the next call leaves, or the sum of a distance and the thread pointer."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    return reaching.reached_behind(code_words(content, 0), words >> 16 & 31, _FREED, _RESULT)


def leaves_highest(content: bytes, halves: frozenset[int]) -> bool:
    """Whether code leaves a number in a register whose highest 32 bits are one of `halves`: by two MOVK, close to each
    other (C4.1.2)."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    parts = words >> 5 & 0xFFFF
    for half in halves:
        high, low = (
            np.flatnonzero(has_bits(words, 0xFFE00000, opcode) & (parts == part))
            for opcode, part in ((0xF2E00000, half >> 16), (0xF2C00000, half & 0xFFFF))
        )
        if len(low) and len(high) and (np.abs(high[:, None] - low[None, :]) <= _SOON).any():
            return True
    return False


def _loads_extended(words: Words) -> Words:
    found: Words = (
        has_bits(words, 0xFFC00000, 0xB9800000)
        | has_bits(words, 0xFFE00000, 0xB8800000)
        | has_bits(words, 0xFFE00C00, 0xB8A00800)
    )
    return found


def _signed(words: Words, low: int, bits: int) -> Words:
    """A field of `bits` bits from bit `low` on, as a number with sign."""
    found: Words = (words.astype("<i8") >> low & ((1 << bits) - 1) ^ (1 << (bits - 1))) - (1 << (bits - 1))
    return found


def _fill_addresses(words: Words, places: Words, part: Words, number: Words) -> None:
    """C4.1.2 "PC-rel. addressing" and "Add/subtract (immediate)", C4.1.4 "Load register (literal)" and "(unsigned
    immediate)", C4.1.5 "Logical (shifted register)" for the copy of a register."""
    relative = _signed(words, 5, 19) << 2 | (words >> 29 & 3).astype("<i8")
    is_page, is_whole = has_bits(words, 0x9F000000, 0x90000000), has_bits(words, 0x9F000000, 0x10000000)
    part[is_page], part[is_whole] = Part.PAGE, Part.WHOLE
    number[is_page] = (places[is_page] & ~0xFFF) + (relative[is_page] << 12)
    number[is_whole] = places[is_whole] + relative[is_whole]

    is_literal = has_bits(words, 0x3B000000, 0x18000000)
    part[is_literal] = Part.LITERAL
    number[is_literal] = places[is_literal] + _signed(words[is_literal], 5, 19) * 4

    low = (words >> 10 & 0xFFF).astype("<i8")
    is_sum = has_bits(words, 0xFFC00000, 0x91000000) & (words & 31 != 31)
    part[is_sum] = Part.SUM
    number[is_sum] = low[is_sum]

    is_access = has_bits(words, 0x3B000000, 0x39000000)
    scale = (words >> 30).astype("<i8")
    scale[has_bits(words, 0xFF800000, 0x3D800000)] = 4  # a vector register's 16 bytes
    part[is_access] = Part.ACCESS
    number[is_access] = low[is_access] << scale[is_access]

    part[has_bits(words, 0xFFE0FFE0, 0xAA0003E0)] = Part.COPY


def _fill_distances(words: Words, part: Words, number: Words) -> None:
    """What goes on from an address that is in a register already: C4.1.2 "Add/subtract (immediate)", C4.1.5
    "Add/subtract (shifted register)" and "(extended register)", C4.1.4 "Load/store register" (unscaled immediate,
    immediate pre- and post-indexed), "register pair" and "LDAPR/STLR (unscaled immediate)"."""
    low = (words >> 10 & 0xFFF).astype("<i8")
    shifted, minus = has_bits(words, 0xFFC00000, 0x91400000), has_bits(words, 0xFF800000, 0xD1000000)
    is_sum = (shifted | minus) & (words & 31 != 31)
    part[is_sum] = Part.OTHER_SUM
    number[is_sum] = (np.where(words >> 22 & 1 == 1, low << 12, low) * np.where(minus, -1, 1))[is_sum]

    part[has_bits(words, 0xFF000000, 0x8B000000) & (words & 31 != 31)] = Part.INDEX

    single, ordered = has_bits(words, 0x3B200000, 0x38000000), has_bits(words, 0x3F200C00, 0x19000000)
    pair = has_bits(words, 0x3A000000, 0x28000000)
    distance = np.where(pair, _signed(words, 15, 7) << pair_scale(words), _signed(words, 12, 9))
    mode = np.where(pair, words >> 23 & 3, words >> 10 & 3)
    for value, kind in (
        (0, Part.OTHER_ACCESS),
        (1, Part.ACCESS_THEN_SUM),
        (2, Part.OTHER_ACCESS),
        (3, Part.ACCESS_AND_SUM),
    ):
        part[(single | pair) & (mode == value)] = kind
    part[ordered] = Part.OTHER_ACCESS
    is_access = single | pair | ordered
    number[is_access] = distance[is_access]


def pair_scale(words: Words) -> Words:
    """By how many bits the offset of an access of two registers is shifted: what each has is so large."""
    is_vector = has_bits(words, 1 << 26, 1 << 26)
    return np.where(is_vector, (words >> 30) + 2, (words >> 31) + 2).astype("<i8")


def _second_at(words: Words) -> Words:
    return np.where(has_bits(words, 0x3A000000, 0x28000000), 1 << pair_scale(words), 0)


def _leave_base(part: Words) -> Words:
    """Which leave an address in the register that they found it by."""
    found: Words = (part == Part.ACCESS_AND_SUM) | (part == Part.ACCESS_THEN_SUM)
    return found


def _flow(words: Words, places: Words, target: Words) -> tuple[Words, Words, Words]:
    """C4.1.3 "Branches, Exception Generating and System instructions"."""
    is_call, is_branch = has_bits(words, 0xFC000000, 0x94000000), has_bits(words, 0xFC000000, 0x14000000)
    far = is_call | is_branch
    target[far] = places[far] + _signed(words[far], 0, 26) * 4
    near = has_bits(words, 0xFE000000, 0x54000000) | has_bits(words, 0x7E000000, 0x34000000)  # b.cond, cbz
    target[near] = places[near] + _signed(words[near], 5, 19) * 4
    short = has_bits(words, 0x7E000000, 0x36000000)  # tbz
    target[short] = places[short] + _signed(words[short], 5, 14) * 4
    to_register = has_bits(words, 0xFE000000, 0xD6000000)
    operation = words >> 21 & 7  # without the bit of those that authenticate with a modifier
    calls_register = to_register & (operation == 1)
    jumps = to_register & (operation == 0)
    returns = to_register & (operation > 1)
    return is_call | calls_register, jumps, ~(is_branch | jumps | returns | _ends(words))


def _ends(words: Words) -> Words:
    found: Words = has_bits(words, 0xFFE0001F, 0xD4200000) | (words >> 16 == 0)  # brk, udf
    return found


def _asks_descriptor(words: Words, number: Words) -> Words:
    """ELF for the Arm 64-bit Architecture, "TLS descriptors": compilers write in one piece the load of a function from
    the descriptor, whose address goes to x0, and the call, and linkers know it so."""
    found = np.zeros(len(words), np.bool_)
    if len(words) < 3:
        return found
    load, argument, call = words[:-2], words[1:-1], words[2:]
    is_pair = has_bits(load, 0xFFC003E0, 0xF9400000) & has_bits(argument, 0xFFC003FF, 0x91000000)
    is_whole = has_bits(load, 0xFF000000, 0x58000000) & has_bits(argument, 0x9F00001F, 0x10000000)
    is_call = has_bits(call, 0xFFFFFC1F, 0xD63F0000) & (call >> 5 & 31 == load & 31)
    found[2:] = (is_pair | is_whole) & is_call & (number[:-2] == number[1:-1])
    return found


def _frame(words: Words) -> dict[str, Words]:
    """Accesses of whole words, and others, by way of the stack or frame pointer (C4.1.4): with an unsigned offset, one
    that is not scaled, or of a pair; where that changes the pointer, none."""
    base = words >> 5 & 31
    is_vector, loads = has_bits(words, 1 << 26, 1 << 26), words >> 22 & 3 != 0
    unsigned, plain = has_bits(words, 0x3B000000, 0x39000000), has_bits(words, 0x3B200C00, 0x38000000)
    pair = has_bits(words, 0x3B000000, 0x29000000) & has_bits(words, 1 << 24, 1 << 24)
    scale = (words >> 30).astype("<i8")
    scale[is_vector & (words >> 23 & 1 == 1) & (words >> 30 == 0)] = 4
    scale_of_pair = pair_scale(words)
    offset = np.where(unsigned, (words >> 10 & 0xFFF).astype("<i8") << scale, _signed(words, 12, 9))
    offset = np.where(pair, _signed(words, 15, 7) << scale_of_pair, offset)
    is_frame = (unsigned | plain | pair) & ((base == 31) | (base == 29))
    is_store = np.where(
        pair, ~has_bits(words, 1 << 22, 1 << 22), ~loads | (is_vector & ~has_bits(words, 1 << 22, 1 << 22))
    )
    whole = is_frame & ~is_vector & (pair & (words >> 30 == 2) | ~pair & (words >> 30 == 3) & (words >> 22 & 3 < 2))
    return {
        "frame_base": np.where(is_frame, base, 0).astype("u1"),
        "frame_offset": offset,
        "frame_size": np.where(pair, 2 << scale_of_pair, 1 << scale),
        "is_store": is_frame & is_store,
        "first": np.where(whole & (words & 31 != 31), words & 31, NO_REGISTER).astype("u1"),
        "second": np.where(whole & pair & (words >> 10 & 31 != 31), words >> 10 & 31, NO_REGISTER).astype("u1"),
    }


def _moves_stack(words: Words) -> Words:
    """Sums with the stack pointer (C4.1.2), and accesses that change it (C4.1.4)."""
    sums = has_bits(words, 0x3F80001F, 0x1100001F) | has_bits(words, 0x3FE0001F, 0x0B20001F)
    masks = has_bits(words, 0x1F80001F, 0x1200001F) & ~has_bits(words, 0x60000000, 0x60000000)
    one, two = has_bits(words, 0x3B2007E0, 0x380007E0), has_bits(words, 0x3A8003E0, 0x288003E0)
    found: Words = sums | masks | one | two
    return found


def _is_narrow(words: Words) -> Words:
    """Whether an instruction that computes, or compares, takes half a register (C4.1.2, C4.1.3, C4.1.5: bit 31)."""
    group = words >> 25 & 15
    computes = ((group & 14) == 8) & ~has_bits(words, 0x1F000000, 0x10000000) | ((group & 7) == 5)
    branches = has_bits(words, 0x7E000000, 0x34000000)  # cbz
    found: Words = (computes | branches) & (words >> 31 == 0)
    return found


def _is_known(words: Words) -> Words:
    """C4.1 "A64 instruction set encoding": groups that are reserved or not allocated, and the scalable extensions,
    whose results are in general registers at times."""
    group = words >> 25 & 15
    is_memory = has_bits(words, 0x80000000, 0x80000000)
    found: Words = ~np.isin(group, (0, 1, 3)) & ((group != 2) | is_memory)
    return found
