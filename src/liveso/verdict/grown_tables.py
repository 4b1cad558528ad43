"""Tables of functions that grew: objects that were made before hold the address of the short one."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code import Matching, Reader, functions
from liveso.code.uses import How, uses
from liveso.elf import Image
from liveso.elf.data import constant_span
from liveso.elf.tables import Table

_BEFORE_TABLE = 2  # words


@dataclass(frozen=True, slots=True)
class GrownTable:
    """A table at `old` and `new`, addresses of the two files, that had `before` entries and has `after`; the function at
    `keeper` of the old version stores its address, or returns it."""

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
    before, after = _tables(old, references[0]), _tables(new, references[1])
    by_first: dict[int, list[int]] = {}
    for start, entries in after.items():
        by_first.setdefault(entries[0], []).append(start)
    for start, entries in before.items():
        expected = [partner.get(it) for it in entries]
        for other in by_first.get(expected[0] or 0, ()):
            found = after[other]
            if len(found) > len(entries) > 1 and found[: len(entries)] == expected:
                keeper = _keeper(old, references[0], start)
                if keeper is not None:
                    yield GrownTable(start, other, len(entries), len(found), keeper)
                break


def _tables(image: Image, references: Table) -> dict[int, list[int]]:
    """The functions in each table, by its address: from a place that code or a word leads to, up to the next one or to
    the first word that holds no function."""
    span, table, word = constant_span(image), image.relocations, image.machine.word
    rows = table[(table["offset"] >= span.start) & (table["offset"] < span.stop)]
    words = {
        offset: addend + (image.symbols[index].value if index else 0)
        for offset, kind, index, addend in rows.tolist()
        if kind == image.machine.relative or (index and image.symbols[index].is_defined)
    }
    relative = table["addend"][table["type"] == image.machine.relative].tolist()
    led_to = {it for it in (*references["target"].tolist(), *relative) if it in span}
    # a class's table begins behind two words (Itanium C++ ABI, 2.5.2), and code may form the address of the first
    starts = sorted(led_to | {it + _BEFORE_TABLE * word for it in led_to if not image.is_code(words.get(it, 0))})
    found: dict[int, list[int]] = {}
    for start in starts:
        index = bisect_right(starts, start)
        border = starts[index] if index < len(starts) else span.stop
        entries = []
        for at in range(start, border, word):
            if at not in words or not image.is_code(words[at]):
                break
            entries.append(words[at])
        if entries:
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
