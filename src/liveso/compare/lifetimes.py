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
from liveso.code.origins import Leads, Origin, Origins
from liveso.compare.witness import OFFSETS, Kind, Witness
from liveso.elf import Image, tables

_FREES = frozenset({"free", "g_free", "_ZdlPv", "_ZdlPvm"})
_OF_OBJECTS = (*OFFSETS, Kind.WIDTH, Kind.ELEMENT, Kind.BIT_FIELD)
_MOST_FUNCTIONS = 400  # that are read: another release has thousands that differ


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
        self._given: dict[tuple[int, int], bool] = {}

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

    # --- objects on the stack

    def _is_on_stack(self, address: int) -> bool:
        index = self._index(address)
        if index is None:
            return False
        base = self._read(index)[1].base_at(address)
        return base is not None and self._is_frame(index, base)

    def _is_frame(self, index: int, origin: Origin) -> bool:
        if origin.leads is Leads.FRAME:
            return True
        return origin.leads is Leads.ARGUMENT and self._is_given_frame(index, origin.number)

    def _is_given_frame(self, index: int, argument: int) -> bool:
        """Whether all that call a function give it the address of something on a stack: nobody else can call it.

        What goes in a circle, as functions that call themselves do, is taken to hold unless something speaks against
        it.
        """
        known = self._given.get((index, argument))
        if known is not None:
            return known
        if len(self._given) > _MOST_FUNCTIONS:
            return False
        self._given[index, argument] = True
        register = self._reader.machine.argument_registers[argument]
        start = int(self._shapes.functions["start"][index])
        callers = self._callers.get(index, set())
        found = (
            bool(callers)
            and index not in self._known_outside
            and all(self._gives_frame(caller, start, register) for caller in callers)
        )
        self._given[index, argument] = found
        return found

    def _gives_frame(self, caller: int, start: int, register: str) -> bool:
        code, origins = self._read(caller)
        sites = [at for at, target in enumerate(code.targets) if target == start]
        for at in sites:
            if not code.forms[at].leads_to_code:
                return False  # its address is formed, and anybody may call it
            origin = origins.at(code.addresses[at]).get(register)
            if origin is None or not self._is_frame(caller, origin):
                return False
        return bool(sites)

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
        place = code[index].place if index < len(code) else None
        return place.name.partition("@")[0] if place is not None and place.kind == "import" else ""

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
            code = self._reader.read(*self._shapes.functions[index].item())
            self._codes[index] = code, Origins(code, self._reader.machine, self._clobbers)
        return self._codes[index]
