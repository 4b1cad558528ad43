"""What instructions do with registers: what they compute, and what that says about the members that it came from."""

from dataclasses import replace

from liveso.code.form import Operation
from liveso.code.instructions import Instruction
from liveso.code.operations import (
    ADDS,
    COMPARES,
    ENCODES,
    FACTORS,
    FIELDS,
    FLOAT,
    HIDES,
    MASKS,
    NEGATES,
    ONES,
    WHOLE_NUMBERS,
    ZEROS,
    condition,
    parts,
)
from liveso.code.state import INDEXED, State, is_variable
from liveso.code.use import How
from liveso.code.values import Source, Value, either

_COPIES = ("movd", "movq", "movap", "movss", "movsd", "vmov")
_EXTENDS = ("cdqe", "sxtw", "uxtw", "uxtb", "uxth", "sxtb", "sxth")
_ALL_SET = (1 << 128) - 1
_COMPUTED = Value(Source.COMPUTED)


def compute(state: State, it: Instruction) -> None:
    """Follow an instruction that accesses no memory."""
    form = it.form
    name, operands = parts(form.outline)
    with_itself = len(operands) > 1 and len(set(operands[-2:])) == 1
    if name in ZEROS and with_itself:
        state.set(form.written, Value(Source.CONSTANT, 0))
    elif (name in ONES and len(operands) > 1 and len(set(operands[-2:])) == 1) or (
        name == "or" and form.immediate == -1
    ):
        state.set(form.written, Value(Source.CONSTANT, _ALL_SET))
    elif name in ("movi", "mvni") and form.immediate == 0:  # AArch64: all lanes of a vector
        value = Value(Source.CONSTANT, 0 if name == "movi" else _ALL_SET)
        state.set(tuple(it.partition(".")[0] for it in form.written), value)
    elif form.operation is Operation.MOVE:
        constant = None if form.immediate is None else Value(Source.CONSTANT, form.immediate)
        state.set(form.written, constant or state.held(form.source))
    elif name.startswith(_COPIES) and len(operands) == 2:
        state.set(form.written, state.held(operands[1]))
    elif name in _EXTENDS:
        if len(operands) > 1:
            state.set(form.written, state.held(operands[1]))
    elif name in ("div", "idiv") and operands:
        divisor = state.values.get(operands[0])
        if divisor is not None and divisor.spot is not None and divisor.last is None:
            state.add(it.address, divisor.spot, How.DIVIDE, is_float=False)
        divide(state, it.address, state.constant_of(operands))
    elif name.startswith("cmov"):
        state.set(form.written, either(state.held(operands[0]), state.held(operands[1])))
    elif name in ENCODES and operands:
        _encode(state, it.address, name, form.written, state.held(operands[-1]))
    elif name == "sub" and len(operands) == 2 and state.constant_of(operands[:1]) == 0:
        negate(state, it.address, form.written, state.held(operands[1]))
    elif operands:
        _operate(state, it, name, operands)


def divide(state: State, address: int, constant: int | None) -> None:
    """x86-64: a quotient in one register, the remainder in another."""
    for register, name in (("rax", "div"), ("rdx", "rem")):
        state.set((register,), None if constant is None else _COMPUTED.after(name, constant, address))


def negate(state: State, address: int, written: tuple[str, ...], held: Value | None) -> None:
    """Zero less a value."""
    _encode(state, address, NEGATES, written, held)


def _encode(state: State, address: int, name: str, written: tuple[str, ...], held: Value | None) -> None:
    if held is not None and held.spot is not None and held.last is None:
        state.add(address, held.spot, How.ENCODE, what=(name,))
    state.set(written, (held or _COMPUTED).after(name, 0, address))


def _operate(state: State, it: Instruction, name: str, operands: tuple[str, ...]) -> None:
    held = state.values.get(operands[1] if len(operands) >= 3 else operands[0])
    constant = 1 if name in ("inc", "dec") else it.form.immediate
    if name in ("subs", "adds") and condition(state.code, state.index):  # AArch64: compares, by its flags
        constant = -constant if constant is not None and name == "adds" else constant
        name = "cmp"
    if name in FACTORS and len(operands) > 2 and constant is None:
        factors = [state.held(operand) for operand in operands[1:3]]
        constant = next((one.constant for one in factors if one is not None and one.constant is not None), None)
        held = next((one for one in factors if one is not None and one.constant is None), None)
    if name in HIDES and constant is None and held is not None and held.constant is not None:
        constant, held = held.constant, state.values.get(operands[-1])
    if name in ("cbz", "cbnz") or (name == "test" and len(set(operands)) == 1):
        constant, name = 0, "cmp"
    elif constant is None and name in WHOLE_NUMBERS and len(operands) > 1:
        constant = state.constant_of(operands[-1:])
    _tell(state, it.address, name, operands, held, constant)
    if it.form.written:
        state.set(it.form.written, _result(state, it.address, name, operands, held, constant))


def _tell(
    state: State, address: int, name: str, operands: tuple[str, ...], held: Value | None, constant: int | None
) -> None:
    """Add what is done with the members that the operands were loaded from."""
    spot = None if held is None else held.spot
    if held is not None and spot is not None and _is_plain(held, name):
        if name in WHOLE_NUMBERS or name in FIELDS:
            state.operate(address, spot, name, None if constant is None else constant - _added(held), False)
        elif FLOAT.match(name):
            state.add(address, spot, How.READ, is_float=True)
    elif len(operands) == 2 and (name in WHOLE_NUMBERS or FLOAT.match(name)):
        other = state.values.get(operands[1])
        if other is not None and other.spot is not None and other.last is None:
            state.add(address, other.spot, How.READ, is_float=name not in WHOLE_NUMBERS)
    elif spot is not None and (name in MASKS or name in FIELDS) and constant is not None:
        state.operate(address, spot, name, constant, False)  # behind a shift


def _is_plain(held: Value, name: str) -> bool:
    """Whether a value is what was loaded, or, for a comparison, that with something added: a count that was moved
    on."""
    return held.last is None or (name in COMPARES and held.last[0] in ADDS)


def _added(it: Value) -> int:
    """What was added to a value since it was loaded."""
    if it.last is None or it.last[0] not in ADDS:
        return 0
    name, number = it.last
    return -number if name in ("sub", "dec", "subs") else number


def _result(
    state: State, address: int, name: str, operands: tuple[str, ...], held: Value | None, constant: int | None
) -> Value | None:
    if constant is not None and name in WHOLE_NUMBERS:
        if name == "add" and held is not None and held.source is Source.ADDRESS:
            return replace(held, number=held.number + constant)
        return (held or _COMPUTED).after(name, constant, address)
    others = [it for operand in reversed(operands) if (it := state.values.get(operand)) is not None]
    pointer = next((it for it in others if is_variable(it)), None)
    if name == "add" and pointer is not None:
        return pointer.after(INDEXED, 0, address)
    last = next((it for it in others if it.last is not None), None)
    return None if last is None else replace(_COMPUTED, last=last.last, at=last.at)
