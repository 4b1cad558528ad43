"""The state layer: whether all state is there that the new code counts on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from liveso.code import Reader
from liveso.code.call_graph import backwards, call_edges, reached
from liveso.code.shapes import Shapes
from liveso.code.uses import ADDS, How, Use, uses
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

    setters: set[int] = field(default_factory=set)
    readers: set[int] = field(default_factory=set)
    guards: set[int] = field(default_factory=set)


@rule("unset-state")
def new_state_is_set_up(pair: Pair) -> Iterator[Difference]:
    """An exported function counts on a new variable that only other exported functions set up, which the old version has,
    too: the process may have called them before the update, and does not call them again. All is well if the variable is
    set up on the way, or is looked at first whether it is; so is a counter, which starts with zero, and what a function
    sets up that only the new version has."""
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
        setting = reached(callers, variable.setters)
        roots = {name for name, index in exported.items() if index in setting}
        if not roots or not roots <= known:
            continue
        for name in sorted(known - roots):
            below = reached(edges, [exported[name]])
            if below & variable.readers and not below & variable.guards:
                setters = ", ".join(sorted(roots)[:3])
                yield refuse(
                    f"{name} counts on the new variable at +{at:#x} of the writable data, which only {setters} sets up: "
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
    if use.how is How.HAND:
        name, is_address = str(use.what[0]), bool(use.what[1])
        counts_on = bool(_COUNTS_ON.search(name)) and not _MAKES.search(name)
        (variable.setters if is_address and not counts_on else variable.readers).add(index)
    elif use.changes and not _counts(use):
        variable.setters.add(index)
    elif use.how in _GUARDS:
        variable.guards.add(index)
    else:
        variable.readers.add(index)


def _counts(use: Use) -> bool:
    """Whether it only adds to what is there, which may start with zero."""
    return use.how is How.ADD or (use.how is How.STORE and len(use.what) == 2 and use.what[0] in ADDS)


RULES = (new_state_is_set_up,)
