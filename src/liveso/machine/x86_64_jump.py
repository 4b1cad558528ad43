"""The entry jump of x86-64 (AMD64 Manual 3, "JMP (Near)"): an opcode, and a displacement from its end."""

import numpy as np

from liveso.machine.entry_jump import EntryJump
from liveso.machine.words import Words

_OPCODE = b"\xe9"
_SIZE = 5


def _encode(distances: Words) -> Words:
    found = np.empty((len(distances), _SIZE), np.uint8)
    found[:, 0] = _OPCODE[0]
    found[:, 1:] = (distances - _SIZE).astype("<i4").view(np.uint8).reshape(-1, 4)
    return found


def _decode(content: bytes) -> int | None:
    if content[:1] != _OPCODE:
        return None
    return _SIZE + int.from_bytes(content[1:_SIZE], "little", signed=True)


X86_64_JUMP = EntryJump(_SIZE, range(_SIZE - (1 << 31), _SIZE + (1 << 31)), _encode, _decode)
