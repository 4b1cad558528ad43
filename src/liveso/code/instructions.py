"""The instructions of one function, in a form in which two versions of it can be compared."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from liveso.code.form import Form, Operation
from liveso.code.imports import last_calls, slot_names, stub_names
from liveso.code.syntax import decoder, syntax
from liveso.code.thread_local import module_accesses, thread_local_slots
from liveso.elf import Image, Machine
from liveso.elf.data import data_layout
from liveso.elf.tables import Table


@dataclass(frozen=True, slots=True)
class Place:
    """What an instruction refers to by an address: `kind` is "data" (of the library, `offset` from its start), "tls"
    (`offset` in the block), "import" (`name`), "function" or "own code" (`offset` is the address), or "constant"."""

    kind: str
    offset: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call: `callee` is None where it goes through a pointer, `constants` are arguments by their number.

    `is_about_stack`: an argument is the address of a local variable.
    """

    address: int
    callee: Place | None
    constants: dict[int, int]
    is_about_stack: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction at an address, with what it refers to by an address, if it does."""

    address: int
    form: Form
    place: Place | None

    @property
    def operation(self) -> Operation:
        return self.form.operation

    @property
    def outline(self) -> str:
        return self.form.outline

    @property
    def displacement(self) -> int | None:
        """What is added to a register to address memory, in bytes."""
        return self.form.displacement if self.place is None else None

    @property
    def is_call(self) -> bool:
        """Whether it leads to another function, and be it as the last thing that this one does."""
        operation = self.form.operation
        return operation is Operation.CALL or (
            operation is Operation.JUMP and (self.place is None or self.place.kind not in ("own code", "constant"))
        )

    @property
    def exact(self) -> tuple[object, ...]:
        """Equal for two instructions that do the same. The places of variables and of other functions are compared
        elsewhere."""
        form, place = self.form, self.place
        if place is None:
            return form.outline, form.width, form.immediate, form.displacement, form.scale
        return form.outline, form.width, form.immediate, form.scale, place.kind, place.name


class Reader:
    """Reads the functions of one image."""

    def __init__(self, image: Image) -> None:
        self.machine = image.machine
        self._image = image
        self._syntax = syntax(image.machine)
        self._layout = data_layout(image)
        self._slots = slot_names(image)
        self._stubs = stub_names(image, self._slots)
        self._last_calls = last_calls(self._stubs)
        slots = thread_local_slots(image)
        self._tls = slots.variables
        self._module_accesses = module_accesses(image, slots)
        self._code = [range(it.address, it.end) for it in image.sections if it.is_code]

    def read(self, start: int, end: int) -> list[Instruction]:
        """The instructions from `start` to `end`. What cannot be decoded ends the list."""
        decoded = decoder(self.machine).disasm_lite(self._image.bytes_at(start, end - start), start)
        found = []
        for address, form, target in self._syntax.forms(decoded, self._last_calls):
            place = None
            if address in self._module_accesses:
                place = Place("tls", self._module_accesses[address])
            elif form.target is not None and form.operation is not Operation.PAGE:
                is_inside = start <= form.target < end
                place = Place("own code", form.target) if is_inside else self.place(form.target)
            elif target is not None:
                place = self.place(target)
            found.append(Instruction(address, form, place))
        return found

    def place(self, target: int) -> Place:
        """What lies at an address of the image."""
        if target in self._stubs:
            return Place("import", 0, self._stubs[target])
        if target in self._tls:
            return Place("tls", self._tls[target])
        if target in self._slots:
            return Place("import", 0, self._slots[target])
        if self._layout.holds(target):
            return Place("data", target - self._layout.span.start)
        if any(target in it for it in self._code):
            return Place("function", target)
        return Place("constant")

    def are_variables(self, targets: Table) -> Table:
        """Which of many addresses `variable` knows."""
        span = self._layout.span
        found: Table = (targets >= span.start) & (targets < span.stop) | np.isin(targets, list(self._tls))
        return found

    def variable(self, target: int) -> Place | None:
        """The variable at an address, or behind a slot of thread-local storage, if there is one."""
        if target in self._tls:
            return Place("tls", self._tls[target])
        return Place("data", target - self._layout.span.start) if self._layout.holds(target) else None


def call_sites(instructions: Iterable[Instruction], machine: Machine) -> dict[int, CallSite]:
    """The calls of a function, by their addresses, with the constants that were put into the arguments' registers since
    the call before, directly or by way of another register."""
    found: dict[int, CallSite] = {}
    constants: dict[str, int] = {}
    on_stack: set[str] = set()
    for it in instructions:
        if it.is_call:
            arguments = {n: constants[it] for n, it in enumerate(machine.argument_registers) if it in constants}
            found[it.address] = CallSite(it.address, it.place, arguments, bool(on_stack))
            constants.clear()
            on_stack.clear()
            continue
        form = it.form
        value = None
        if form.operation is Operation.MOVE:
            value = form.immediate if form.immediate is not None else constants.get(form.source)
        for register in form.written:
            constants.pop(register, None)
            on_stack.discard(register)
            if value is not None:
                constants[register] = value
        if form.operation is Operation.ADDRESS and form.base in (machine.stack_pointer, machine.frame_pointer):
            on_stack.update(set(form.written) & set(machine.argument_registers))
    return found


def keeps_frame(instructions: list[Instruction], machine: Machine) -> bool:
    """Whether the frame pointer holds the frame's address, as a function's first instructions tell."""
    frame, stack = machine.frame_pointer, machine.stack_pointer
    return any(
        frame in it.form.written and stack in (it.form.source, it.form.base) and not it.form.is_store
        for it in instructions[:8]
    )
