"""Constants that two versions have in common: the same bytes, found once in each.

Whoever remembers the address of a text or a table may compare it later with what another word of the process holds
(`if (label == method->labels[0])`), which no code shows: so what is the same keeps its address.

How long a constant is, nothing says: it may go on behind an address in its middle that code forms. A text among texts
is one by itself. Others are parted from what lies beside them where that is found elsewhere in the new version; where
it is not found at all, it may be another part of the same constant, and changed.

A jump table of the same bytes leads into the old version's code from the old version's address: it has no home.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from liveso.code import Reader, compared_constants, constant_starts, formed_constants, relative_tables, relative_targets
from liveso.compare.comparisons import Comparisons
from liveso.compare.correspondence import Piece
from liveso.compare.matching import Matching
from liveso.compare.texts import is_text
from liveso.elf import Image, Section
from liveso.elf.data import constant_sections
from liveso.elf.tables import Table

_VECTOR = 16, 32  # bytes that may be read at once, from an address that is a multiple of them


@dataclass(frozen=True, slots=True)
class _Part:
    """A constant, or a part of one: up to the next address that anything leads to. `content` is without the padding
    behind it."""

    start: int
    end: int
    is_text: bool
    content: bytes


@dataclass(frozen=True)
class _Side:
    """One version."""

    image: Image

    @cached_property
    def parts(self) -> list[_Part]:
        sections = (it for it in constant_sections(self.image) if not it.is_writable)
        return [it for section in sections for it in self._parts_of(section)]

    def _parts_of(self, section: Section) -> Iterator[_Part]:
        starts = constant_starts(self.image)
        low, high = np.searchsorted(starts, (section.address, section.end))
        borders = [*starts[low:high].tolist(), section.end]
        has_head = low < high and borders[0] != section.address  # which nothing leads to
        for start, end in pairwise([section.address, *borders] if has_head else borders):
            content = self.image.bytes_at(start, end - start)
            is_whole = not (has_head and start == section.address)
            yield _Part(start, end, is_whole and is_text(content), content.rstrip(b"\0"))

    @cached_property
    def contents(self) -> list[tuple[bool, bytes]]:
        """What each part holds, and whether that is a text."""
        return [(it.is_text, it.content) for it in self.parts]

    def beside(self, index: int) -> list[int]:
        """The parts that touch one."""
        found = []
        if index and self.parts[index - 1].end == self.parts[index].start:
            found.append(index - 1)
        if index + 1 < len(self.parts) and self.parts[index].end == self.parts[index + 1].start:
            found.append(index + 1)
        return found

    def is_lone(self, index: int) -> bool:
        """Whether a part is a text that has nothing but texts beside it."""
        return all(self.parts[it].is_text for it in (index, *self.beside(index)))


def same_constants(old: Image, new: Image, matching: Matching, named: Sequence[Piece]) -> tuple[Piece, ...]:
    """The constants of `new` that are constants of `old`, by the addresses of their bytes; `named` ones are known by
    their names. What relocation writes is none of them, nor are tables whose words count from their own address: what
    those lead to is the new version's, and has no home either. Raises ImageError as `functions` does."""
    sides = _Side(old), _Side(new)
    counterparts = _counterparts(*sides)
    distances = [
        None if at is None else sides[0].parts[at].start - it.start
        for it, at in zip(sides[1].parts, counterparts, strict=True)
    ]
    for index, it in enumerate(sides[1].parts):
        at = bisect_right(named, it.start, key=lambda piece: piece.start) - 1
        if at >= 0 and it.start < named[at].end:
            before = named[at].old
            assert before is not None
            distances[index] = before - named[at].start
    for index in _bound_to_tables(new, sides[1].parts):
        distances[index] = None
    _tear_nothing(new, matching, sides[1].parts, distances)
    return tuple(
        Piece(it.start, it.end, it.start + distance)
        for it, distance in zip(sides[1].parts, distances, strict=True)
        if distance is not None
    )


