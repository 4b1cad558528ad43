"""The entry jump of AArch64 (Arm Architecture Reference Manual, C6.2 "B"): one word, so that a thread executes either
what was there before or all of it. An island loads an address that lies behind it into x16, as linkers' veneers do
(Procedure Call Standard for the Arm 64-bit Architecture, "Use of IP0 and IP1 by the linker")."""

from collections.abc import Sequence

import numpy as np

from liveso.machine.entry_jump import EntryJump
from liveso.machine.words import Words

_OPCODE, _BITS = 0x14000000, 26
_SIZE = 4
_REACH = 1 << (_BITS + 1)
_ISLAND = 0xD61F0200_58000050  # ldr x16, .+8; br x16


def _encode(distances: Words) -> Words:
    words = (distances.astype("<i8") >> 2 & ((1 << _BITS) - 1)).astype("<u4") | np.uint32(_OPCODE)
    return words.astype("<u4").view(np.uint8).reshape(-1, _SIZE)


def _decode(content: bytes) -> int | None:
    word = int.from_bytes(content[:_SIZE], "little")
    if word >> _BITS != _OPCODE >> _BITS:
        return None
    number = word & ((1 << _BITS) - 1)
    return (number - (number >> (_BITS - 1) << _BITS)) * _SIZE


def _island(addresses: Words) -> Words:
    return np.stack([np.full(len(addresses), _ISLAND, "<u8"), addresses.astype("<u8")], axis=1)


def _led_on(words: Sequence[int]) -> int | None:
    return words[1] if words[0] == _ISLAND else None


AARCH64_JUMP = EntryJump(_SIZE, range(-_REACH, _REACH), _encode, _decode, _island, _led_on)
