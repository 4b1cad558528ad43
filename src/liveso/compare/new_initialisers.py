"""Initialisers that the process has not run: a prepared copy runs none."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from liveso.code import Operation, Place, Reader, frame_registers, function_names
from liveso.code.call_graph import Edges, backwards, call_edges
from liveso.code.start_up import is_start_up, start_up_stubs
from liveso.compare.matching import Matching
from liveso.elf import Image, tables

_DEEPEST = 4  # calls from an initialiser
_ONLY_SAY = frozenset(
    {
        "puts",
        "putchar",
        "printf",
        "__printf_chk",
        "fprintf",
        "__fprintf_chk",
        "fputs",
        "fputc",
        "fwrite",
        "write",
        "fflush",
    }
    | {"getpid"}
)
_STREAMS = frozenset({"stdin", "stdout", "stderr"})
_VARIABLES = ("data", "tls")
_MOST_HELPERS = 200  # functions that an initialiser leads to
_LONGEST_RUN = 256  # bytes


def initialisers(image: Image) -> list[int]:
    """The addresses of an image's initialisers, in the order in which they run (gABI, "Initialization"), without the
    function of crti.o that DT_INIT leads to otherwise."""
    first, size = image.tag(tables.DT_INIT_ARRAY), image.tag(tables.DT_INIT_ARRAYSZ)
    rows = image.relocations
    inside = rows[(rows["offset"] >= first) & (rows["offset"] < first + size)] if first else rows[:0]
    alone = image.tag(tables.DT_INIT)
    is_own = alone and not any(is_start_up(it) and it.address <= alone < it.end for it in image.sections)
    return [alone] * bool(is_own) + [
        addend + (image.symbols[index].value if index else 0)
        for _offset, _kind, index, addend in np.sort(inside, order="offset").tolist()
    ]


class NewInitialisers:
    """Compares the initialisers of two versions, whose functions `matching` has."""

    def __init__(self, images: tuple[Image, Image], readers: tuple[Reader, Reader], matching: Matching) -> None:
        self._images, self._readers, self._matching = images, readers, matching
        self._named = frozenset(function_names(images[0]).values())
        self._callees: dict[int, list[int]] = {}

    def found(self) -> Iterator[int]:
        """The new version's initialisers that set something up, and of which the old version has no equal one."""
        old, new = (initialisers(image) for image in self._images)
        starts = [it.functions["start"].tolist() for it in (self._matching.old, self._matching.new)]
        partner = {starts[1][j]: (i, j) for i, j in self._matching.pairs}
        linkers = self._linkers
        for address in new:
            i, j = partner.get(address, (-1, -1))
            if i >= 0:
                has_run = starts[0][i] in old and self._is_same(i, j)
            else:  # without an unwind entry: the linker's own, or assembly
                known = self._matching.old.functions["start"].tolist()
                has_run = address not in starts[1] and (
                    address in linkers or any(self._is_same_run(it, address) for it in old if it not in known)
                )
            if not has_run and self._sets_up(address):
                yield address
            elif has_run and i >= 0:
                yield from self._changed_helpers(j)

    def _changed_helpers(self, initialiser: int) -> Iterator[int]:
        """The functions that only an initialiser leads to, by its index, that changed and set something up."""
        below, old = self._below(initialiser), self._partners
        starts = self._matching.new.functions["start"]
        for j in sorted(below - {initialiser}):
            if int(starts[j]) in self._linkers:
                continue  # what another compiler's crtbeginS.o has is no edit
            if j in old:
                is_changed = self._is_certain(old[j], j) and not self._is_same(old[j], j)
            else:
                is_changed = self._matching.new.shapes[j] not in self._old_shapes
            start = int(starts[j])
            if is_changed and self._callers.get(j, set()) <= below and self._sets_up(start):
                yield start

    @cached_property
    def _linkers(self) -> range:
        """The linker's own start-up functions in the new version."""
        return start_up_stubs(self._images[1], self._matching.new.functions)

    def _below(self, start: int) -> set[int]:
        """The functions of the new version that one leads to, by index, with itself: some branches are too short to be
        among the places that the linker fills in."""
        found, waiting = set[int](), [start]
        while waiting and len(found) < _MOST_HELPERS:
            index = waiting.pop()
            if index not in found:
                found.add(index)
                if index not in self._callees:
                    self._callees[index] = self._called(index)
                waiting.extend(self._callees[index])
        return found

    def _called(self, index: int) -> list[int]:
        code = self._readers[1].read(*self._matching.new.functions[index].item())
        places = (it.place for it in code if it.is_call and it.place is not None and it.place.kind == "function")
        return [self._indexes[place.offset] for place in places if place.offset in self._indexes]

    @cached_property
    def _indexes(self) -> dict[int, int]:
        """The indexes of the new version's functions by their addresses."""
        return {address: index for index, address in enumerate(self._matching.new.functions["start"].tolist())}

    @cached_property
    def _partners(self) -> dict[int, int]:
        """The old version's functions by the new ones, as indexes."""
        return {j: i for i, j in self._matching.pairs}

    @cached_property
    def _old_shapes(self) -> frozenset[int]:
        return frozenset(self._matching.old.shapes)

    @cached_property
    def _callers(self) -> Edges:
        return backwards(call_edges(self._images[1], self._matching.new))

    def _is_same_run(self, old: int, new: int) -> bool:
        """Whether the instructions at two addresses are the same up to the first that goes elsewhere."""
        runs = []
        for reader, start in zip(self._readers, (old, new), strict=True):
            code = reader.read(start, start + _LONGEST_RUN)
            ends = (at for at, it in enumerate(code.forms) if it.operation in (Operation.JUMP, Operation.RETURN))
            runs.append(code.exact[: next(ends, len(code)) + 1])
        return runs[0] == runs[1]

    def _sets_up(self, start: int, depth: int = 0) -> bool:
        """Whether a function of the new version may leave anything behind: it writes to a variable, or calls what may
        do so in its stead."""
        functions = self._matching.new.functions
        index = int(np.searchsorted(functions["start"], start))
        if depth > _DEEPEST or index >= len(functions) or int(functions["start"][index]) != start:
            return True
        code, machine = self._readers[1].read(*functions[index].item()), self._readers[1].machine
        own = frame_registers(code, machine)
        for it in code:
            if it.place is None and it.form.is_store and not it.is_call and it.form.base not in own:
                return True  # behind a pointer
            if it.place is not None and it.place.kind in _VARIABLES:
                if it.operation is not Operation.MOVE or it.form.is_store:
                    return True
            elif it.is_call:
                callee = it.place or Place("pointer")
                is_own = callee.kind == "function"
                if self._sets_up(callee.offset, depth + 1) if is_own else callee.name not in _ONLY_SAY:
                    return True
            elif it.place is not None and it.place.kind == "import" and it.place.name not in _STREAMS:
                return True  # an exported variable, by way of its slot
        return False

    def _is_same(self, i: int, j: int) -> bool:
        if self._matching.old.shapes[i] == self._matching.new.shapes[j]:
            return True
        old = self._readers[0].read(*self._matching.old.functions[i].item())
        new = self._readers[1].read(*self._matching.new.functions[j].item())
        return old.exact == new.exact

    def _is_certain(self, i: int, j: int) -> bool:
        """Whether the functions cannot be taken for look-alikes of theirs."""
        shapes = self._matching.old.shapes[i], self._matching.new.shapes[j]
        start = int(self._matching.old.functions["start"][i])
        return start in self._named or self._matching.ambiguous.isdisjoint(shapes)