def _bound_to_tables(new: Image, parts: Sequence[_Part]) -> Iterator[int]:
    """The parts whose words count from their own address, and those that such words lead to: what code reaches by way
    of a table must be what it compares that with."""
    tables = relative_tables(new)
    yield from (index for index, it in enumerate(parts) if it.start in tables)
    for target in relative_targets(new):
        index = bisect_right(parts, target, key=lambda it: it.start) - 1
        if index >= 0 and target < parts[index].end:
            yield index


def _counterparts(old: _Side, new: _Side) -> list[int | None]:
    """For each part of the new version the one of the old version that it was."""
    counts = Counter(old.contents), Counter(new.contents)
    by_content = {content: index for index, content in enumerate(old.contents)}
    found = [
        by_content[it]
        if it[1] and counts[0][it] == counts[1][it] == 1 and _fits(old, by_content[it], new, index)
        else None
        for index, it in enumerate(new.contents)
    ]
    for step in (1, -1):  # what lies beside one that is known
        for index in range(len(found))[::step]:
            before = (
                found[index - step] if 0 <= index - step < len(found) and index - step in new.beside(index) else None
            )
            if found[index] is None and before is not None and before + step in old.beside(before):
                is_same = old.contents[before + step] == new.contents[index]
                found[index] = before + step if is_same and _fits(old, before + step, new, index) else None
    return _without_parts_of_changed(old, new, found)


def _without_parts_of_changed(old: _Side, new: _Side, found: list[int | None]) -> list[int | None]:
    known = {it: index for index, it in enumerate(found) if it is not None}
    waiting = set(known)
    while waiting:
        before = waiting.pop()
        index = known[before]
        if old.is_lone(before) and new.is_lone(index):
            continue
        # code goes on from an address, and back from one in the middle of numbers
        if any(it not in known for it in old.beside(before) if it > before or not old.parts[it].is_text):
            found[index] = None
            del known[before]
            waiting |= known.keys() & set(old.beside(before))
    return found


def _fits(old: _Side, before: int, new: _Side, index: int) -> bool:
    """Whether code may take a part for another one of the same content: that there is as much of it, and that it is
    aligned as well."""
    one, other = old.parts[before], new.parts[index]
    size = other.end - other.start
    if other.is_text:
        return True
    return one.end - one.start >= size and not any(
        size >= most and other.start % most == 0 and one.start % most for most in _VECTOR
    )


def _tear_nothing(new: Image, matching: Matching, parts: Sequence[_Part], distances: list[int | None]) -> None:
    """Leave out parts whose end code may compare pointers with, where that is the start of one that lies elsewhere."""
    ends = {it.address for it in compared_constants(new) if it.may_be_end}
    comparisons = Comparisons(Reader(new), matching.new.functions)
    formed = _Formed(new, matching.new.functions)
    is_end: dict[int, bool] = {}
    waiting = list(range(len(parts)))
    while waiting:
        index = waiting.pop()
        first, after = parts[index], index + 1
        is_followed = after < len(parts) and parts[after].start == first.end
        beyond = distances[after] if is_followed else None
        if distances[index] == beyond:
            continue
        if index not in is_end:
            places = formed.together(first.start, first.end)
            is_end[index] = first.end in ends or any(map(comparisons.may_be_end, places))
        if is_end[index]:
            distances[index] = None
            waiting += [index - 1] if index else []
            if beyond is not None:
                distances[after] = None
                waiting.append(after)


class _Formed:
    """Where the code of an image forms addresses, by function."""

    def __init__(self, image: Image, functions: Table) -> None:
        formed = formed_constants(image)
        order = np.argsort(formed.targets, kind="stable")
        self._places, self._targets = formed.places[order], formed.targets[order]
        self._functions = np.searchsorted(functions["start"].astype("<i8"), self._places, side="right")

    def together(self, one: int, other: int) -> list[int]:
        """The places that form the address `other` in functions that form `one`, too."""
        (first, second), (third, fourth) = (np.searchsorted(self._targets, (it, it + 1)) for it in (one, other))
        functions = set(self._functions[first:second].tolist())
        rows = zip(self._places[third:fourth].tolist(), self._functions[third:fourth].tolist(), strict=True)
        return [place for place, function in rows if function in functions]
