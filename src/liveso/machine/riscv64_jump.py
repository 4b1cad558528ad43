"""The entry jump of RISC-V (The RISC-V Instruction Set Manual, Volume I, AUIPC and JALR), by t1, which linkers change
on the way to a function, too (RISC-V ELF psABI, "Procedure Linkage Table")."""

from typing import TypeVar

import numpy as np

from liveso.machine.entry_jump import EntryJump
from liveso.machine.words import Words

_AUIPC, _JALR = 0x00000317, 0x00030067  # auipc t1, 0; jalr zero, 0(t1)
_Number = TypeVar("_Number", int, Words)
_LOW = 1 << 11
_SIZE = 8
_REACH = 1 << 31


def upper(distance: _Number) -> _Number:
    """What AUIPC adds on the way to a distance, of which the rest is a number with sign of 12 bits."""
    return (distance + _LOW) >> 12 << 12


def _encode(distances: Words) -> Words:
    distances = distances.astype("<i8")
    pages = upper(distances)
    words = np.stack([_AUIPC | pages & 0xFFFFF000, _JALR | ((distances - pages) & 0xFFF) << 20], axis=1)
    return words.astype("<u4").view(np.uint8).reshape(-1, _SIZE)


def _decode(content: bytes) -> int | None:
    first, second = int.from_bytes(content[:4], "little"), int.from_bytes(content[4:_SIZE], "little")
    if first & 0xFFF != _AUIPC or second & 0xFFFFF != _JALR:
        return None
    pages, lower = first & ~0xFFF, second >> 20
    return (pages - ((pages & _REACH) << 1)) + (lower - ((lower & _LOW) << 1))


RISCV64_JUMP = EntryJump(_SIZE, range(-_REACH, _REACH - _LOW), _encode, _decode)
