"""What is known of one version's variables: what refers to them, what they start with, and which have names."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from liveso.code import References, finaliser_flag
from liveso.compare.initial import InitialWord, initial_bytes, initial_words
from liveso.debug.debug_info import DebugInfo, is_numbered
from liveso.elf import Image, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table

Row = tuple[int, int, int, bool]
"""A row of References.table."""


@dataclass(frozen=True, slots=True)
class NamedVariable:
    """A variable that a symbol table or debug information names: its place in the data span, and its size, in bytes."""

    name: str
    offset: int
    size: int


def named_variables(image: Image, debug: DebugInfo, span: range, symbol_type: int) -> list[NamedVariable]:
    """The variables that have a name of their own, in the memory `span`: those of one type of symbol (gABI, "Symbol
    Table")."""
    is_thread_local = symbol_type == tables.STT_TLS
    found = {
        it.name: NamedVariable(it.name, it.offset, it.size)
        for it in debug.variables.values()
        if it.is_thread_local is is_thread_local
    }
    for symbol in image.symbols:
        if symbol.is_defined and symbol.type == symbol_type and symbol.value in span:
            name = str(symbol)
            found.pop(symbol.name, None)
            found[name] = NamedVariable(name, symbol.value - span.start, symbol.size)
    return [it for name, it in found.items() if it.size and not is_numbered(name)]


def called_as_before(old: Iterable[NamedVariable], new: Iterable[NamedVariable]) -> list[NamedVariable]:
    """The `new` variables; one that got a version has the name that it had without (`Image.successor_of`)."""
    names, variables = {it.name for it in old}, list(new)
    taken = names & {it.name for it in variables}
    plain = Counter(it.name.partition("@")[0] for it in variables)
    return [
        replace(it, name=name)
        if (name := it.name.partition("@")[0]) in names - taken and it.name not in names and plain[name] == 1
        else it
        for it in variables
    ]


@dataclass(frozen=True)
class Side:
    """What is known of one version: its references, sorted by place, the variables that have a name, and the memory
    that holds them, `span`, in which all places are counted from its start, in bytes.

    `led_to` are the places that relocated words hold the address of, as far as they may be variables; `words` are those
    that lie in the span, and `content` its bytes before relocation, without the zeros behind them. `section_ends` are
    places, too, in order. `finaliser_flag` is the place of the variable that belongs to the linker's own finaliser, and
    `where` names the memory. `bound` are instructions that reach one place by way of another
    (BOUND), and `anchored` the places that code reaches in this way. What lies in `gaps` is no variable.
    """

    image: Image
    where: str
    rows: Table
    named: dict[str, NamedVariable]
    span: range
    led_to: frozenset[int]
    words: dict[int, InitialWord]
    content: bytes
    section_ends: tuple[int, ...]
    finaliser_flag: int | None = None
    bound: tuple[tuple[int, int, int], ...] = ()
    anchored: frozenset[int] = frozenset()
    gaps: tuple[range, ...] = ()

    @cached_property
    def starts(self) -> list[int]:
        """Where something is known to begin: what code, words or names lead to."""
        found = {int(it) - self.span.start for it in self.rows["target"].tolist()} | self.led_to
        found |= {it.offset for it in self.named.values()} | {0}
        if self.finaliser_flag is not None:
            found.add(self.finaliser_flag)
        return sorted(it for it in found if 0 <= it < len(self.span))

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The sizes of named variables, by place."""
        return {it.offset: it.size for it in self.named.values() if it.size}

    @cached_property
    def arrays(self) -> frozenset[int]:
        """The places whose address code or words form: what is only ever accessed in one piece is no array."""
        formed = self.rows["target"][self.rows["forms_address"]]
        return self.led_to.union(int(it) - self.span.start for it in formed.tolist())

    def is_led_to_once(self, at: int) -> bool:
        """Whether one reference leads to what has no name and starts at a place with something else than zeros."""
        address = at + self.span.start
        words = sum(it == address for it in self.pointed_by.values())
        is_told = at in self.words or any(self.content[at : at + self.image.machine.word])
        count = words + int((self.rows["target"].astype("<i8") == address).sum())
        return is_told and count == 1 and at not in self._named_places

    def objects_outside(self, function: Table) -> list[int]:
        """The places where variables may begin, as names, words and the code outside of one function tell."""
        formed = self.rows[self.rows["forms_address"]]
        outside = (formed["place"] < function["start"]) | (formed["place"] >= function["end"])
        known = self.led_to.union(int(it) - self.span.start for it in formed["target"][outside].tolist())
        return sorted({0}.union((it for it in known if 0 <= it < len(self.span)), self._named_places))

    @cached_property
    def referred(self) -> list[int]:
        """The places that code refers to, in bytes from the span's start."""
        found = set((self.rows["target"].astype("<i8") - self.span.start).tolist())
        return sorted(it for it in found if 0 <= it < len(self.span))

    @cached_property
    def reachable(self) -> list[int]:
        """Those, and the places that words refer to and at which something else than zeros begins."""
        led = (it for it in self.led_to if 0 <= it < len(self.span))
        word = self.image.machine.word
        return sorted({*self.referred, *(it for it in led if it in self.words or any(self.content[it : it + word]))})

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
    def pointed_by(self) -> dict[int, int]:
        """Where the words lead that hold addresses of the image's own."""
        rows = self.image.relocations[self.image.relocations["type"] == self.image.machine.relative]
        return dict(zip(rows["offset"].tolist(), rows["addend"].tolist(), strict=True))

    @cached_property
    def word_places(self) -> list[int]:
        return sorted(self.words)

    @cached_property
    def _named_places(self) -> frozenset[int]:
        return frozenset(it.offset for it in self.named.values())

    @cached_property
    def _objects(self) -> list[int]:
        return sorted(self.arrays | self._named_places)

    def room_around(self, at: int) -> range:
        """The places around one up to where the next variables begin whose address is formed, or that have a name."""
        index = bisect_right(self._objects, at)
        start = self._objects[index - 1] if index else 0
        return range(start, self._objects[index] if index < len(self._objects) else len(self.span))

    def next_start(self, at: int) -> int:
        index = bisect_right(self.starts, at)
        return self.starts[index] if index < len(self.starts) else len(self.span)

    def section_end(self, at: int) -> int:
        """The end of the section that holds the place `at`."""
        return next((it for it in self.section_ends if it > at), len(self.span))


def data_side(image: Image, references: References, named: Iterable[NamedVariable]) -> Side:
    """What is known of the variables that all threads share. Raises ImageError where they cannot be located."""
    layout = data_layout(image)
    start = layout.span.start
    rows = image.relocations[image.relocations["type"] == image.machine.relative]
    flag = finaliser_flag(image)
    return Side(
        image,
        "the writable data",
        np.sort(references.to_variables, order="place"),
        {it.name: it for it in named},
        layout.span,
        frozenset((rows["addend"] - start).tolist()),
        initial_words(image),
        initial_bytes(image),
        tuple(it.end - start for it in layout.sections),
        None if flag is None else flag - start,
        _bound(references, layout.span),
        frozenset((references.anchored["target"].astype("<i8") - start).tolist()),
        tuple(range(it.start - start, it.stop - start) for it in layout.gaps),
    )


def _bound(references: References, span: range) -> tuple[tuple[int, int, int], ...]:
    rows = references.bound
    rows = rows[(rows["base"] >= span.start) & (rows["base"] <= span.stop)]
    return tuple((place, base - span.start, target - span.start) for place, base, target in rows.tolist())


def range_of(ordered: list[int], low: int, high: int) -> list[int]:
    """The numbers of a sorted list from `low` up to, and without, `high`."""
    return ordered[bisect_right(ordered, low - 1) : bisect_right(ordered, high - 1)]


def rows_inside(rows: Table, function: Table) -> list[Row]:
    low, high = np.searchsorted(rows["place"], [function["start"], function["end"]])
    found: list[Row] = rows[low:high].tolist()
    return found
