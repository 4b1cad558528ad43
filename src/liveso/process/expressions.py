"""The DWARF expressions by which unwind tables compute an address (DWARF 5, 2.5): those that need no more than the
registers of a frame and memory, and go straight on."""

import operator
from collections.abc import Callable, Iterable, Mapping

from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.structs import DWARFStructs

from liveso.process.memory import Memory, Unreadable

STRUCTS = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)

Expression = tuple[tuple[str, int, int], ...]
"""The operations in turn: each with a constant, and the number of the register that it is added to."""

_PARSER = DWARFExprParser(STRUCTS)
_MASK = (1 << 64) - 1
_MOST_OPERATIONS = 64
_REGISTER, _CONSTANT = "register", "constant"


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _compare(relation: Callable[[int, int], bool]) -> Callable[[int, int], int]:
    return lambda left, right: int(relation(_signed(left), _signed(right)))


def _shift(move: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda left, right: move(left, right) if right < 64 else 0


_BINARY: dict[str, Callable[[int, int], int]] = {
    "DW_OP_and": operator.and_,
    "DW_OP_or": operator.or_,
    "DW_OP_xor": operator.xor,
    "DW_OP_plus": operator.add,
    "DW_OP_minus": operator.sub,
    "DW_OP_mul": operator.mul,
    "DW_OP_shl": _shift(operator.lshift),
    "DW_OP_shr": _shift(operator.rshift),
    "DW_OP_eq": _compare(operator.eq),
    "DW_OP_ne": _compare(operator.ne),
    "DW_OP_ge": _compare(operator.ge),
    "DW_OP_gt": _compare(operator.gt),
    "DW_OP_le": _compare(operator.le),
    "DW_OP_lt": _compare(operator.lt),
}
_OTHERS = frozenset({"DW_OP_deref", "DW_OP_dup", "DW_OP_drop", "DW_OP_swap", "DW_OP_nop"})


def parse(content: Iterable[int]) -> Expression:
    """The operations of an expression. Raises Unreadable for those that an
    unwind table has no use for; whatever else pyelftools raises says that it is damaged."""
    found: list[tuple[str, int, int]] = []
    for it in _PARSER.parse_expr(content):
        name = it.op_name
        if name.startswith("DW_OP_breg"):
            number, constant = it.args if name == "DW_OP_bregx" else (int(name.removeprefix("DW_OP_breg")), it.args[0])
            found.append((_REGISTER, constant & _MASK, number))
        elif name.startswith("DW_OP_lit"):
            found.append((_CONSTANT, int(name.removeprefix("DW_OP_lit")), 0))
        elif name.startswith("DW_OP_const") and "type" not in name and "x" not in name:
            found.append((_CONSTANT, it.args[0] & _MASK, 0))
        elif name == "DW_OP_plus_uconst":
            found += [(_CONSTANT, it.args[0] & _MASK, 0), ("DW_OP_plus", 0, 0)]
        elif name in _BINARY or name in _OTHERS:
            found.append((name, 0, 0))
        else:
            raise Unreadable(f"its unwind table has an expression with {name}")
    if len(found) > _MOST_OPERATIONS:
        raise Unreadable("its unwind table has an expression that is longer than any compiler's")
    return tuple(found)


def evaluate(expression: Expression, registers: Mapping[int, int], memory: Memory, *given: int) -> int:
    """What an expression computes, with `given` on its stack. Raises Unreadable."""
    stack = list(given)
    try:
        for name, constant, number in expression:
            if name == _REGISTER:
                stack.append((registers[number] + constant) & _MASK)
            elif name == _CONSTANT:
                stack.append(constant)
            elif name == "DW_OP_deref":
                stack.append(memory.word(stack.pop()))
            elif name == "DW_OP_dup":
                stack.append(stack[-1])
            elif name == "DW_OP_drop":
                stack.pop()
            elif name == "DW_OP_swap":
                stack[-1], stack[-2] = stack[-2], stack[-1]
            elif name != "DW_OP_nop":
                right, left = stack.pop(), stack.pop()
                stack.append(_BINARY[name](left, right) & _MASK)
        return stack[-1]
    except IndexError as error:
        raise Unreadable("its unwind table has an expression without operands") from error
    except KeyError as error:
        raise Unreadable(f"its unwind table needs register {error}, which is not known in this frame") from error
