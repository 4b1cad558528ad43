"""What a function does with members of objects and with variables: which constants it stores there, compares and masks
them with, and what it hands on.

A function is gone through in the order of addresses. Where a branch leads to, registers hold what they did there, if it
comes before, in what the instruction before leaves open.
"""

from dataclasses import replace
from itertools import islice
from math import prod

from liveso.code.advancing import stack_word
from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.arithmetic import compute, divide, negate
from liveso.code.form import Form, Operation
from liveso.code.instructions import Code, Instruction
from liveso.code.lanes import compute_lanes, is_about_lanes
from liveso.code.locks import lock_kind
from liveso.code.operations import (
    ADDS,
    COMPARES,
    FACTORS,
    FLOAT,
    MASKS,
    SHIFTS,
    WHOLE_NUMBERS,
    parts,
)
from liveso.code.state import State, makes_object, shift_of
from liveso.code.use import How, Use
from liveso.code.values import Source, Spot, Value, joined, pieces
from liveso.elf import Image
from liveso.elf.data import data_layout

_MOST_HELD = 256  # registers and words of the stack that are remembered at a branch
_NO_ALLOCATORS = (
    "mem",
    "_Zd",
    "b",
    "q",
    "__mem",
    "explicit",
    "g_slice_free",
    "g_realloc",
    "re",
    "CRYPTO_re",
    "CRYPTO_cl",
)
"""What the names of functions begin with that are given a size and make no new object."""
_FREES = frozenset({"free", "_ZdlPv", "_ZdaPv", "g_free", "cfree", "_ZdlPvm"})
_WORD, _HALF = 8, 4
_FILLS, _FILL_ARGUMENTS = ("memset", "__memset_chk"), ("pointer", "byte", "size")


def uses(image: Image, code: Code) -> list[Use]:
    """What a function does, in the order of addresses."""
    return _Walk(image, code).found


