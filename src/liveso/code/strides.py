"""By how many bytes code goes from element to element of arrays, and how many it asks for each: the numbers by which
indexes and counts are multiplied, whatever instructions a compiler does it with.

Only what one block of instructions computes is followed: multiplications are made close to where they are used.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from liveso.code.advancing import loops
from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.form import Form, Operation
from liveso.code.instructions import CALLS, Code, frame_registers
from liveso.code.operations import EXTENDS, FACTORS, LEFT, parts, terms
from liveso.machine import Machine

_MOST = 1 << 20  # bytes: what is larger is no element


@dataclass(frozen=True, slots=True)
class Strides:
    """How often a function multiplies by each number: `steps` for an address, `sizes` for what an allocator of another
    library is given. In bytes."""

    steps: Counter[int]
    sizes: Counter[int]


@dataclass(frozen=True, slots=True)
class _Product:
    """What a register holds: `what`, multiplied by `factor`; by `lately` since a number was last added to it, as one is
    to a count."""

    what: object
    factor: int = 1
    lately: int = 1

    def times(self, number: int) -> "_Product":
        return _Product(self.what, self.factor * number, self.lately * number)

    def plus(self, other: "_Product") -> "_Product":
        return _Product(self.what, self.factor + other.factor, self.lately + other.lately)

    def shifted(self, number: int) -> "_Product":
        return replace(self, lately=1) if number else self


@dataclass(slots=True)
class _State:
    machine: Machine
    stack: set[str]
    values: dict[str, _Product] = field(default_factory=dict)
    steps: Counter[int] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)

    def held(self, place: str) -> _Product:
        if place not in self.values:
            self.values[place] = _Product(object())
        return self.values[place]

    def set(self, places: tuple[str, ...], value: _Product | None) -> None:
        for place in places:
            if value is None or not 0 < value.factor < _MOST:
                self.values.pop(place, None)
            else:
                self.values[place] = value


def strides(code: Code, machine: Machine) -> Strides:
    """Those of one function."""
    stack = frame_registers(code, machine)
    state = _State(machine, stack)
    led_to = {target for form, target in zip(code.forms, code.targets, strict=True) if form.leads_to_code}
    going_on = _going_on(code, stack)
    for index, form in enumerate(code.forms):
        if code.addresses[index] in led_to:
            state.values.clear()
        if form.operation in CALLS:
            if (it := code[index]).is_call:
                _call(state, it.imported)
        elif code.targets[index] is not None:
            state.set(form.written, None)
        else:
            _step(state, form, index in going_on)
    return Strides(state.steps, state.sizes)


def _going_on(code: Code, stack: set[str]) -> set[int]:
    """The indexes of the instructions that add a number to a pointer, in a loop that accesses memory by way of it."""
    found = set[int]()
    for loop in loops(code):
        inside = code.forms[loop.start : loop.stop]
        bases = {it.base for it in inside if it.base and it.operation is not Operation.ADDRESS} - stack
        found |= {
            loop.start + at
            for at, it in enumerate(inside)
            if it.immediate is not None and not bases.isdisjoint(it.written) and it.outline.startswith("add ")
        }
    return found


def _call(state: _State, name: str) -> None:
    for argument in SIZE_ARGUMENTS.get(name, ()):
        if argument < len(state.machine.argument_registers):
            held = state.held(state.machine.argument_registers[argument])
            state.sizes.update(it for it in {held.factor, held.lately} if it > 1)
    for place in [it for it in state.values if not it.startswith("[") and it not in state.machine.kept_registers]:
        del state.values[place]


def _step(state: _State, form: Form, goes_on: bool) -> None:
    name, operands = parts(form.outline)
    if form.operation is Operation.ADDRESS:
        state.set(form.written, _sum(state, form))
        return
    if form.base in state.stack and form.displacement is not None and "*" not in form.outline:
        word = f"[{form.base}{form.displacement}]"
        if form.operation is Operation.MOVE and form.is_store:
            state.set((word,), state.held(form.source) if form.source else None)
        elif form.operation is Operation.MOVE:
            state.set(form.written, state.held(word))
        elif name == "add" and form.written:
            state.set(form.written, _added(state, state.held(form.written[0]), state.held(word)))
        else:
            state.set((word,) if form.is_store else form.written, None)
        return
    if "[" in form.outline:
        _sum(state, form)
        held = None
        if name == "add" and form.written:  # a pointer that lies in memory
            _added(state, state.held(form.written[0]), _Product(object()))
        elif name.startswith("imul") and form.immediate is not None:
            held = _Product(object()).times(form.immediate)
        state.set(form.written, held)
        return
    state.set(form.written, _computed(state, form, name, operands, goes_on))


def _computed(state: _State, form: Form, name: str, operands: tuple[str, ...], goes_on: bool) -> _Product | None:
    """What an instruction leaves that only has registers and numbers."""
    is_copy = form.operation is Operation.MOVE or name in EXTENDS
    if is_copy and form.immediate is None and len(operands) == 2:
        return state.held(operands[1])
    first = state.held(operands[0]) if operands else _Product(object())
    number = form.immediate
    if name in LEFT and number is not None:
        source = state.held(operands[1]) if len(operands) == 3 else first
        return source.times(1 << (number & 63))
    if name in FACTORS and number is not None:
        source = state.held(operands[1]) if len(operands) == 3 else first
        return source.times(number)
    if name == "add" and number is not None and operands:
        if goes_on and 0 < number < _MOST:
            state.steps[number] += 1
        return first.shifted(number)
    if name in ("add", "sub") and len(operands) == 2:
        second = state.held(operands[1])
        if first.what == second.what:
            return first.plus(second if name == "add" else second.times(-1))
        return _added(state, first, second) if name == "add" else None
    return None


def _sum(state: _State, form: Form) -> _Product | None:
    """What an address is formed from; an index in it that is multiplied is told."""
    products = [
        (_Product(object()) if register in state.stack else state.held(register)).times(factor)
        for register, factor in terms(form) or ()
    ]
    if len(products) == 2 and products[0].what == products[1].what:
        return products[0].plus(products[1]).shifted(form.displacement or 0)
    if len(products) == 1 and form.operation is Operation.ADDRESS:
        return products[0].shifted(form.displacement or 0)
    state.steps.update(it.factor for it in products if it.factor > 1)
    return None


def _added(state: _State, one: _Product, other: _Product) -> _Product | None:
    """The sum of two values: the address of an element, where one is multiplied."""
    if one.what == other.what:
        return one.plus(other)
    factors = [it.factor for it in (one, other) if it.factor > 1]
    if len(factors) == 1:
        state.steps[factors[0]] += 1
    return None
