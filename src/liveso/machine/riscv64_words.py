"""The instructions of RISC-V code (The RISC-V Instruction Set Manual, Volume I, "RV32/64G Instruction Set Listings").

A compressed instruction stands for a whole one, and is read as that.
"""

import numpy as np

from liveso.machine import reaching
from liveso.machine.riscv64_compressed import whole
from liveso.machine.riscv64_registers import FREED, NAMES, registers
from liveso.machine.words import NO_REGISTER, CodeWords, Part, Words, has_bits

_HALF, _WHOLE = 2, 4  # bytes of an instruction
_SOON = 8  # instructions
_RA, _SP, _T0, _S0 = 1, 2, 5, 8
_RESULT = NAMES.index("a0")
_UNIMP = 0xC0001073  # a write to the counter of cycles, which cannot be written
_NOP = 0x00000013


def code_words(content: bytes, start: int) -> CodeWords:
    """What the instructions of `content`, which lies at `start`, do with addresses."""
    at, words, size = instructions(content)
    places = at + start
    part, number, calls_far = _addresses(words, places)
    target, calls, jumps, goes_on = _flow(words, places, calls_far, number)
    reads, writes = registers(words)
    rd, rs1, rs2 = (words >> low & 31 for low in (7, 15, 20))
    is_narrow = np.isin(words & 0x7F, (0x1B, 0x3B))
    return CodeWords(
        places,
        size,
        part,
        number,
        base=np.where((part == Part.COPY) & (rs1 == 0), rs2, rs1).astype("u1"),
        result=rd.astype("u1"),
        reads=reads,
        writes=writes,
        target=target,
        goes_on=goes_on,
        calls=calls,
        jumps=jumps,
        asks_descriptor=np.zeros(len(words), np.bool_),
        is_known=words != 0,
        wide=np.where(is_narrow, 0, reads).astype("<u4"),
        **_frame(words),
        moves_stack=writes >> _SP & 1 == 1,
        second_at=np.zeros(len(words), "<i8"),
        compares=_compares(words),
        is_filler=(words == _NOP) | (words == 0),
        is_end=_ends(words),
    )


