"""Functions that stand in another slot of a constant table, or in whose slot stands another one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from liveso.code import parameters
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import Kind, Witness
from liveso.elf import Image
from liveso.elf.data import CONSTANT_AFTER_RELOCATION

_MANGLED = "_Z"
"""What names begin with that have a function's parameters in them (Itanium C++ ABI, 5.1)."""


@dataclass(frozen=True, slots=True)
class _Slot:
    table: int
    slot: int
    address: int


_Tables = dict[int, list[_Slot]]
"""The slots that hold a function, by its address."""


class SlotComparison:
    """Compares the tables of functions in the constant memory of two versions."""

    def __init__(self, versions: TwoVersions) -> None:
        self._versions, self._both = versions, versions.both

    def slots(self) -> Iterator[Witness]:
        """Functions that stand in another slot of a table (of virtual functions) in constant memory."""
        starts = [it.functions["start"].tolist() for it in self._both]
        old, new = (_tables(image) for image in self._versions.images)
        partner = {starts[0][i]: starts[1][j] for i, j in self._versions.matching.pairs if self._is_certain(i, j)}
        once = {function: places[0] for function, places in new.items() if len(places) == 1}
        shared = Counter(
            (places[0].table, once[partner[function]].table)
            for function, places in old.items()
            if len(places) == 1 and partner.get(function) in once
        )
        for function, places in old.items():
            after = once.get(partner.get(function, -1))
            if len(places) > 1 or after is None or shared[places[0].table, after.table] < 2:
                continue
            if places[0].slot != after.slot:
                name = self._versions.names.get(function, f"the function at {function:#x}")
                yield Witness(Kind.SLOT, places[0].slot, after.slot, name, places[0].address, after.address)
        yield from self._replaced(old, new, shared)

    def _replaced(self, old: _Tables, new: _Tables, shared: Mapping[tuple[int, int], int]) -> Iterator[Witness]:
        """Functions of a table in whose slot stands one that takes other parameters. Objects that were made before keep
        the old table, and new code that calls what stands there may leave out what the old function reads, or count on
        what it does not do with one more."""
        indexes = [{int(start): i for i, start in enumerate(it.functions["start"])} for it in self._both]
        partner = dict(self._versions.matching.pairs)
        slots = {(place.table, place.slot): (function, place) for function, places in new.items() for place in places}
        counterparts = {before: after for (before, after), count in shared.items() if count > 1}
        for function, places in old.items():
            i = indexes[0].get(function, -1)
            for place in places if i >= 0 else ():
                successor, there = slots.get((counterparts.get(place.table, -1), place.slot), (-1, place))
                j = indexes[1].get(successor, -1)
                if j >= 0 and partner.get(i) != j and self._is_certain(i, j) and self._takes_others(i, j):
                    yield Witness(
                        Kind.REPLACED, place.slot, there.slot, self._versions.name(i), place.address, there.address
                    )

    def _takes_others(self, i: int, j: int) -> bool:
        """Whether the second function reads fewer of its parameters, or more: this only where the names tell that it is
        another one, for else it may be the first, which was edited to use what it always got."""
        old, new = (
            parameters(reader.read(*it.functions[index].item()), reader.machine)
            for reader, it, index in zip(self._versions.readers, self._both, (i, j), strict=True)
        )
        names = (
            known.get(int(it.functions["start"][index]), "")
            for known, it, index in zip(
                (self._versions.names, self._versions.new_names), self._both, (i, j), strict=True
            )
        )
        if all(it.startswith(_MANGLED) for it in names) and not new.read <= old.read | old.passed_on:
            return True
        return not old.read <= new.read | new.passed_on

    def _is_certain(self, i: int, j: int) -> bool:
        """Whether the functions cannot be taken for look-alikes of theirs."""
        shapes = self._both[0].shapes[i], self._both[1].shapes[j]
        return self._versions.matching.ambiguous.isdisjoint(shapes) or not self._versions.name(i).startswith("the ")


def _tables(image: Image) -> _Tables:
    """The slots of constant tables that hold a function's address, by that: a table is a run of relocated words."""
    sections = [it for it in image.sections if it.name.startswith(CONSTANT_AFTER_RELOCATION[0])]
    table = image.relocations
    found: dict[int, list[_Slot]] = {}
    for section in sections:
        rows = table[(table["offset"] >= section.address) & (table["offset"] < section.end)]
        start = previous = -1
        for offset, kind, index, addend in np.sort(rows, order="offset").tolist():
            if offset != previous + image.machine.word:
                start = offset
            previous = offset
            symbol = image.symbols[index] if index else None
            if kind == image.machine.relative or (symbol and symbol.is_defined):
                target = addend + (symbol.value if symbol else 0)
                slot = _Slot(start, (offset - start) // image.machine.word, offset)
                found.setdefault(target, []).append(slot)
    return found
