"""The state layer: whether all state is there that the new code counts on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from liveso.code import Reader
from liveso.code.call_graph import backwards, call_edges, reached
from liveso.code.shapes import Shapes
from liveso.code.uses import How, Use, uses
from liveso.elf import Image, tables
from liveso.elf.data import data_layout
from liveso.errors import ImageError
from liveso.verdict.rules import Difference, Pair, refuse, rule

_COUNTS_ON = re.compile(r"lock|wait|[gs]etspecific|post|signal|broadcast|tss_[gs]et")
"""What is done with locks and the like once they were made (pthreads(7), sem_overview(7), C11 7.26)."""
_MAKES = re.compile(r"_init$|_create$|_new$|init_|Init")
_GUARDS = (How.EQUAL, How.ORDER)


@dataclass(slots=True)
class _NewVariable:
    """What functions, by index, do with a variable that only the new version has."""

    writers: set[int] = field(default_factory=set)
    makers: set[int] = field(default_factory=set)
    readers: set[int] = field(default_factory=set)
    guards: set[int] = field(default_factory=set)


@rule("unset-state")
def new_state_is_set_up(pair: Pair) -> Iterator[Difference]:
    """An exported function counts on a new variable, a table or a lock or what a pointer leads to, that only other
    exported functions set up, which the old version has, too: the process may have called them before the update, and
    does not call them again. Whatever sets the variable up on the way, or looks first whether it is set, is well; so is a
    number that starts with zero, and what a function sets up that only the new version has."""
    try:
        if not pair.has_new_variables:
            return
        shapes, new = pair.matching.new, pair.new
        found = _new_variables(pair, shapes)
        if not found:
            return
        edges = call_edges(new, shapes)
    except ImageError:
        return  # data-layout or code-comparison says it
    exported = _exported(new, shapes)
    known = {name for name, index in exported.items() if any(name == it.name for it in pair.old.defined.values())}
    callers = backwards(edges)
    for at, variable in sorted(found.items()):
        setters = variable.writers | variable.makers
        roots = {name for name, index in exported.items() if index in reached(callers, setters)}
        if not roots or not roots <= known:
            continue
        for name in sorted(known - roots):
            below = reached(edges, [exported[name]])
            if below & variable.readers and not below & variable.guards:
                setting = ", ".join(sorted(roots)[:3])
                yield refuse(
                    f"{name} counts on the new variable at +{at:#x} of the writable data, which only {setting} sets up: "
                    "a process that called this before the update would find nothing there",
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
    correspondence, image, reader = pair.correspondence, pair.new, Reader(pair.new)
    assert correspondence is not None
    start = data_layout(image).span.start
    places = np.array(sorted(pair.references_to_new_variables), "<i8")
    indexes = np.searchsorted(shapes.functions["start"].astype("<i8"), places, side="right") - 1
    found: dict[int, _NewVariable] = {}
    for index in sorted({it for it in indexes.tolist() if it >= 0}):
        for use in uses(image, reader.read(*shapes.functions[index].item())):
            at = use.spot.offset
            if use.spot.kind == "data" and correspondence.old(at) is None and not any(image.bytes_at(start + at, 8)):
                _count(found.setdefault(at, _NewVariable()), index, use)
    return found


def _count(variable: _NewVariable, index: int, use: Use) -> None:
    name, is_address = (use.what + ("", False))[:2] if use.how is How.HAND else ("", False)
    if use.how is How.HAND and isinstance(name, str):
        if _COUNTS_ON.search(name) and not _MAKES.search(name):
            variable.readers.add(index)
        elif is_address:
            variable.makers.add(index)
    elif use.changes:
        variable.writers.add(index)
    elif use.how in _GUARDS:
        variable.guards.add(index)
    elif use.how in (How.FOLLOW, How.CALL) or use.is_element:
        variable.readers.add(index)


RULES = (new_state_is_set_up,)
