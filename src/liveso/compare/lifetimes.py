"""How long the objects live that code accesses, as far as the code shows it.

An object on the stack of a function lives until that returns, and only what it calls sees it. One that an allocator
made lives until it is freed: the exported functions that do the one and the other say between which calls.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.code import Clobbers, Code, Operation, Reader, Shapes
from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.call_graph import Edges, backwards, call_edges, reached
from liveso.code.constants import switch_cases
from liveso.code.origin import Leads, Origin
from liveso.code.origins import Origins
from liveso.compare.witness import OFFSETS, Kind, Witness
from liveso.elf import Image, tables

_FREES = frozenset({"free", "g_free", "_ZdlPv", "_ZdlPvm"})
_OF_OBJECTS = (*OFFSETS, Kind.WIDTH, Kind.ELEMENT, Kind.BIT_FIELD)
_SHORT_JUMP = 130  # bytes, from its start
_MOST_FUNCTIONS = 400  # that are read: another release has thousands that differ


_Argument = tuple[int, int]
"""One of a function's arguments, by their numbers."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The exported functions that make an object, and those that free it."""

    makers: list[str]
    freers: list[str]


class Lifetimes:
    """Looks at one version, whose functions are `shapes`."""

    def __init__(self, image: Image, shapes: Shapes) -> None:
        self._image, self._shapes, self._reader = image, shapes, Reader(image)
        self._clobbers = Clobbers(image)
        self._codes: dict[int, tuple[Code, Origins]] = {}
        self._given: dict[_Argument, bool] = {}

    def is_of_one_call(self, witnesses: Iterable[Witness]) -> bool:
        """Whether all that witnesses saw change are objects on the stack of functions of the library that run."""
        return all(it.kind in _OF_OBJECTS and self._is_on_stack(it.old_address) for it in witnesses)

    def lifetime(self, group: Sequence[Witness], groups: Iterable[Sequence[Witness]]) -> Lifetime | None:
        """Who makes and who frees the objects that a group of witnesses saw change; None where the code does not show
        both. Other `groups` that are about what the same registers of the same functions lead to are about the same
        objects."""
        nodes = self._nodes(group)
        others = [self._nodes(it) for it in groups]
        while more := [it for it in others if it & nodes and not it <= nodes]:
            nodes = nodes.union(*more)
        makers, freers = set[int](), set[int]()
        for index, base in nodes:
            code, origins = self._read(index)
            if base.leads is Leads.WRITTEN and self._import_at(code, base.number) in SIZE_ARGUMENTS:
                makers.add(index)
            elif base.leads is Leads.ARGUMENT and self._frees(code, origins, base):
                freers.add(index)
        made_by, freed_by = self._exported_above(makers), self._exported_above(freers)
        return Lifetime(made_by, freed_by) if made_by and freed_by else None

    def _nodes(self, group: Sequence[Witness]) -> set[tuple[int, Origin]]:
        """The functions that saw something, with what their registers lead to."""
        found = set()
        for it in group:
            index = self._index(it.old_address) if it.kind in _OF_OBJECTS else None
            if index is None or (index not in self._codes and len(self._codes) > _MOST_FUNCTIONS):
                continue
            base = self._read(index)[1].base_at(it.old_address)
            if base is not None and not base.shift:
                found.add((index, base))
        return found

    def code(self, index: int) -> Code:
        """The instructions of a function."""
        return self._read(index)[0]

    def is_on_stack(self, index: int, address: int) -> bool:
        """Whether the instruction at an address of a function accesses an object on the stack of one that runs."""
        base = self._read(index)[1].base_at(address)
        return base is not None and self._is_frame(index, base)

    # --- objects on the stack

    def _is_on_stack(self, address: int) -> bool:
        index = self._index(address)
        return index is not None and self.is_on_stack(index, address)

    def _is_frame(self, index: int, origin: Origin) -> bool:
        if origin.leads is Leads.FRAME:
            return True
        return origin.leads is Leads.ARGUMENT and self._is_given_frame(index, origin.number)

    def _is_given_frame(self, index: int, argument: int) -> bool:
        """Whether all that call a function give it the address of something on a stack: nobody else can call it.

        What goes in a circle, as functions that call themselves do, holds unless something speaks against it.
        """
        asked = index, argument
        if asked not in self._given:
            needs: dict[_Argument, frozenset[_Argument] | None] = {}
            waiting = [asked]
            while waiting:
                it = waiting.pop()
                if it in needs or it in self._given:
                    continue
                is_too_far = len(self._given) + len(needs) > _MOST_FUNCTIONS
                needs[it] = None if is_too_far else self._needs(*it)
                waiting.extend(needs[it] or ())
            self._given.update(dict.fromkeys(needs, True))
            refuted = [it for it, found in needs.items() if found is None]
            while refuted:
                self._given.update(dict.fromkeys(refuted, False))
                refuted = [
                    it
                    for it, found in needs.items()
                    if self._given[it] and not all(self._given[other] for other in found or ())
                ]
        return self._given[asked]

    def _needs(self, index: int, argument: int) -> frozenset[_Argument] | None:
        """The arguments of callers that must be on a stack for an argument to be; None where it may be something
        else."""
        callers = self._callers.get(index, set()) | self._jumping_near(index)
        if index in self._known_outside or not callers:
            return None
        register = self._reader.machine.argument_registers[argument]
        found = set[_Argument]()
        for caller in callers:
            origins = self._given_by(caller, index, register)
            for it in origins:
                if it is None or it.leads not in (Leads.FRAME, Leads.ARGUMENT):
                    return None
                if it.leads is Leads.ARGUMENT:
                    found.add((caller, it.number))
            if not origins:
                return None
        return frozenset(found)

    def _jumping_near(self, index: int) -> set[int]:
        """The functions around one that enter it by a short jump, which the linker does not fill in."""
        starts, ends = (self._shapes.functions[it].astype("<i8") for it in ("start", "end"))
        near = (starts < ends[index] + _SHORT_JUMP) & (ends > starts[index] - _SHORT_JUMP)
        near[index] = False
        function = range(int(starts[index]), int(ends[index]))
        return {
            it
            for it in np.flatnonzero(near).tolist()
            if any(target is not None and target in function for target in self._read(it)[0].targets)
        }

    def _given_by(self, caller: int, index: int, register: str) -> list[Origin | None]:
        """What a function gives in a register to the one with an index, wherever it calls it. None where it does not
        only call it: its address is formed, and anybody may call it, or it is entered elsewhere than at its start."""
        code, origins = self._read(caller)
        function = range(*self._shapes.functions[index].item())
        return [
            origins.at(code.addresses[at]).get(register)
            if code.forms[at].leads_to_code and target == function.start
            else None
            for at, target in enumerate(code.targets)
            if target is not None and target in function and (caller != index or target == function.start)
        ]

    @cached_property
    def _callers(self) -> Edges:
        return backwards(call_edges(self._image, self._shapes))

    @cached_property
    def _known_outside(self) -> frozenset[int]:
        """The functions that code outside may reach: exported ones, and those whose address a word holds."""
        image = self._image
        rows = image.relocations[image.relocations["type"] == image.machine.relative]
        held = {*rows["addend"].tolist(), *(it.value for it in image.defined.values())}
        return frozenset(i for i, start in enumerate(self._shapes.functions["start"].tolist()) if start in held)

    # --- objects that allocators made

    def _import_at(self, code: Code, index: int) -> str:
        return code[index].imported if index < len(code) else ""

    def _frees(self, code: Code, origins: Origins, base: Origin) -> bool:
        first = self._reader.machine.argument_registers[0]
        return any(
            self._import_at(code, at) in _FREES and origins.at(code.addresses[at]).get(first) == base
            for at, form in enumerate(code.forms)
            if form.operation in (Operation.CALL, Operation.JUMP)
        )

    def _exported_above(self, indexes: set[int]) -> list[str]:
        """The exported functions among some, and else those that call them."""
        found = indexes & self._exported.keys() or reached(self._callers, indexes) & self._exported.keys()
        return sorted(self._exported[it] for it in found) if indexes else []

    @cached_property
    def _exported(self) -> dict[int, str]:
        starts = {start: i for i, start in enumerate(self._shapes.functions["start"].tolist())}
        names = {
            it.value: it.name
            for it in self._image.defined.values()
            if it.type == tables.STT_FUNC and it.value in starts
        }
        return {starts[value]: name for value, name in names.items()}

    # --- reading

    def _index(self, address: int) -> int | None:
        functions = self._shapes.functions
        index = int(np.searchsorted(functions["start"], address, side="right")) - 1
        return index if index >= 0 and address < int(functions["end"][index]) else None

    def _read(self, index: int) -> tuple[Code, Origins]:
        if index not in self._codes:
            start, end = self._shapes.functions[index].item()
            code, machine = self._reader.read(start, end), self._reader.machine
            cases = switch_cases(self._image, code, range(start, end))
            is_whole = machine.code_words is None
            self._codes[index] = code, Origins(code, machine, self._clobbers, cases, follows_frame=is_whole)
        return self._codes[index]
