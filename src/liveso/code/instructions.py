"""The instructions of one function, in a form in which two versions of it can be compared."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from liveso.code.decode import decode
from liveso.code.form import Form, Operation
from liveso.code.imports import last_calls, slot_names, stub_names
from liveso.code.syntax import syntax
from liveso.code.thread_local import module_accesses, thread_local_slots
from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.machine import Machine

CALLS = (Operation.CALL, Operation.JUMP)
"""What an instruction may be that leads to another function."""
_BLOCK = 1 << 62
"""Stands for the address of a thread's block: no image has anything there, or near it."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an instruction refers to by an address: `kind` is "data" (of the library, `offset` from its start), "tls"
    (`offset` in the block), "import" (`name`), "function" or "own code" (`offset` is the address), or "constant"."""

    kind: str
    offset: int = 0
    name: str = ""

    @property
    def imported(self) -> str:
        """The name of what another library has, without its version; empty for what is the image's own."""
        return self.name.partition("@")[0] if self.kind == "import" else ""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call: `callee` is None where it goes through a pointer, `constants` are arguments by their number.

    `is_about_stack`: an argument is the address of a local variable.
    """

    address: int
    callee: Place | None
    constants: dict[int, int]
    is_about_stack: bool


class Instruction(NamedTuple):
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
    def imported(self) -> str:
        """As Place.imported of what it refers to."""
        return "" if self.place is None else self.place.imported

    @property
    def exact(self) -> tuple[object, ...]:
        """Equal for two instructions that do the same. The places of variables and of other functions are compared
        elsewhere."""
        form, place = self.form, self.place
        if place is None:
            return form.outline, form.width, form.immediate, form.displacement, form.scale, form.is_signed
        return form.outline, form.width, form.immediate, form.scale, form.is_signed, place.kind, place.name


class Code:
    """The instructions of one function, in order: their `addresses`, `forms`, and the addresses in them, `targets`.

    What they refer to is looked up when it is asked for: comparisons look at few of them.
    """

    def __init__(self, found: Iterable[tuple[int, Form, int | None]], place: Callable[[Form, int], Place]) -> None:
        rows = list(found)
        self.addresses = [address for address, _form, _target in rows]
        self.forms = [form for _address, form, _target in rows]
        self.targets = [target for _address, _form, target in rows]
        self._place = place

    def __len__(self) -> int:
        return len(self.forms)

    def __getitem__(self, index: int) -> Instruction:
        form, target = self.forms[index], self.targets[index]
        return Instruction(self.addresses[index], form, None if target is None else self._place(form, target))

    def __iter__(self) -> Iterator[Instruction]:
        place = self._place
        for address, form, target in zip(self.addresses, self.forms, self.targets, strict=True):
            yield Instruction(address, form, None if target is None else place(form, target))

    def index_at(self, address: int) -> int | None:
        """The index of the instruction at an address, if it is the function's own."""
        index = bisect_left(self.addresses, address)
        return index if index < len(self) and self.addresses[index] == address else None

    @cached_property
    def exact(self) -> list[tuple[object, ...]]:
        """What each of them does, as Instruction.exact has it."""
        return [it.exact for it in self]


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
        self._tls = thread_local_slots(image).variables
        self._module_accesses = module_accesses(image)
        self._access_places = sorted(self._module_accesses)
        self._places: dict[int, Place] = {}

    def read(self, start: int, end: int) -> Code:
        """The instructions from `start` to `end`. What cannot be decoded ends them."""
        content = self._image.bytes_at(start, end - start)

        def place(form: Form, target: int) -> Place:
            if form.leads_to_code and start <= target < end:
                return Place("own code", target)
            found = self._places.get(target)
            if found is None:
                found = self._places[target] = self.place(target)
            return found

        found = self._syntax.forms(content, decode(self.machine, content, start), self._last_calls)
        has_accesses = bisect_left(self._access_places, start) < bisect_left(self._access_places, end)
        return Code(self._with_accesses(found) if has_accesses else found, place)

    def _with_accesses(self, found: Iterable[tuple[int, Form, int | None]]) -> Iterator[tuple[int, Form, int | None]]:
        """The same with the places in the thread's block that instructions refer to by a number."""
        for address, form, target in found:
            offset = self._module_accesses.get(address)
            yield address, form, target if offset is None else _BLOCK + offset

    def place(self, target: int) -> Place:
        """What lies at an address of the image, or of a thread's block."""
        if _BLOCK // 2 <= target < _BLOCK + _BLOCK // 2:
            return Place("tls", target - _BLOCK)
        if target in self._stubs:
            return Place("import", 0, self._stubs[target])
        if target in self._tls:
            return Place("tls", self._tls[target])
        if target in self._slots:
            return Place("import", 0, self._slots[target])
        if self._layout.holds(target):
            return Place("data", target - self._layout.span.start)
        if self._image.is_code(target):
            return Place("function", target)
        return Place("constant")

    def are_variables(self, targets: Table) -> Table:
        """Which of many addresses `variable` knows."""
        span = self._layout.span
        held = (targets >= span.start) & (targets < span.stop) & ~self._layout.are_in_gaps(targets)
        found: Table = held | np.isin(targets, list(self._tls))
        return found

    def variable(self, target: int) -> Place | None:
        """The variable at an address, or behind a slot of thread-local storage, if there is one."""
        if target in self._tls:
            return Place("tls", self._tls[target])
        return Place("data", target - self._layout.span.start) if self._layout.holds(target) else None


def call_sites(code: Code, machine: Machine) -> dict[int, CallSite]:
    """The calls of a function, by their addresses, with the constants that were put into the arguments' registers since
    the call before, directly or by way of another register."""
    found: dict[int, CallSite] = {}
    constants: dict[str, int] = {}
    on_stack: set[str] = set()
    own, registers = (machine.stack_pointer, machine.frame_pointer), frozenset(machine.argument_registers)
    for index, form in enumerate(code.forms):
        if form.operation in CALLS and (it := code[index]).is_call:
            arguments = {n: constants[name] for n, name in enumerate(machine.argument_registers) if name in constants}
            found[it.address] = CallSite(it.address, it.place, arguments, not registers.isdisjoint(on_stack))
            constants.clear()
            on_stack.clear()
            continue
        if not form.written:
            continue
        value, is_on_stack = None, form.operation is Operation.ADDRESS and form.base in own
        if form.operation is Operation.MOVE:
            is_on_stack = form.source in on_stack
            value = form.immediate if form.immediate is not None else constants.get(form.source)
        for register in form.written:
            constants.pop(register, None)
            on_stack.discard(register)
            if value is not None:
                constants[register] = value
        if is_on_stack:
            on_stack.update(form.written)
    return found


def keeps_frame(code: Code, machine: Machine) -> bool:
    """Whether the frame pointer holds the frame's address, as a function's first instructions tell."""
    frame, stack = machine.frame_pointer, machine.stack_pointer
    return any(frame in it.written and stack in (it.source, it.base) and not it.is_store for it in code.forms[:8])


def frame_registers(code: Code, machine: Machine) -> set[str]:
    """The registers by which a function addresses its own frame."""
    return {machine.stack_pointer, machine.frame_pointer} if keeps_frame(code, machine) else {machine.stack_pointer}
