"""AArch64: what the lanes of vectors hold. Compilers make one vector of members that lie side by side, and compute with
all of them at once."""

import re
from functools import lru_cache

from liveso.code.form import Form
from liveso.code.instructions import Instruction
from liveso.code.operations import ADDS, FACTORS, MASKS
from liveso.code.state import State
from liveso.code.values import Source, Spot, Value, either

_LANES = re.compile(r"(v\d+)\.\d*([bhsdq])(?:\[(\d+)\])?")
_SIZES = {"b": 1, "h": 2, "s": 4, "d": 8, "q": 16}  # bytes of a lane
_VECTOR = 16  # bytes
_CHOICES = ("smax", "smin", "umax", "umin")
_LOADS = ("movi", "mvni")


@lru_cache(1 << 14)
def is_about_lanes(form: Form) -> bool:
    """Whether an instruction computes with lanes, and accesses no memory."""
    return not form.base and _LANES.search(form.outline) is not None


def compute_lanes(state: State, it: Instruction) -> None:
    """Follow an instruction that computes with lanes."""
    name, _space, text = it.form.outline.partition(" ")
    operands = [operand.strip() for operand in text.split(",")]
    target = _LANES.fullmatch(operands[0])
    if target is None:
        state.set(it.form.written, _value(state, operands[1]))
        return
    register, size, index = target[1], _SIZES[target[2]], target[3]
    lanes: list[Value | None]
    if index is not None:
        lanes = _lanes(state.values.get(register), size)
        lanes[int(index)] = _value(state, operands[1])
    elif name in _LOADS:
        number = it.form.immediate if len(operands) == 2 else None  # not one that is shifted
        if number is not None and name == "mvni":
            number = ~number & ((1 << 8 * size) - 1)
        lanes = [None if number is None else Value(Source.CONSTANT, number)] * (_VECTOR // size)
    elif name == "dup":
        lanes = [_value(state, operands[1])] * (_VECTOR // size)
    elif name == "mov":
        state.set((register,), state.values.get(operands[1].partition(".")[0]))
        return
    else:
        sources = [state.values.get(operand.partition(".")[0]) for operand in operands[1:3]]
        if name in MASKS:  # of all bits: the lanes are of any size
            size = next((one.lanes[0] for one in sources if one is not None and one.lanes), size)
        parts = [_lanes(one, size) for one in sources]
        lanes = [_combined(name, one, other, it.address) for one, other in zip(parts[0], parts[-1], strict=True)]
    known = any(it is not None for it in lanes)
    state.set((register,), Value(Source.COMPUTED, lanes=(size, tuple(lanes))) if known else None)


def _value(state: State, operand: str) -> Value | None:
    """What a general register, or a lane, holds."""
    lane = _LANES.fullmatch(operand)
    if lane is None:
        return state.held(operand)
    return _lanes(state.values.get(lane[1]), _SIZES[lane[2]])[int(lane[3] or 0)]


def _lanes(it: Value | None, size: int) -> list[Value | None]:
    """A vector as lanes of `size` bytes."""
    count = _VECTOR // size
    if it is None:
        return [None] * count
    if it.lanes is not None and it.lanes[0] == size:
        return list(it.lanes[1])
    if it.lanes is not None:
        constants = [None if lane is None else lane.constant for lane in it.lanes[1]]
        if any(one is None for one in constants):
            return [None] * count
        bits = 8 * it.lanes[0]
        whole = sum(((one or 0) & ((1 << bits) - 1)) << (bits * at) for at, one in enumerate(constants))
        return _of_constant(whole, size)
    if it.constant is not None:
        return _of_constant(it.constant, size)
    if it.spot is not None and it.last is None and it.spot.width > size:
        spot, inside = it.spot, it.spot.width // size
        return [
            Value(Source.MEMORY, spot=Spot(spot.kind, spot.offset + at * size, size)) if at < inside else None
            for at in range(count)
        ]
    return [it, *[None] * (count - 1)]


def _of_constant(whole: int, size: int) -> list[Value | None]:
    bits = 8 * size
    return [Value(Source.CONSTANT, whole >> (bits * at) & ((1 << bits) - 1)) for at in range(_VECTOR // size)]


def _combined(name: str, one: Value | None, other: Value | None, address: int) -> Value | None:
    if name in _CHOICES:
        return either(one, other)
    if one is None or other is None or not (name in ADDS or name in MASKS or name in FACTORS):
        return None
    if other.constant is not None:
        return one.after(name, other.constant, address)
    return other.after(name, one.constant, address) if one.constant is not None and name != "sub" else None
