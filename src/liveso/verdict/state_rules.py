"""The state layer: whether all state is there that the new code counts on."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from liveso.code import Reader
from liveso.code.call_graph import Edges, backwards, call_edges, reached
from liveso.code.shapes import Shapes
from liveso.code.use import How, Use
from liveso.code.uses import uses
from liveso.compare.changed_uses import listed
from liveso.elf import Image, tables
from liveso.elf.data import data_layout
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_COUNTS_ON = re.compile(r"lock|wait|[gs]etspecific|post|signal|broadcast|tss_[gs]et")
"""What is done with locks and the like once they were made (pthreads(7), sem_overview(7), C11 7.26)."""
_MAKES = re.compile(r"_init$|_create$|_new$|init_|Init")
_ONCE = re.compile(r"once|__cxa_guard_acquire")
_WORD = 8
_GUARDS = (How.EQUAL, How.ORDER)


@dataclass(slots=True)
class _NewVariable:
    """What functions, by index, do with a variable that only the new version has."""

    setters: set[int] = field(default_factory=set)
    first_time: set[int] = field(default_factory=set)
    readers: set[int] = field(default_factory=set)
    guards: set[int] = field(default_factory=set)


@rule("unset-state")
def new_state_is_set_up(pair: Pair) -> Iterator[Difference]:
    """An exported function counts on a new variable that only other exported functions set up, which the old version
    has, too: the process may have called them before the update, and does not call them again. All is well if the
    variable is set up on the way, or if code looks first whether it is; so is a counter, which starts with zero, and
    what a function sets up that only the new version has.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        shapes, new = pair.code.matching.new, pair.new
        found = _new_variables(pair, shapes)
        if not found:
            return
        edges = call_edges(new, shapes)
    except ImageError:
        return  # data-layout or code-comparison says it
    _find_first_time(pair, shapes, found, backwards(edges))
    exported = _exported(new, shapes)
    known = {name for name, index in exported.items() if any(name == it.name for it in pair.old.defined.values())}
    callers = backwards(edges)
    for at, variable in sorted(found.items()):
        setting = reached(callers, variable.setters - variable.first_time)
        roots = {name for name, index in exported.items() if index in setting}
        if not (roots or variable.first_time) or not roots <= known:
            continue
        for name in sorted(known - roots):
            below = reached(edges, [exported[name]])
            if below & variable.readers and not below & variable.guards:  # and no setter, or it were a root
                setters = listed(sorted(roots)) if roots else "a function that works the first time only"
                yield refuse(
                    f"{name} counts on the new variable at +{at:#x} of the writable data, which only {setters} sets "
                    "up: a process that called it before the update would find nothing there",
                    new=f"+{at:#x}",
                    where=(name, *sorted(roots)),
                )
                break


def _exported(image: Image, shapes: Shapes) -> dict[str, int]:
    indexes = {start: index for index, start in enumerate(shapes.functions["start"].tolist())}
    return {
        it.name: indexes[it.value]
        for it in image.defined.values()
        if it.type == tables.STT_FUNC and it.value in indexes
    }


def _new_variables(pair: Pair, shapes: Shapes) -> dict[int, _NewVariable]:
    """The new variables that start with zeros, by their places in the writable data."""
    correspondence, image, reader = pair.variables.shared, pair.new, Reader(pair.new)
    if correspondence is None:
        return {}  # data-layout says it
    start, table = data_layout(image).span.start, pair.code.references.to_variables
    known = _Known(pair)
    rows = [
        (place, at)
        for place, at in zip(table["place"].tolist(), (table["target"] - start).astype("<i8").tolist(), strict=True)
        if known.is_new(correspondence.led_to(place, at))
    ]
    places = np.array(sorted(place for place, _at in rows), "<i8")
    new = {at for _place, at in rows}
    indexes = np.searchsorted(shapes.functions["start"].astype("<i8"), places, side="right") - 1
    found: dict[int, _NewVariable] = {}
    for index in sorted({it for it in indexes.tolist() if it >= 0}):
        for use in uses(image, reader.read(*shapes.functions[index].item())):
            at = use.spot.offset
            if use.spot.kind == "data" and at in new and not any(image.bytes_at(start + at, 8)):
                _count(found.setdefault(at, _NewVariable()), index, use)
    return found


def _find_first_time(pair: Pair, shapes: Shapes, found: dict[int, _NewVariable], callers: Edges) -> None:
    """Tell which functions set up their variables only the first time, by a flag that the old version has, too: they
    ask whether it is zero and set it, or somebody hands it over together with them (pthread_once(3))."""
    reader, correspondence = Reader(pair.new), pair.variables.shared
    assert correspondence is not None
    new = found.keys()

    def flags(index: int, is_handed: bool) -> bool:
        done = uses(pair.new, reader.read(*shapes.functions[index].item()))
        known = [it for it in done if it.spot.kind == "data" and it.spot.offset not in new]
        known = [it for it in known if correspondence.old(it.spot.offset) is not None]
        if is_handed:
            return any(it.how is How.HAND and it.what[1] is True and _ONCE.search(str(it.what[0])) for it in known)
        asked = {it.spot.offset for it in known if it.how is How.EQUAL and it.constant == 0}
        return any(it.how is How.STORE and it.constant and it.spot.offset in asked for it in known)

    for index in {it for variable in found.values() for it in variable.setters}:
        if flags(index, False) or any(flags(caller, True) for caller in callers.get(index, ())):
            for variable in found.values():
                variable.first_time.update(variable.setters & {index})


class _Known:
    """What the old version's code knows of its writable data."""

    def __init__(self, pair: Pair) -> None:
        span, table = data_layout(pair.old).span, pair.code.old_references.to_variables
        self._targets = sorted(set((table["target"] - span.start).astype("<i8").tolist()))
        formed = (table["target"][table["forms_address"]] - span.start).astype("<i8").tolist()
        named = (symbol.value - span.start for symbol in pair.old.symbols if symbol.is_defined and symbol.size)
        words = pair.old.relocations["addend"][pair.old.relocations["type"] == pair.old.machine.relative]
        self._arrays = {*formed, *(words.astype("<i8") - span.start).tolist(), *named}
        self._borders = sorted({*self._targets, *self._arrays})

    def is_new(self, at: int | None) -> bool:
        """Whether nothing was at a place of the old data: it lies behind all variables, or between two numbers."""
        if at is None:
            return True
        index = bisect_right(self._borders, at) - 1
        if index < 0 or self._borders[index] == at:
            return False
        before = self._borders[index]
        return before not in self._arrays and at - before >= _WORD


def _count(variable: _NewVariable, index: int, use: Use) -> None:
    if use.how is How.HAND:
        name, is_address = str(use.what[0]), bool(use.what[1])
        counts_on = bool(_COUNTS_ON.search(name)) and not _MAKES.search(name)
        (variable.setters if is_address and not counts_on else variable.readers).add(index)
    elif use.changes and use.how is not How.ADD:  # what is only added to may start with zero
        variable.setters.add(index)
    elif use.how in _GUARDS:
        variable.guards.add(index)
    else:
        variable.readers.add(index)


RULES = (new_state_is_set_up,)
