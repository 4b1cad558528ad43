"""Words of half the size that x86-64 code loads and extends (AMD64 Manual 3, "MOVSXD", and 1.4 "ModRM and SIB bytes").

Bytes are looked at, and not instructions: a few only look like one.
"""

import re

import numpy as np

from liveso.machine.words import Words

_FORMING = 7  # bytes of an instruction that forms an address: REX, opcode, ModRM, and the displacement
_SOON = 32  # bytes from where a word is loaded to its sum
_LOAD = re.compile(rb"[\x48-\x4f]\x63[\x04\x0c\x14\x1c\x24\x2c\x34\x3c\x44\x4c\x54\x5c\x64\x6c\x74\x7c].", re.DOTALL)
_ADD = re.compile(rb"[\x48-\x4f][\x01\x03][\xc0-\xff]")
_REX, _WIDE = 0xF8, 0x48
_EXTENDING, _REGISTERS = 0x63, 0xC0  # movslq, and the mode of two registers


def extended_words(content: bytes) -> Words:
    """The places of MOVSXD from memory in code, in bytes."""
    code = np.frombuffer(content, np.uint8)
    return np.flatnonzero((code[:-2] & _REX == _WIDE) & (code[1:-1] == _EXTENDING) & (code[2:] < _REGISTERS))


def adds_words(content: bytes) -> bool:
    """Whether code loads a word by way of the register in which its first instruction forms an address, and adds both,
    soon afterwards."""
    if len(content) < _FORMING:
        return False
    table = content[2] >> 3 & 7 | (content[0] & 4) << 1
    for load in _LOAD.finditer(content, _FORMING):
        rex, operand, scaled = load[0][0], load[0][2], load[0][3]
        base, index = scaled & 7 | (rex & 1) << 3, scaled >> 3 & 7 | (rex & 2) << 2
        if table in (base, index):
            word = operand >> 3 & 7 | (rex & 4) << 1
            for it in _ADD.finditer(content, load.end(), load.end() + _SOON):
                pair = it[0][2] >> 3 & 7 | (it[0][0] & 4) << 1, it[0][2] & 7 | (it[0][0] & 1) << 3
                if sorted(pair) == sorted((word, table)):
                    return True
    return False
