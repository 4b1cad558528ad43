"""What instructions do with registers: what they compute, and what that says about the members that it came from."""

from dataclasses import replace

from liveso.code.form import Operation
from liveso.code.instructions import Instruction
from liveso.code.operations import (
    ADDS,
    CHANGED_OPERAND,
    COMPARES,
    ENCODES,
    EXTENDS,
    FACTORS,
    FIELDS,
    FLOAT,
    HIDES,
    MASKS,
    NEGATES,
    ONES,
    RIGHT,
    SELECTS,
    SELECTS_BITS,
    WHOLE_NUMBERS,
    ZEROS,
    condition,
    parts,
)
from liveso.code.state import INDEXED, State, is_variable
from liveso.code.use import How
from liveso.code.values import Source, Value, either

_LOADS_CONSTANT = ("mov", "movz", "movn")  # also of one that is only a factor
_COPIES = ("movd", "movq", "movap", "movss", "movsd", "vmov")
_ALL_SET = (1 << 128) - 1
_COMPUTED = Value(Source.COMPUTED)
_TIMES = "mul"
_PARTS = (How.SHIFT, How.FACTOR)
_INDEXES = ("lsl", "sxtw", "uxtw", "sxtx")
_WORD_BITS = 64


def compute(state: State, it: Instruction) -> None:
    """Follow an instruction that accesses no memory."""
    form = it.form
    name, operands = parts(form.outline)
    with_itself = len(operands) > 1 and len(set(operands[-2:])) == 1
    if name in ZEROS and with_itself:
        state.set(form.written, Value(Source.CONSTANT, 0))
    elif (name in ONES and with_itself) or (name == "or" and form.immediate == -1):
        state.set(form.written, Value(Source.CONSTANT, _ALL_SET))
    elif form.operation is Operation.MOVE or (name in _LOADS_CONSTANT and form.immediate is not None):
        constant = None if form.immediate is None else Value(Source.CONSTANT, form.immediate)
        if form.is_signed is not None:
            _extend(state, it.address, state.held(form.source), form.width, form.is_signed)
        state.set(form.written, constant or state.held(form.source))
    elif name.startswith(_COPIES) and len(operands) == 2:
        state.set(form.written, state.held(operands[1]))
    elif name in EXTENDS:
        source = operands[1] if len(operands) > 1 else state.machine.result_register
        _extend(state, it.address, state.held(source), EXTENDS[name], not name.startswith("u"))
        if len(operands) > 1:
            state.set(form.written, state.held(operands[1]))
    elif name in ("div", "idiv") and operands:
        divisor = state.values.get(operands[0])
        if divisor is not None and divisor.spot is not None and divisor.last is None:
            state.add(it.address, divisor.spot, How.DIVIDE, is_float=False)
        divide(state, it.address, state.constant_of(operands))
    elif name.startswith("cmov"):
        state.set(form.written, either(state.held(operands[0]), state.held(operands[1])))
    elif name in SELECTS and len(operands) > 2:
        state.set(form.written, either(state.held(operands[1]), state.held(operands[2])))
    elif name in ENCODES and operands:
        _encode(state, it.address, name, form.written, state.held(operands[-1]))
    elif name == "sub" and len(operands) == 2 and state.constant_of(operands[:1]) == 0:
        negate(state, it.address, form.written, state.held(operands[1]))
    elif operands:
        _operate(state, it, name, operands)


def _extend(state: State, address: int, held: Value | None, width: int, signed_number: bool) -> None:
    """A wider number is made of what was loaded, if that is `width` bytes and was not made wider before."""
    if held is not None and held.spot is not None and held.last is None and held.spot.width == width:
        state.add(address, held.spot, How.EXTEND, signed_number=signed_number)


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
    constant = 1 if name in ("inc", "dec") else it.form.immediate
    last = state.values.get(operands[-1])
    is_index = False
    if CHANGED_OPERAND.match(operands[-1]):
        change, operands = operands[-1].partition(" ")[0], operands[:-1]
        last = _changed(state, it.address, change, state.values.get(operands[-1]), constant)
        is_index, constant = change in _INDEXES and bool(constant), None
    held = state.values.get(operands[1] if len(operands) >= 3 else operands[0])
    multiple = _multiplied(state, it.address, name, held, last if len(operands) >= 3 else None, constant)
    if multiple is not None:
        state.set(it.form.written, multiple)
        return
    done = name
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
    _tell(state, it.address, name, operands, (held, last), constant)
    if not it.form.written:
        return
    if done in ("subs", "adds"):
        constant = -constant if done == "adds" and name == "cmp" and constant is not None else constant
        name = done
    if is_index and name == "add":
        state.set(it.form.written, (held or _COMPUTED).after(INDEXED, 0, it.address))
        return
    sources = [state.values.get(operand) for operand in operands[:-1]] + [last]
    if len(operands) >= 3 and name in WHOLE_NUMBERS:
        del sources[0]  # which is only written
    state.set(it.form.written, _result(it.address, name, held, sources, constant))


