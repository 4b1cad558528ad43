"""What is known at one instruction of a function, and what was found out up to it."""

import re

import numpy as np

from liveso.code.advancing import advancing_places
from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.form import Form
from liveso.code.instructions import Code, Instruction, frame_registers
from liveso.code.operations import (
    ADDS,
    BIT_NUMBERS,
    FACTORS,
    FIELDS,
    HIDE,
    HIDES,
    MASKS,
    REGISTER,
    SHIFTS,
    condition,
    is_signed,
    summand,
)
from liveso.code.use import How, Use
from liveso.code.values import Source, Spot, Value, pieces, signed
from liveso.elf import Image, once_per_image
from liveso.elf.data import constant_span, data_layout
from liveso.elf.tables import Table

INDEXED = "index"
"""The operation that adds an index to a pointer."""
_MAKES = re.compile(r"alloc|new|create|dup", re.I)
_WORD, _INT = 8, 4  # bytes; narrower numbers are made as wide as this before code computes with them


class State:
    """`values` are those of registers and words of the stack before the instruction with the index `index`; `found` is
    what the instructions before did. `stack` are the registers that the stack is addressed by."""

    def __init__(self, image: Image, code: Code) -> None:
        self.image, self.code, self.machine = image, code, image.machine
        self.stack = frame_registers(code, self.machine)
        self.index = 0
        self.found: list[Use] = []
        self.values = {it: Value(Source.ARGUMENT, at) for at, it in enumerate(self.machine.argument_registers)}
        self._advancing = advancing_places(code, self.stack)

    def advances(self, place: str, index: int) -> bool:
        return any(index in it for it in self._advancing.get(place, ()))

    def set(self, places: tuple[str, ...], value: Value | None) -> None:
        for place in places:
            if value is None:
                self.values.pop(place, None)
            else:
                self.values[place] = value

    def held(self, register: str) -> Value | None:
        if register in ("xzr", "wzr", "zero"):
            return Value(Source.CONSTANT, 0)
        return self.values.get(register)

    def constant_of(self, registers: list[str] | tuple[str, ...]) -> int | None:
        held = self.held(registers[-1]) if registers else None
        return None if held is None else held.constant

    def constant_at(self, index: int, form: Form, it: Instruction) -> Value | None:
        """What a load from constant memory leaves, where the image has it."""
        target = self.code.targets[index]
        is_known = it.place is not None and it.place.kind == "constant" and target is not None
        if it.place is not None and it.place.kind == "import":
            return Value(Source.ADDRESS, 0, it.place.name)
        if not is_known or target is None or not 0 < form.width <= 16 or not form.written:
            return None
        # an address, maybe: another one in each version
        is_relocated = target in constant_span(self.image) or _is_relocated(self.image, target, form.width)
        if is_relocated or not self.image.are_filled(target, target + form.width):
            return None
        return Value(Source.CONSTANT, int.from_bytes(self.image.bytes_at(target, form.width), "little"))

    def spot(self, it: Instruction) -> Spot | None:
        form = it.form
        if it.place is not None:
            return Spot(it.place.kind, it.place.offset, form.width) if it.place.kind in ("data", "tls") else None
        if not form.base or form.displacement is None or form.base in self.stack:
            return None
        memory = form.outline[form.outline.find("[") : form.outline.find("]")]
        held = self._pointer(form.base, memory)
        if held is not None and held.source is Source.ADDRESS:
            shift = shift_of(held)
            if held.name == "data":
                start = data_layout(self.image).span.start
                return Spot("data", held.number + shift + form.displacement - start, form.width)
            return Spot(held.name or "object", form.displacement + shift, form.width)
        if held is not None and held.spot is not None and held.spot.kind in ("data", "tls"):
            self.add(it.address, held.spot, How.FOLLOW)
        if held is not None and held.last is not None and held.last[0] == INDEXED:
            return Spot("element", form.displacement, form.width)
        if held is not None and makes_object(held) and form.displacement < 0 <= form.displacement + shift_of(held):
            return Spot("object", form.displacement + shift_of(held), form.width)  # before what is handed out
        if "+" in memory or "*" in memory or "," in memory or self.advances(form.base, self.index):
            return Spot("element", form.displacement, form.width)
        if held is not None and (held.advances or held.source is Source.CONSTANT):
            return Spot("element", form.displacement, form.width)
        return Spot("object", form.displacement + shift_of(held), form.width)

    def _pointer(self, base: str, memory: str) -> Value | None:
        """What the register holds that memory is addressed by: of two, the one that leads to something known."""
        known = [self.values.get(it) for it in (base, *REGISTER.findall(memory)) if it]
        leading = (it for it in known if it is not None and (it.source is Source.ADDRESS or is_variable(it)))
        return next(leading, known[0] if known else None)

    def operate(self, address: int, spot: Spot, name: str, constant: int | None, changes: bool) -> None:
        how = (
            How.MASK if name in MASKS or name in FIELDS
            else How.SHIFT if name in SHIFTS
            else How.ADD if name in ADDS
            else How.FACTOR if name in FACTORS
            else How.EQUAL if condition(self.code, self.index) == "e" else How.ORDER
        )  # fmt: skip
        signed_number = None
        is_told = constant is not None or "[" in self.code.forms[self.index].outline  # else it may be made wider before
        if spot.width >= _INT and how in (How.SHIFT, How.ORDER) and is_told:
            signed_number = is_signed(name, condition(self.code, self.index) if how is How.ORDER else "")
        if constant is None:
            told = (name,) if how is How.ADD and changes else ()
            self.add(address, spot, How.READ, None, told, is_float=False, changes=changes, signed_number=signed_number)
            return
        number = 1 << (constant & 63) if name in BIT_NUMBERS else signed(constant, spot.width)
        number = summand(name, number) if how is How.ADD else number
        what = (condition(self.code, self.index),) if how is How.ORDER else (HIDE,) if name in HIDES else ()
        if how is How.SHIFT:
            what = (name,)
        if how is How.ADD and changes:  # while (--it->users)
            what = (condition(self.code, self.index + 1, 1),)
        self.add(address, spot, how, number, what, is_float=False, changes=changes, signed_number=signed_number)

    def store(self, it: Instruction, spot: Spot, held: Value | None) -> None:
        if held is not None and held.lanes is not None and spot.width >= held.lanes[0]:
            size, lanes = held.lanes
            for at in range(spot.width // size):
                self.store(it, Spot(spot.kind, spot.offset + at * size, size), lanes[at])
            return
        base = self.values.get(it.form.base)
        is_fresh = base is not None and makes_object(base)
        constant = None if held is None else held.constant
        if constant is not None:
            for part, number in pieces(spot, constant):
                self.add(it.address, part, How.STORE, number, is_fresh=is_fresh, changes=True)
            return
        if held is not None and held.spot == spot and held.last is not None and held.last[0] in ADDS:
            number = summand(held.last[0], signed(held.last[1], spot.width))
            self.add(it.address, spot, How.ADD, number, is_float=False, changes=True)
            return
        what: tuple[object, ...] = ()
        if held is not None:
            what = held.last if held.last is not None else (*held.described, held.name)
            if held.source is Source.ADDRESS and held.last is None:
                what = (*what, held.number)
        self.add(it.address, spot, How.STORE, what=what, is_fresh=is_fresh, changes=True)
        if held is not None and held.last is not None and held.last[0] in MASKS | SHIFTS:
            self.add(held.at, spot, How.MASK, signed(held.last[1], spot.width), changes=True)

    def add(
        self,
        address: int,
        spot: Spot,
        how: How,
        constant: int | None = None,
        what: tuple[object, ...] = (),
        is_float: bool | None = None,
        is_fresh: bool = False,
        changes: bool = False,
        signed_number: bool | None = None,
    ) -> None:
        outline = self.code.forms[self.index].outline
        is_element = spot.kind == "element" or ("+" in outline and "[" in outline)
        self.found.append(
            Use(address, spot, how, constant, what, is_float, is_fresh, changes, is_element, signed_number)
        )


@once_per_image
def _relocated(image: Image) -> Table:
    """The addresses of relocated words, in their order."""
    return np.unique(image.relocations["offset"].astype("<i8"))


def _is_relocated(image: Image, start: int, width: int) -> bool:
    """Whether the dynamic linker fills some of the bytes from `start` on, such as a slot that has the address of one of
    the library's own functions (.got, which is constant where all is bound at once)."""
    places = _relocated(image)
    at = int(np.searchsorted(places, start - _WORD, side="right"))
    return at < len(places) and int(places[at]) < start + width


def makes_object(it: Value) -> bool:
    """Whether a value may be a new object: what a function of the library's own returned, or another by its name."""
    name = it.name
    if it.source is not Source.RESULT:
        return False
    return not name or name.partition("@")[0] in SIZE_ARGUMENTS or bool(_MAKES.search(name))


def shift_of(it: Value | None) -> int:
    """What was added to a pointer, in bytes, by the last operation on it."""
    if it is None or it.last is None or it.last[0] not in ("add", "sub"):
        return 0
    return summand(*it.last)


def is_variable(it: Value) -> bool:
    """Whether it was loaded from a variable, or is an element's address in what that leads to."""
    return it.spot is not None and it.spot.kind in ("data", "tls") and it.spot.width == _WORD
