"""Compressed instructions of RISC-V, as the whole ones that they stand for (The RISC-V Instruction Set Manual, Volume
I, "C" Extension for Compressed Instructions)."""

from collections.abc import Callable
from functools import cache

import numpy as np

from liveso.machine.words import Words

_ADDI, _LUI, _LOAD, _LOAD_FLOAT, _STORE, _STORE_FLOAT = 0x13, 0x37, 0x03, 0x07, 0x23, 0x27
_ADDIW, _ADD, _ADDW, _BRANCH, _JALR, _JAL = 0x1B, 0x33, 0x3B, 0x63, 0x67, 0x6F
_EBREAK = 0x00100073
_RA, _SP = 1, 2


def whole(halves: Words) -> Words:
    """The whole instruction of each compressed one; 0 for what is none."""
    return _all()[halves]


@cache
def _all() -> Words:
    halves = np.arange(1 << 16, dtype="<i8")
    found = np.zeros(len(halves), "<i8")
    for mask, value, expand in _KINDS:
        which = halves & mask == value
        found[which] = expand(halves[which])
    found[0] = 0
    return found.astype("<u4")


def _bits(halves: Words, *ranges: tuple[int, int, int]) -> Words:
    """A number of which some bits, from the first up to the second, stand in halves from the bit `at` on."""
    found: Words = np.zeros(len(halves), "<i8")
    for first, last, at in ranges:
        found |= (halves >> at & ((1 << (last - first + 1)) - 1)) << first
    return found


def _signed(numbers: Words, bits: int) -> Words:
    found: Words = (numbers ^ (1 << (bits - 1))) - (1 << (bits - 1))
    return found


def _rd(halves: Words) -> Words:
    found: Words = halves >> 7 & 31
    return found


def _rs2(halves: Words) -> Words:
    found: Words = halves >> 2 & 31
    return found


def _low(halves: Words) -> Words:
    """One of the eight registers that short fields name, in the lower of both."""
    found: Words = (halves >> 2 & 7) + 8
    return found


def _high(halves: Words) -> Words:
    found: Words = (halves >> 7 & 7) + 8
    return found


def _of_immediate(opcode: int, kind: int, rd: Words | int, rs1: Words | int, number: Words | int) -> Words:
    return np.asarray(opcode | kind << 12 | rd << 7 | rs1 << 15 | (number & 0xFFF) << 20)


def _of_store(opcode: int, kind: int, rs1: Words | int, rs2: Words, number: Words) -> Words:
    return np.asarray(opcode | kind << 12 | rs1 << 15 | rs2 << 20 | (number & 31) << 7 | (number >> 5 & 127) << 25)


def _of_registers(opcode: int, kind: int, rd: Words, rs1: Words | int, rs2: Words, more: int = 0) -> Words:
    return np.asarray(opcode | kind << 12 | rd << 7 | rs1 << 15 | rs2 << 20 | more << 25)


def _of_branch(kind: int, halves: Words) -> Words:
    number = _signed(_bits(halves, (8, 8, 12), (3, 4, 10), (6, 7, 5), (1, 2, 3), (5, 5, 2)), 9)
    placed = (number >> 11 & 1) << 7 | (number >> 1 & 15) << 8 | (number >> 5 & 63) << 25 | (number >> 12 & 1) << 31
    return np.asarray(_BRANCH | kind << 12 | _high(halves) << 15 | placed)


def _of_jump(halves: Words) -> Words:
    number = _bits(halves, (11, 11, 12), (4, 4, 11), (8, 9, 9), (10, 10, 8), (6, 6, 7), (7, 7, 6), (1, 3, 3), (5, 5, 2))
    number = _signed(number, 12)
    placed = (
        (number >> 12 & 255) << 12 | (number >> 11 & 1) << 20 | (number >> 1 & 1023) << 21 | (number >> 20 & 1) << 31
    )
    return np.asarray(_JAL | placed)


def _immediate(halves: Words) -> Words:
    return _signed(_bits(halves, (5, 5, 12), (0, 4, 2)), 6)


def _shift(halves: Words) -> Words:
    return _bits(halves, (5, 5, 12), (0, 4, 2))


def _near_word(halves: Words) -> Words:
    return _bits(halves, (3, 5, 10), (2, 2, 6), (6, 6, 5))


def _near_double(halves: Words) -> Words:
    return _bits(halves, (3, 5, 10), (6, 7, 5))


def _loaded_word(halves: Words) -> Words:
    return _bits(halves, (5, 5, 12), (2, 4, 4), (6, 7, 2))


def _loaded_double(halves: Words) -> Words:
    return _bits(halves, (5, 5, 12), (3, 4, 5), (6, 8, 2))


def _stored_word(halves: Words) -> Words:
    return _bits(halves, (2, 5, 9), (6, 7, 7))


def _stored_double(halves: Words) -> Words:
    return _bits(halves, (3, 5, 10), (6, 8, 7))


def _frame_address(halves: Words) -> Words:
    return _bits(halves, (4, 5, 11), (6, 9, 7), (2, 2, 6), (3, 3, 5))


