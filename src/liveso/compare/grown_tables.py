"""Tables of functions that grew: objects that were made before hold the address of the short one."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code import Reader, functions
from liveso.code.use import How
from liveso.code.uses import uses
from liveso.compare.matching import Matching
from liveso.elf import Image
from liveso.elf.data import constant_span
from liveso.elf.tables import Table

_BEFORE_TABLE = 2  # words
_LONGEST = 4096  # words
_TELLING = 2  # functions that must be the same


@dataclass(frozen=True, slots=True)
class GrownTable:
    """A table at `old` and `new`, addresses of the two files, that had `before` entries and has `after`; the function
    at `keeper` of the old version stores its address, or returns it."""

    old: int
    new: int
    before: int
    after: int
    keeper: int


def grown_tables(old: Image, new: Image, matching: Matching, references: tuple[Table, Table]) -> Iterator[GrownTable]:
    """The tables that begin with the same functions in both versions and go on in the new one, if old code leaves their
    address in objects. `references` are those of the code of both versions to constants. Raises ImageError."""
    starts = [it.functions["start"].tolist() for it in (matching.old, matching.new)]
    partner = {starts[0][i]: starts[1][j] for i, j in matching.pairs}
    words, before, after = _functions(old), _tables(old, references[0]), _tables(new, references[1])
    by_functions: dict[tuple[int, ...], list[int]] = {}
    for start, entries in after.items():
        by_functions.setdefault(_first(entries), []).append(start)
    expected = {start: [partner.get(it, -1) if it else 0 for it in entries] for start, entries in before.items()}
    same = {tuple(entries) for entries in expected.values()} & {tuple(entries) for entries in after.values()}
    for start, entries in expected.items():
        for other in () if tuple(entries) in same else by_functions.get(_first(entries), ()):
            found = after[other]
            is_longer = len(found) > len(entries) and found[: len(entries)] == entries and any(found[len(entries) :])
            if not is_longer or tuple(found) in same:
                continue
            behind = words.get(start + len(entries) * old.machine.word, 0)
            goes_on = partner.get(behind, -1) == found[len(entries)]  # what led to its middle is gone
            keeper = None if goes_on else _keeper(old, references[0], start)
            if keeper is not None:
                yield GrownTable(start, other, len(entries), len(found), keeper)
                break


def _first(entries: list[int]) -> tuple[int, ...]:
    return tuple(it for it in entries if it)[:_TELLING]


def _words(image: Image) -> dict[int, int]:
    """Where each relocated word of the constants leads."""
    span, table = constant_span(image), image.relocations
    rows = table[(table["offset"] >= span.start) & (table["offset"] < span.stop)]
    return {
        offset: addend + (image.symbols[index].value if index else 0)
        for offset, kind, index, addend in rows.tolist()
        if kind == image.machine.relative or (index and image.symbols[index].is_defined)
    }


def _functions(image: Image) -> dict[int, int]:
    return {at: target for at, target in _words(image).items() if image.is_code(target)}


def _tables(image: Image, references: Table) -> dict[int, list[int]]:
    """The entries of each table, by its address, with 0 for what is no function: from a place that code or a word leads
    to, up to the next one. One that begins with functions ends before the first word that holds none."""
    span, table, word = constant_span(image), image.relocations, image.machine.word
    words, functions = _words(image), _functions(image)
    relative = table["addend"][table["type"] == image.machine.relative].tolist()
    led_to = {it for it in (*references["target"].tolist(), *relative) if it in span}
    # a class's table begins behind two words (Itanium C++ ABI, 2.5.2), and code may form the address of the first
    headers = {it for it in led_to if it not in words and it + word not in functions}
    starts = sorted(led_to | {it + _BEFORE_TABLE * word for it in headers})
    found: dict[int, list[int]] = {}
    for start in starts:
        index = bisect_right(starts, start)
        border = min(starts[index] if index < len(starts) else span.stop, start + _LONGEST * word)
        entries = [functions.get(at, 0) for at in range(start, border - word + 1, word)]
        if start in functions and 0 in entries:
            entries = entries[: entries.index(0)]
        while entries and not entries[-1]:
            entries.pop()
        if sum(map(bool, entries)) >= _TELLING:
            found[start] = entries
    return found


def _keeper(image: Image, references: Table, table: int) -> int | None:
    """The first function that stores the address of a table behind a pointer, or returns it."""
    known, reader = functions(image), Reader(image)
    near = (references["target"] == table) | (references["target"] == table - _BEFORE_TABLE * image.machine.word)
    places = references["place"][near].astype("<i8")
    indexes = np.searchsorted(known["start"].astype("<i8"), places, side="right") - 1
    for index in sorted({it for it in indexes.tolist() if it >= 0}):
        start, end = known[index].item()
        for it in uses(image, reader.read(start, end)):
            if it.how is How.STORE and it.what[-1:] == (table,) and it.spot.kind in ("object", "element", "result"):
                return int(start)
    return None