class _Walk:
    """Goes through a function; what it finds is in the state that it leaves."""

    def __init__(self, image: Image, code: Code) -> None:
        self._image, self._code, self._machine = image, code, image.machine
        self._state = State(image, code)
        at_target: dict[int, dict[str, Value]] = {}
        goes_on = True
        for index, it in enumerate(code):
            self._state.index = index
            if not goes_on:
                self._state.values = {}
            if it.address in at_target:
                self._state.values = joined(at_target[it.address], self._state.values)
            self._step(index, it)
            if it.form.leads_to_code and it.place is not None and it.operation is not Operation.CALL:
                at_target.setdefault(it.place.offset, dict(islice(self._state.values.items(), _MOST_HELD)))
            goes_on = it.operation not in (Operation.JUMP, Operation.RETURN)

    # --- one instruction

    def _step(self, index: int, it: Instruction) -> None:
        form = it.form
        if it.is_call:
            self._call(it)
        elif form.operation in (Operation.JUMP, Operation.RETURN):
            held = self._state.values.get(self._machine.result_register)
            if form.operation is Operation.RETURN and held is not None and held.source is Source.ADDRESS:
                self._state.store(it, Spot("result", 0, 0), held)
        elif form.operation is Operation.ADDRESS:
            self._state.set(form.written, self._address(index, it))
        elif is_about_lanes(form):
            compute_lanes(self._state, it)
        elif "[" in form.outline:
            self._access(index, it)
        else:
            compute(self._state, it)

    def _address(self, index: int, it: Instruction) -> Value | None:
        form = it.form
        if it.place is not None:
            return Value(Source.ADDRESS, self._code.targets[index] or 0, it.place.kind)
        if form.base in self._state.stack:
            return Value(Source.COMPUTED, name="own")
        held = self._state.values.get(form.base)
        is_scaled = held is not None and held.spot is not None and held.last is None and "*" in form.outline
        if is_scaled and held is not None and held.spot is not None and 0 < held.spot.width < _WORD:
            self._state.add(it.address, held.spot, How.READ, is_float=False)
        if held is None or "*" in form.outline or "+" in form.outline:
            return None
        if held.spot is not None and held.last is None and form.displacement:
            self._state.operate(it.address, held.spot, "add", form.displacement, False)
        return held.after("add", form.displacement or 0, it.address)

    def _call(self, it: Instruction) -> None:
        arguments = [self._state.values.get(register) for register in self._machine.argument_registers]
        _name, operands = parts(it.outline)
        target = operands[0] if operands else ""
        if it.place is None:
            spot = self._state.spot(it) if "[" in target else None
            held = self._state.values.get(target)
            spot = spot or (held.spot if held is not None and held.last is None else None)
            if spot is not None:
                given = tuple(() if value is None else value.described for value in arguments)
                self._state.add(it.address, spot, How.CALL, what=given)
        name = it.imported
        first = arguments[0]
        if name in _FREES and first is not None and first.spot is not None and first.last is None:
            self._state.add(it.address, first.spot, How.FREE)
        self._hand(it.address, name, arguments)
        self._allocate(it.address, name, arguments)
        self._fill(it.address, name, arguments)
        for register in [register for register in self._state.values if not register.startswith("[")]:
            if register not in self._machine.kept_registers:
                del self._state.values[register]
        self._state.values[self._machine.result_register] = Value(Source.RESULT, it.address, name)

    def _hand(self, address: int, name: str, arguments: list[Value | None]) -> None:
        """Variables that a call is given, or their addresses, and members that another library is given."""
        kind, pointer = lock_kind(name), arguments[0]
        if kind and pointer is not None and pointer.source is not Source.CONSTANT and pointer.name != "own":
            spot = Spot("object", shift_of(pointer), 0)
            if pointer.source is Source.ADDRESS and pointer.name == "data":
                spot = Spot("data", pointer.number + shift_of(pointer) - data_layout(self._image).span.start, 0)
            self._state.add(address, spot, How.LOCK, what=(kind,))
        for number, value in enumerate(arguments):
            if value is None or value.last is not None:
                continue
            if value.spot is not None and value.spot.kind in ("data", "tls"):
                self._state.add(address, value.spot, How.HAND, what=(name, False))
            elif value.spot is not None and value.spot.kind == "object" and name:
                self._state.add(address, value.spot, How.HAND, what=(name, number))
            elif value.source is Source.ADDRESS and value.name == "data":
                start = data_layout(self._image).span.start
                self._state.add(address, Spot("data", value.number - start, 0), How.HAND, what=(name, True))

    def _allocate(self, address: int, name: str, arguments: list[Value | None]) -> None:
        """The sizes that an allocator of another library is given, as `constant` their product; 0 if not known."""
        sizes = SIZE_ARGUMENTS.get(name, ()) if not name.startswith(_NO_ALLOCATORS) else ()
        if sizes:
            known = [value.constant for at in sizes if (value := arguments[at]) is not None]
            size = prod(it for it in known if it is not None) if None not in known and len(known) == len(sizes) else 0
            self._state.add(address, Spot("allocator", 0, 0), How.HAND, size, what=(name,))

    def _fill(self, address: int, name: str, arguments: list[Value | None]) -> None:
        """What memset(3) leaves at the beginning of an array or object, as if code stored it there."""
        if not name.startswith(_FILLS) or len(arguments) < len(_FILL_ARGUMENTS):
            return
        pointer, byte, size = arguments[: len(_FILL_ARGUMENTS)]
        if byte is None or byte.constant is None or (size is not None and (size.constant or _WORD) < _WORD):
            return
        if pointer is not None and pointer.source in (Source.ADDRESS, Source.CONSTANT):
            return
        shift = shift_of(pointer)
        is_fresh = pointer is not None and makes_object(pointer)
        for part, number in pieces(Spot("object", shift, _HALF), (byte.constant & 0xFF) * 0x01010101):
            self._state.add(address, part, How.STORE, number, is_fresh=is_fresh, changes=True)

    def _access(self, index: int, it: Instruction) -> None:
        form = it.form
        name, operands = parts(form.outline)
        if it.place is None and form.base in self._state.stack:
            self._own_word(form, name, operands)
            return
        spot = self._state.spot(it)
        if name.startswith(("stp", "ldp")):
            self._pair(it, name, operands, spot)
            return
        registers = [operand for operand in operands if "[" not in operand]
        if spot is None:
            held = self._state.values.get(registers[0]) if registers else None
            if held is not None and held.spot is not None and held.last is None and FLOAT.match(name):
                self._state.add(it.address, held.spot, How.READ, is_float=True)
            self._state.set(form.written, self._state.constant_at(index, form, it))
            return
        if form.is_store and (form.operation is Operation.MOVE or name.startswith(("mov", "vmov", "st", "set"))):
            held = None
            if form.immediate is not None and form.operation is Operation.MOVE and not form.source:
                held = Value(Source.CONSTANT, form.immediate)
            elif registers:
                held = self._state.held(registers[0])
            self._state.store(it, spot, held)
            return
        changes = form.is_store
        if name == "sub" and not changes and self._state.constant_of(registers[:1]) == 0:
            negate(self._state, it.address, form.written, Value(Source.MEMORY, 0, "", spot))
            return
        if name in COMPARES or name in MASKS or name in SHIFTS or name in ADDS or name in FACTORS:
            constant = form.immediate if form.immediate is not None else self._state.constant_of(registers)
            constant = 1 if name in ("inc", "dec") else constant
            self._state.operate(it.address, spot, name, constant, changes)
            result = Value(Source.MEMORY, 0, "", spot)
            if constant is not None:
                result = result.after(name, constant, it.address)
            self._state.set(form.written, result if not form.is_store else None)
            return
        if name in ("div", "idiv"):
            self._state.add(it.address, spot, How.DIVIDE, is_float=False)
            divide(self._state, it.address, None)
            return
        is_float = True if FLOAT.match(name) else (False if name.startswith("cvtsi2") else None)
        self._state.add(it.address, spot, How.READ, is_float=is_float, changes=changes, signed_number=form.is_signed)
        base = self._state.values.get(form.base)
        plain = form.operation is Operation.MOVE or name.startswith(("mov", "vmov", "ld"))
        if plain and form.written:
            advances = spot.kind == "element" and spot.width == self._machine.word and base is None
            self._state.set(form.written, Value(Source.MEMORY, 0, "", spot, advances=advances))
            if form.base in form.written[1:]:
                self._state.values.pop(form.base, None)
        else:
            self._state.set(form.written, None)

    def _own_word(self, form: Form, name: str, operands: tuple[str, ...]) -> None:
        word = stack_word(form)
        if form.is_store:
            held = None
            if form.operation is Operation.MOVE and form.immediate is not None and not form.source:
                held = Value(Source.CONSTANT, form.immediate)
            elif name.startswith(("mov", "st")) and operands:
                held = self._state.held(next((it for it in operands if "[" not in it), ""))
            elif name in ADDS:
                held = self._state.values.get(word)
            self._state.set((word,), held)
            return
        held = self._state.values.get(word)
        if self._state.advances(word, self._state.index):
            held = replace(held or Value(Source.COMPUTED), advances=True)
        if name.startswith(("mov", "ld")):
            self._state.set(form.written, held)
            return
        if name == "sub" and self._state.constant_of(operands[:1]) == 0:
            negate(self._state, self._code.addresses[self._state.index], form.written, held)
            return
        constant = form.immediate
        if held is not None and held.spot is not None and held.last is None and name in WHOLE_NUMBERS:
            self._state.operate(self._code.addresses[self._state.index], held.spot, name, constant, False)
        if held is not None and constant is not None and name in WHOLE_NUMBERS:
            held = held.after(name, constant, self._code.addresses[self._state.index])
            self._state.set(form.written, held)
        else:
            self._state.set(form.written, None)

    def _pair(self, it: Instruction, name: str, operands: tuple[str, ...], spot: Spot | None) -> None:
        """AArch64: two registers at once."""
        registers = [operand for operand in operands if "[" not in operand][:2]
        if spot is None or len(registers) < 2:
            self._state.set(it.form.written, None)
            return
        for at, register in enumerate(registers):
            part = Spot(spot.kind, spot.offset + at * spot.width, spot.width)
            if name.startswith("st"):
                self._state.store(it, part, self._state.held(register))
            else:
                self._state.add(it.address, part, How.READ)
                self._state.set((register,), Value(Source.MEMORY, 0, "", part))

    @property
    def found(self) -> list[Use]:
        return self._state.found