def instructions(content: bytes) -> tuple[Words, Words, Words]:
    """Where each instruction of code begins, in bytes, the whole one that it is or stands for, and its size; 0 is for
    what is none. The lowest two bits of the first half of a whole one are set ("Base Instruction-Length Encoding")."""
    halves = np.frombuffer(content, "<u2", count=len(content) // _HALF)
    is_long = halves & 3 == 3
    numbers = np.arange(len(halves), dtype="<i8")
    # a half begins an instruction, unless the one before it does so and is of a whole one
    certain = np.append(True, ~is_long[:-1])[: len(halves)]
    begins = (numbers - np.maximum.accumulate(np.where(certain, numbers, 0))) % 2 == 0
    first = np.flatnonzero(begins)
    low = halves[first].astype("<u4")
    high = np.append(halves, np.uint16(0))[first + 1].astype("<u4")
    is_whole = is_long[first] & (low & 0x1C != 0x1C) & (first + 1 < len(halves))
    words = np.where(is_whole, low | high << np.uint32(16), 0).astype("<u4")
    compressed = ~is_long[first]
    words[compressed] = whole(low[compressed])
    return first * _HALF, words, np.where(is_long[first], _WHOLE, _HALF).astype("<i8")


def undecoded(code: bytes, at: int) -> tuple[int, None] | None:
    """The size of an instruction of an extension that capstone does not know (Zba, Zbb, "V"); none of them refers to
    memory relative to itself. None for what is no instruction."""
    half = int.from_bytes(code[at : at + _HALF], "little")
    size = _WHOLE if half & 3 == 3 else _HALF
    return None if half == 0 or half & 0x1F == 0x1F or at + size > len(code) else (size, None)


def extended_words(content: bytes) -> Words:
    """The places of LW in code, in bytes: the sign of what it loads fills the register."""
    at, words, _size = instructions(content)
    found: Words = at[has_bits(words, 0x707F, 0x2003)]
    return found


def adds_words(content: bytes) -> bool:
    """Whether code adds what it loads by LW by way of the register that its first instruction writes, or of a sum with
    that, to that one, soon afterwards, by ADD."""
    _at, words, _size = instructions(content)
    if not len(words):
        return False
    rd, rs1, rs2 = ((words >> low & 31).tolist() for low in (7, 15, 20))
    adds, loads = has_bits(words, 0xFE00707F, 0x33).tolist(), has_bits(words, 0x707F, 0x2003).tolist()
    table, elements, loaded = rd[0], {rd[0]}, set[int]()
    for at in range(1, min(2 * _SOON, len(words))):
        pair = {rs1[at], rs2[at]}
        if adds[at] and table in pair and pair & loaded:
            return True
        if adds[at] and table in pair:
            elements.add(rd[at])
        elif loads[at] and rs1[at] in elements:
            loaded.add(rd[at])
    return False


def reached_behind(content: bytes) -> int:
    """How far behind a variable of a thread's block, in bytes, code gets that begins with the reference to its slot: by
    a number that is added to what the next call leaves, or the sum of a distance and the thread pointer."""
    _at, words, _size = instructions(content)
    return reaching.reached_behind(code_words(content, 0), words >> 20 & 31, FREED, _RESULT)


def _signed(words: Words, low: int, bits: int) -> Words:
    """A field of `bits` bits from bit `low` on, as a number with sign."""
    found: Words = (words.astype("<i8") >> low & ((1 << bits) - 1) ^ (1 << (bits - 1))) - (1 << (bits - 1))
    return found


def _stored(words: Words) -> Words:
    """The number in a store, whose two parts are apart."""
    found: Words = _signed(words, 25, 7) << 5 | (words.astype("<i8") >> 7 & 31)
    return found


def _addresses(words: Words, places: Words) -> tuple[Words, Words, Words]:
    """What each instruction has of an address, and the number that goes with it; and which are the second of the two
    that call, or branch to, what is far: AUIPC and JALR."""
    part, number = np.zeros(len(words), "u1"), np.zeros(len(words), "<i8")
    opcode, kind = words & 0x7F, words >> 12 & 7
    rd, rs1, rs2 = (words >> low & 31 for low in (7, 15, 20))

    is_page = opcode == 0x17
    part[is_page] = Part.PAGE
    number[is_page] = places[is_page] + (_signed(words[is_page], 12, 20) << 12)
    behind_page = np.append(False, is_page[:-1] & (rd[:-1] == rs1[1:]))[: len(words)]

    immediate = _signed(words, 20, 12)
    adds = (opcode == 0x13) & (kind == 0) & (rs1 != 0) & (rd != 0)
    is_copy = adds & (immediate == 0) & ~behind_page
    part[adds & ~is_copy], part[is_copy] = Part.SUM, Part.COPY
    plain = has_bits(words, 0xFE00707F, 0x33) & (rd != 0)
    part[plain] = np.where((rs1 == 0) | (rs2 == 0), Part.COPY, Part.INDEX)[plain]
    part[(has_bits(words, 0xFE00107F, 0x20000033) & (kind > 0))] = Part.INDEX  # sh1add, sh2add, sh3add
    loads = (opcode == 0x03) | ((opcode == 0x07) & np.isin(kind, (1, 2, 3, 4)))
    stores = (opcode == 0x23) | ((opcode == 0x27) & np.isin(kind, (1, 2, 3, 4)))
    part[loads | stores] = Part.ACCESS
    number[adds | loads] = immediate[adds | loads]
    number[stores] = _stored(words[stores])

    far = behind_page & has_bits(words, 0x707F, 0x67)
    at = np.flatnonzero(far)
    number[at] = number[at - 1] + immediate[at]
    part[at - 1] = Part.NONE
    return part, number, far


def _flow(words: Words, places: Words, is_far: Words, number: Words) -> tuple[Words, Words, Words, Words]:
    """Where each instruction leads, whether it calls or jumps to what is in a register, and whether the next one may
    run then ("Control Transfer Instructions"; JALR: by which registers functions are called and return)."""
    opcode, rd, rs1 = words & 0x7F, words >> 7 & 31, words >> 15 & 31
    target = np.full(len(words), -1, "<i8")
    is_near, to_register, is_branch = opcode == 0x6F, has_bits(words, 0x707F, 0x67), opcode == 0x63
    bits = words.astype("<i8")
    near = _signed(words, 31, 1) << 20 | (bits >> 12 & 255) << 12 | (bits >> 20 & 1) << 11 | (bits >> 21 & 1023) << 1
    target[is_near] = (places + near)[is_near]
    short = _signed(words, 31, 1) << 12 | (bits >> 7 & 1) << 11 | (bits >> 25 & 63) << 5 | (bits >> 8 & 15) << 1
    target[is_branch] = (places + short)[is_branch]
    target[is_far] = number[is_far]
    links = (rd == _RA) | (rd == _T0)
    calls = (is_near | to_register) & links
    returns = to_register & ~links & ((rs1 == _RA) | (rs1 == _T0)) & ~is_far
    jumps = to_register & ~links & ~returns & ~is_far
    goes_on = ~((is_near | to_register) & ~links) & ~_ends(words)
    return target, calls, jumps, goes_on


def _ends(words: Words) -> Words:
    found: Words = (words == 0x00100073) | (words == _UNIMP)  # ebreak
    return found


def _compares(words: Words) -> Words:
    """Branches that compare two registers, and differences that only what asks whether they are zero goes on from."""
    opcode, kind = words & 0x7F, words >> 12 & 7
    rd, rs1, rs2 = (words >> low & 31 for low in (7, 15, 20))
    branches = (opcode == 0x63) & (rs1 != 0) & (rs2 != 0)
    differs = has_bits(words, 0xFE00707F, 0x40000033) | has_bits(words, 0xFE00707F, 0x4033)  # sub, xor
    asks = has_bits(words, 0xFFF0707F, 0x00103013) | (has_bits(words, 0xFE00707F, 0x3033) & (rs1 == 0))
    asked = np.where(has_bits(words, 0x707F, 0x3013), rs1, rs2)
    follows = np.append(asks[1:] & (asked[1:] == rd[:-1]), False)[: len(words)]
    orders = (opcode == 0x33) & (words >> 25 == 0) & np.isin(kind, (2, 3)) & (rs1 != 0) & (rs2 != 0)
    found: Words = branches | (differs & follows) | orders
    return found


def _frame(words: Words) -> dict[str, Words]:
    """Accesses of whole words, and others, by way of the stack or frame pointer."""
    opcode, kind, base = words & 0x7F, words >> 12 & 7, words >> 15 & 31
    is_float = (opcode == 0x07) | (opcode == 0x27)
    loads = (opcode == 0x03) | ((opcode == 0x07) & np.isin(kind, (1, 2, 3, 4)))
    stores = (opcode == 0x23) | ((opcode == 0x27) & np.isin(kind, (1, 2, 3, 4)))
    is_frame = (loads | stores) & ((base == _SP) | (base == _S0))
    is_whole = is_frame & ~is_float & (kind == 3)
    register = np.where(stores, words >> 20 & 31, words >> 7 & 31)
    return {
        "frame_base": np.where(is_frame, base, 0).astype("u1"),
        "frame_offset": np.where(stores, _stored(words), _signed(words, 20, 12)),
        "frame_size": (1 << (kind & 3)).astype("<i8"),
        "is_store": is_frame & stores,
        "first": np.where(is_whole & (register != 0), register, NO_REGISTER).astype("u1"),
        "second": np.full(len(words), NO_REGISTER, "u1"),
    }
