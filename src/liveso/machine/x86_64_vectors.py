"""Instructions with a VEX or EVEX prefix, of which a decoder need not know more than how long they are (AMD64 Manual 3,
1.2.7; Intel SDM 2, 2.3 and 2.7). Processors get new ones each year: libcrypto of Debian 13 has AVX-IFMA code.
"""

_VEX, _SHORT_VEX, _EVEX = 0xC4, 0xC5, 0x62
_PREFIXES = {_VEX: 3, _SHORT_VEX: 2, _EVEX: 4}  # bytes
_MAPS = {_VEX: 0x1F, _EVEX: 0x07}  # the bits of the second byte that say which map the opcode is of
_VECTORS = (1, 2, 3, 5, 6)  # the maps of instructions that compute with vectors
_ALWAYS_WITH_IMMEDIATE = 3
_WITH_IMMEDIATE = frozenset((*range(0x70, 0x74), 0xC2, 0xC4, 0xC5, 0xC6))  # of the first map
_GENERAL = range(0xE0, 0xF8)  # of the second: CMPccXADD, BMI, which write general registers
_REGISTERS, _WITH_INDEX, _NO_BASE = 3, 4, 5  # ModRM.mod, ModRM.rm, SIB.base


def vector_instruction(code: bytes, at: int) -> tuple[int, int | None] | None:
    """The size in bytes of the instruction at an offset of `code`, and the displacement by which it refers to memory
    relative to its end, if it does. None where there is none that computes with vectors only, or not all of it."""
    prefix = _PREFIXES.get(code[at])
    if prefix is None or at + prefix + 2 > len(code):
        return None
    opcode_map = code[at + 1] & _MAPS[code[at]] if code[at] in _MAPS else 1
    opcode, operand = code[at + prefix], code[at + prefix + 1]
    if opcode_map not in _VECTORS or (opcode_map == 2 and opcode in _GENERAL):
        return None
    end, displacement = at + prefix + 2, None
    mode, base = operand >> 6, operand & 7
    if mode != _REGISTERS:
        is_relative = mode == 0 and base == _NO_BASE
        if base == _WITH_INDEX:
            base = code[end] & 7 if end < len(code) else 0
            end += 1
        if mode == 2 or (mode == 0 and base == _NO_BASE):
            displacement = int.from_bytes(code[end : end + 4], "little", signed=True) if is_relative else None
            end += 4
        elif mode == 1:
            end += 1
    end += opcode_map == _ALWAYS_WITH_IMMEDIATE or (opcode_map == 1 and opcode in _WITH_IMMEDIATE)
    return (end - at, displacement) if end <= len(code) else None
