"""What is known of one version's variables: what refers to them, what they start with, and which have names."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.code import finaliser_flag
from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.verdict.initial import InitialWord, initial_bytes, initial_words

Row = tuple[int, int, int, bool]
"""A row of References.table."""


@dataclass(frozen=True, slots=True)
class NamedVariable:
    """A variable that a symbol table or debug information names: its place in the data span, and its size, in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Side:
    """What is known of one version: its references, sorted by place, and the variables that have a name."""

    image: Image
    rows: Table
    named: dict[str, NamedVariable]

    @cached_property
    def span(self) -> range:
        return data_layout(self.image).span

    @cached_property
    def starts(self) -> list[int]:
        """Where something is known to begin: what code, words or names lead to, in bytes from the span's start."""
        words = self.image.relocations
        pointed = words["addend"][words["type"] == self.image.machine.relative]
        found = {int(it) - self.span.start for it in [*self.rows["target"].tolist(), *pointed.tolist()]}
        found |= {it.offset for it in self.named.values()} | {0}
        if self.finaliser_flag is not None:
            found.add(self.finaliser_flag)
        return sorted(it for it in found if 0 <= it < len(self.span))

    @cached_property
    def finaliser_flag(self) -> int | None:
        """The place of the variable that belongs to the linker's own finaliser."""
        address = finaliser_flag(self.image)
        return None if address is None else address - self.span.start

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The sizes of named variables, by place."""
        return {it.offset: it.size for it in self.named.values() if it.size}

    @cached_property
    def arrays(self) -> frozenset[int]:
        """The places whose address code or words form: what is only ever accessed in one piece is no array."""
        words = self.image.relocations
        pointed = words["addend"][words["type"] == self.image.machine.relative]
        formed = self.rows["target"][self.rows["forms_address"]]
        return frozenset(int(it) - self.span.start for it in [*formed.tolist(), *pointed.tolist()])

    def objects_outside(self, function: Table) -> list[int]:
        """The places where variables may begin, as names, words and the code outside of one function tell."""
        words = self.image.relocations
        formed = self.rows[self.rows["forms_address"]]
        outside = (formed["place"] < function["start"]) | (formed["place"] >= function["end"])
        places = [
            *formed["target"][outside].tolist(),
            *words["addend"][words["type"] == self.image.machine.relative].tolist(),
        ]
        known = {it - self.span.start for it in places if it in self.span}
        return sorted({0} | known | {it.offset for it in self.named.values()})

    @cached_property
    def referred(self) -> list[int]:
        """The places that code refers to, in bytes from the span's start."""
        found = set((self.rows["target"].astype("<i8") - self.span.start).tolist())
        return sorted(it for it in found if 0 <= it < len(self.span))

    def names_of(self, places: list[int]) -> list[NamedVariable] | None:
        """The named variables that lie at `places`; None where one of these has no name."""
        named = sorted(self.named.values(), key=lambda it: it.offset)
        found: dict[str, NamedVariable] = {}
        for at in places:
            index = bisect_right(named, at, key=lambda it: it.offset) - 1
            if index < 0 or at >= named[index].offset + max(1, named[index].size):
                return None
            found[named[index].name] = named[index]
        return list(found.values())

    @cached_property
    def words(self) -> dict[int, InitialWord]:
        return initial_words(self.image)

    @cached_property
    def pointed_by(self) -> dict[int, int]:
        """Where the words lead that hold addresses of the image's own."""
        rows = self.image.relocations[self.image.relocations["type"] == self.image.machine.relative]
        return dict(zip(rows["offset"].tolist(), rows["addend"].tolist(), strict=True))

    @cached_property
    def word_places(self) -> list[int]:
        return sorted(self.words)

    @cached_property
    def content(self) -> bytes:
        return initial_bytes(self.image)

    @cached_property
    def _objects(self) -> list[int]:
        return sorted(self.arrays | {it.offset for it in self.named.values()})

    def room_around(self, at: int) -> range:
        """The places around one up to where the next variables begin whose address is formed, or that have a name."""
        index = bisect_right(self._objects, at)
        start = self._objects[index - 1] if index else 0
        return range(start, self._objects[index] if index < len(self._objects) else len(self.span))

    def next_start(self, at: int) -> int:
        index = bisect_right(self.starts, at)
        return self.starts[index] if index < len(self.starts) else len(self.span)

    def section_end(self, at: int) -> int:
        """The end of the section that holds the place `at`, in bytes from the span's start."""
        ends = (it.end - self.span.start for it in data_layout(self.image).sections)
        return next((it for it in ends if it > at), len(self.span))


def range_of(ordered: list[int], low: int, high: int) -> list[int]:
    """The numbers of a sorted list from `low` up to, and without, `high`."""
    return ordered[bisect_right(ordered, low - 1) : bisect_right(ordered, high - 1)]


def rows_inside(rows: Table, function: Table) -> list[Row]:
    low, high = np.searchsorted(rows["place"], [function["start"], function["end"]])
    found: list[Row] = rows[low:high].tolist()
    return found