def _changed(state: State, address: int, change: str, held: Value | None, amount: int | None) -> Value | None:
    """AArch64: what an operand is that is shifted, or extended, before it is computed with."""
    if amount is None:
        return held
    if change == "lsl" and held is not None and _multiple(held) not in (None, 1):
        return _multiplied(state, address, change, held, None, amount)
    return (held or _COMPUTED).after(change, amount, address)


def _multiple(it: Value) -> int | None:
    """How many times what was loaded a value is; None where it is something else."""
    if it.spot is None or it.last is None:
        return None if it.spot is None else 1
    name, number = it.last
    return number if name == _TIMES else 1 << number if name == "lsl" and 0 <= number < _WORD_BITS else None


def _multiplied(
    state: State, address: int, name: str, held: Value | None, last: Value | None, constant: int | None
) -> Value | None:
    """AArch64: a multiplication by a constant, which compilers make of shifts, sums and differences of one number. Each
    of them stands for those before it."""
    one = _multiple(held) if held is not None else None
    if held is None or held.spot is None or one is None:
        return None
    other = _multiple(last) if last is not None and last.spot == held.spot else None
    if name == "lsl" and constant is not None and one != 1 and held.last is not None and held.last[0] == _TIMES:
        factor = one << constant
    elif name in ("add", "sub") and constant is None and other is not None:
        factor = one + other if name == "add" else one - other
    else:
        return None
    parts = {it.at for it in (held, last) if it is not None and it.last is not None}
    state.found[:] = [
        it for it in state.found if not (it.address in parts and it.spot == held.spot and it.how in _PARTS)
    ]
    state.operate(address, held.spot, _TIMES, factor, False)
    return replace(held, last=(_TIMES, factor), at=address)


def _tell(
    state: State,
    address: int,
    name: str,
    operands: tuple[str, ...],
    values: tuple[Value | None, Value | None],
    constant: int | None,
) -> None:
    """Add what is done with the members that the operands were loaded from: `values` are of the first that is computed
    with, and of the last."""
    held, other = values
    spot = None if held is None else held.spot
    if held is not None and spot is not None and _is_plain(held, name):
        if name in WHOLE_NUMBERS or name in FIELDS:
            state.operate(address, spot, name, None if constant is None else constant - _added(held), False)
        elif FLOAT.match(name):
            state.add(address, spot, How.READ, is_float=True)
    elif held is not None and spot is not None and name in MASKS and constant is not None and held.last is not None:
        shift = held.last[1] & (_WORD_BITS - 1) if held.last[0] in RIGHT else 0
        state.operate(address, spot, name, constant << shift, False)
    elif _has_two(name, operands, constant) and (name in WHOLE_NUMBERS or FLOAT.match(name)):
        if other is not None and other.spot is not None and other.last is None:
            state.add(address, other.spot, How.READ, is_float=name not in WHOLE_NUMBERS)
    elif spot is not None and name in FIELDS and constant is not None:
        state.operate(address, spot, name, constant, False)  # behind a shift


def _has_two(name: str, operands: tuple[str, ...], constant: int | None) -> bool:
    """Whether the last operand is the second that is computed with."""
    return len(operands) == 2 or (len(operands) == 3 and constant is None and not name.startswith("v"))


def _is_plain(held: Value, name: str) -> bool:
    """Whether a value is what was loaded, or, for a comparison, that with something added, a count that was moved on,
    or some bits of it."""
    return held.last is None or (name in COMPARES and held.last[0] in ADDS | SELECTS_BITS)


def _added(it: Value) -> int:
    """What was added to a value since it was loaded."""
    if it.last is None or it.last[0] not in ADDS:
        return 0
    name, number = it.last
    return -number if name in ("sub", "dec", "subs") else number


def _result(
    address: int, name: str, held: Value | None, sources: list[Value | None], constant: int | None
) -> Value | None:
    if constant is not None and name in WHOLE_NUMBERS:
        if name == "add" and held is not None and held.source is Source.ADDRESS:
            return replace(held, number=held.number + constant)
        return (held or _COMPUTED).after(name, constant, address)
    others = [it for it in reversed(sources) if it is not None]
    pointer = next((it for it in others if is_variable(it)), None)
    if name == "add" and pointer is not None:
        return pointer.after(INDEXED, 0, address)
    last = next((it for it in others if it.last is not None), None)
    return None if last is None else replace(_COMPUTED, last=last.last, at=last.at)