def _frame_size(halves: Words) -> Words:
    return _signed(_bits(halves, (9, 9, 12), (4, 4, 6), (6, 6, 5), (7, 8, 3), (5, 5, 2)), 10)


def _upper(halves: Words) -> Words:
    placed: Words = _LUI | _rd(halves) << 7 | (_immediate(halves) & 0xFFFFF) << 12
    return placed


def _computed(more: int, kind: int, opcode: int) -> Callable[[Words], Words]:
    return lambda it: _of_registers(opcode, kind, _high(it), _high(it), _low(it), more)


_KINDS: tuple[tuple[int, int, Callable[[Words], Words]], ...] = (
    # the first quarter, by its registers of three bits
    (0xE003, 0x0000, lambda it: _of_immediate(_ADDI, 0, _low(it), _SP, _frame_address(it))),
    (0xE003, 0x2000, lambda it: _of_immediate(_LOAD_FLOAT, 3, _low(it), _high(it), _near_double(it))),
    (0xE003, 0x4000, lambda it: _of_immediate(_LOAD, 2, _low(it), _high(it), _near_word(it))),
    (0xE003, 0x6000, lambda it: _of_immediate(_LOAD, 3, _low(it), _high(it), _near_double(it))),
    (0xE003, 0xA000, lambda it: _of_store(_STORE_FLOAT, 3, _high(it), _low(it), _near_double(it))),
    (0xE003, 0xC000, lambda it: _of_store(_STORE, 2, _high(it), _low(it), _near_word(it))),
    (0xE003, 0xE000, lambda it: _of_store(_STORE, 3, _high(it), _low(it), _near_double(it))),
    # the second one
    (0xE003, 0x0001, lambda it: _of_immediate(_ADDI, 0, _rd(it), _rd(it), _immediate(it))),
    (0xE003, 0x2001, lambda it: _of_immediate(_ADDIW, 0, _rd(it), _rd(it), _immediate(it))),
    (0xE003, 0x4001, lambda it: _of_immediate(_ADDI, 0, _rd(it), 0, _immediate(it))),
    (0xE003, 0x6001, _upper),
    (0xEF83, 0x6101, lambda it: _of_immediate(_ADDI, 0, _SP, _SP, _frame_size(it))),
    (0xEC03, 0x8001, lambda it: _of_immediate(_ADDI, 5, _high(it), _high(it), _shift(it))),
    (0xEC03, 0x8401, lambda it: _of_immediate(_ADDI, 5, _high(it), _high(it), _shift(it) | 0x400)),
    (0xEC03, 0x8801, lambda it: _of_immediate(_ADDI, 7, _high(it), _high(it), _immediate(it))),
    (0xFC63, 0x8C01, _computed(0x20, 0, _ADD)),
    (0xFC63, 0x8C21, _computed(0, 4, _ADD)),
    (0xFC63, 0x8C41, _computed(0, 6, _ADD)),
    (0xFC63, 0x8C61, _computed(0, 7, _ADD)),
    (0xFC63, 0x9C01, _computed(0x20, 0, _ADDW)),
    (0xFC63, 0x9C21, _computed(0, 0, _ADDW)),
    (0xE003, 0xA001, _of_jump),
    (0xE003, 0xC001, lambda it: _of_branch(0, it)),
    (0xE003, 0xE001, lambda it: _of_branch(1, it)),
    # the third one
    (0xE003, 0x0002, lambda it: _of_immediate(_ADDI, 1, _rd(it), _rd(it), _shift(it))),
    (0xE003, 0x2002, lambda it: _of_immediate(_LOAD_FLOAT, 3, _rd(it), _SP, _loaded_double(it))),
    (0xE003, 0x4002, lambda it: _of_immediate(_LOAD, 2, _rd(it), _SP, _loaded_word(it))),
    (0xE003, 0x6002, lambda it: _of_immediate(_LOAD, 3, _rd(it), _SP, _loaded_double(it))),
    (0xF003, 0x8002, lambda it: _of_registers(_ADD, 0, _rd(it), 0, _rs2(it))),
    (0xF07F, 0x8002, lambda it: _of_immediate(_JALR, 0, 0, _rd(it), 0)),
    (0xF003, 0x9002, lambda it: _of_registers(_ADD, 0, _rd(it), _rd(it), _rs2(it))),
    (0xF07F, 0x9002, lambda it: _of_immediate(_JALR, 0, _RA, _rd(it), 0)),
    (0xFFFF, 0x9002, lambda it: np.full(len(it), _EBREAK)),
    (0xE003, 0xA002, lambda it: _of_store(_STORE_FLOAT, 3, _SP, _rs2(it), _stored_double(it))),
    (0xE003, 0xC002, lambda it: _of_store(_STORE, 2, _SP, _rs2(it), _stored_word(it))),
    (0xE003, 0xE002, lambda it: _of_store(_STORE, 3, _SP, _rs2(it), _stored_double(it))),
)
"""The bits of a compressed instruction that tell its kind, what they are, and the whole one; later rows are about some
of those of earlier ones."""
