"""How the caller's registers are found at each place of a function: one entry of .eh_frame (FDE) with the one that it
begins with (CIE), decoded by pyelftools (LSB Core, "Exception Frames"; DWARF 5, 6.4).

What was decoded is kept by the bytes of both entries: whatever process has the same bytes means the same by them, and
none can have others decoded in another's place.
"""

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

from elftools.dwarf.callframe import CIE, FDE, CallFrameInfo, RegisterRule

from liveso.process.expressions import STRUCTS, Expression, parse
from liveso.process.mapped import MappedObject
from liveso.process.memory import Memory, Unreadable

_LARGEST_CIE, _LARGEST_FDE = 256, 8192  # bytes; the largest of 200,000 in Debian 12's LLVM, Node, JVM: 36 and 3,144
_MOST_INSTRUCTIONS, _MOST_REGISTERS, _MOST_SAVED = 4096, 64, 4096
_HEADER = struct.Struct("<BBBBiI")
_ENCODINGS = (0x1B, 0x03, 0x3B)  # of .eh_frame, of how many there are, and of the table, as linkers write them
_ENTRY = struct.Struct("<ii")
_MOST_ENTRIES = 1 << 24
_WORD = struct.Struct("<I")
_RELATIVE = 0x10  # DW_EH_PE_pcrel
_SET_LOC, _REMEMBER_STATE, _DEF_CFA_SF = 0x01, 0x0A, 0x12
_GNU_ARGS_SIZE = 0x2E  # of no matter here, and what pyelftools parses, but cannot decode
_OFFSET = 0x80  # with the register's number in its lower bits
_OF_REGISTERS = frozenset({0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11, 0x14, 0x15, 0x16})

UNDEFINED, AT, VALUE, REGISTER, AT_EXPRESSION, VALUE_EXPRESSION = "undefined", "at", "value", "register", "at()", "()"


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the caller's value of a register is: lost, in memory at the canonical frame address (CFA) with `number`
    added, that address itself, in register `number`; or in memory where the expression says, or its value."""

    kind: str
    number: int = 0
    expression: Expression = ()


@dataclass(frozen=True, slots=True)
class Row:
    """From a place of the function on: the CFA, which is a register with something added, or an expression; and the
    rules of the registers that are not left as they were."""

    register: int
    offset: int
    expression: Expression
    rules: tuple[tuple[int, Rule], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """Where a function's rows begin, and what pyelftools says of each. `start` is absolute, or relative to the FDE,
    which has `length` bytes."""

    start: int
    is_relative: bool
    size: int
    return_address: int
    is_signal_frame: bool
    length: int
    places: tuple[int, ...]
    lines: tuple[dict[Any, Any], ...]


def description_at(memory: Memory, image: MappedObject, address: int) -> tuple[Description, Row, int]:
    """What the unwind table of `image` says of the code at `address`, and where that function begins. Raises Unreadable
    where it says nothing, or is not as linkers write it."""
    place = _place(memory, image, address)
    fde = _entry(memory, place, _LARGEST_FDE)
    pointer = int(_WORD.unpack_from(fde, 4)[0])
    cie = _entry(memory, place + 4 - pointer, _LARGEST_CIE)
    if not pointer or _WORD.unpack_from(cie, 4)[0]:
        raise Unreadable(f"the unwind table of {image.name} is damaged")
    found = _decoded(cie, fde)
    start = found.start + place * found.is_relative
    at = address - start
    if not 0 <= at < found.size:
        raise Unreadable(f"{image.name} has no unwind entry for {address - image.base:#x}")
    index = bisect_right(found.places, at) - 1
    if index < 0:
        raise Unreadable(f"the unwind table of {image.name} is damaged")
    return found, _row(cie, fde, index), start


def _place(memory: Memory, image: MappedObject, address: int) -> int:
    """Where the FDE is that can be for `address`, by the sorted table in .eh_frame_hdr."""
    table = image.unwind_table.start
    if len(image.unwind_table) < _HEADER.size:
        raise Unreadable(f"{image.name} has no unwind table")
    version, *encodings, _frames, count = _HEADER.unpack(memory.content(table, _HEADER.size))
    if version != 1 or tuple(encodings) != _ENCODINGS:
        raise Unreadable(f"the unwind table of {image.name} is not sorted as linkers do it")
    first = table + _HEADER.size
    if count > _MOST_ENTRIES or count * _ENTRY.size > len(image.unwind_table) - _HEADER.size:
        raise Unreadable(f"the unwind table of {image.name} is longer than its segment")
    low, high, wanted = 0, count, address - table
    while low < high:
        middle = (low + high) // 2
        if _ENTRY.unpack(memory.content(first + middle * _ENTRY.size, _ENTRY.size))[0] <= wanted:
            low = middle + 1
        else:
            high = middle
    if not low:
        raise Unreadable(f"{image.name} has no unwind entry for {address - image.base:#x}")
    return table + int(_ENTRY.unpack(memory.content(first + (low - 1) * _ENTRY.size, _ENTRY.size))[1])


def _entry(memory: Memory, place: int, largest: int) -> bytes:
    size = int(_WORD.unpack(memory.content(place, 4))[0])
    if not 4 <= size <= largest:  # 0 ends the table, and 2^32-1 says that the length follows in 64 bits
        raise Unreadable(f"an unwind entry has {size} bytes")
    return memory.content(place, 4 + size)


@lru_cache(maxsize=1 << 14)
def _decoded(cie: bytes, fde: bytes) -> Description:
    """Raises Unreadable, and nothing else, whatever the bytes are."""
    content = cie + fde[:4] + _WORD.pack(len(cie) + 4) + fde[8:]
    try:
        entries = CallFrameInfo(BytesIO(content), len(content), 0, STRUCTS, for_eh_frame=True).get_entries()
        first, second = entries
        if not isinstance(first, CIE) or not isinstance(second, FDE):
            raise Unreadable("an unwind entry is damaged")
        for it in (first, second):
            _check(it.instructions)
            it.instructions[:] = [each for each in it.instructions if int(each.opcode) != _GNU_ARGS_SIZE]
        lines = second.get_decoded().table
        start = int(second["initial_location"])
        augmentation: dict[Any, Any] = first.augmentation_dict
        is_relative = bool(augmentation["FDE_encoding"] & _RELATIVE)
        return Description(
            start=start - len(cie) * is_relative,
            is_relative=is_relative,
            size=int(second["address_range"]),
            return_address=int(first["return_address_register"]),
            is_signal_frame=True in augmentation,  # pyelftools' way to say "S"
            length=len(fde),
            places=tuple(int(line["pc"]) - start for line in lines),
            lines=tuple(lines),
        )
    except Unreadable:
        raise
    except Exception as error:  # pyelftools trusts its input: assertions, and errors of Python's own
        raise Unreadable(f"an unwind entry cannot be decoded ({type(error).__name__})") from error


def _check(instructions: Sequence[Any]) -> None:
    """Raises Unreadable where decoding would take more than compilers make necessary, or go wrong: pyelftools takes
    DW_CFA_set_loc for absolute, and scales DW_CFA_def_cfa_sf by the other factor."""
    kinds = [int(it.opcode) for it in instructions]
    registers = {
        it.args[0] for it, kind in zip(instructions, kinds, strict=True) if kind in _OF_REGISTERS or kind & _OFFSET
    }
    if len(kinds) > _MOST_INSTRUCTIONS or len(registers) > _MOST_REGISTERS:
        raise Unreadable("an unwind entry is longer than any compiler's")
    if kinds.count(_REMEMBER_STATE) * (len(registers) + 1) > _MOST_SAVED:
        raise Unreadable("an unwind entry has more states than any compiler's")
    if _SET_LOC in kinds or _DEF_CFA_SF in kinds:
        raise Unreadable("an unwind entry has an instruction that no known compiler writes")


@lru_cache(maxsize=1 << 15)
def _row(cie: bytes, fde: bytes, index: int) -> Row:
    """Raises Unreadable, and nothing else."""
    line = _decoded(cie, fde).lines[index]
    try:
        cfa = line["cfa"]
        rules = tuple((number, rule) for number, it in line.items() if isinstance(number, int) and (rule := _rule(it)))
        if cfa.expr is not None:
            return Row(0, 0, parse(cfa.expr), rules)
        return Row(int(cfa.reg), int(cfa.offset), (), rules)
    except Unreadable:
        raise
    except Exception as error:  # as above
        raise Unreadable(f"an unwind entry cannot be decoded ({type(error).__name__})") from error


def _rule(it: Any) -> Rule | None:
    if it.type == RegisterRule.EXPRESSION:
        return Rule(AT_EXPRESSION, 0, parse(it.arg))
    if it.type == RegisterRule.VAL_EXPRESSION:
        return Rule(VALUE_EXPRESSION, 0, parse(it.arg))
    kinds = {RegisterRule.OFFSET: AT, RegisterRule.VAL_OFFSET: VALUE, RegisterRule.REGISTER: REGISTER}
    if it.type in kinds:
        return Rule(kinds[it.type], int(it.arg))
    return Rule(UNDEFINED) if it.type == RegisterRule.UNDEFINED else None
