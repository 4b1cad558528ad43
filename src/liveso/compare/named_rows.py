"""Functions that tables name: in rows of methods, commands, options, a text stands beside the function."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator

import numpy as np

from liveso.code import References, constant_starts
from liveso.compare.texts import first_text
from liveso.elf import Image
from liveso.elf.data import constant_sections, data_layout
from liveso.elf.sets import distinct

_AS_FAR = 4  # words to a text on either side
_LONGEST = 256  # bytes of a text

_Row = tuple[object, ...]
"""What stands beside a function, in terms that both versions share."""


def functions_of_named_rows(
    old: Image, new: Image, references: tuple[References, References]
) -> Iterator[tuple[int, int]]:
    """The functions of both versions whose addresses stand between the same texts, at the same distances from them,
    with the same numbers in between (flags say how to call it), at the same place in a table of the same size, and no
    other function's do. `references` are those of both versions' code."""
    rows = _rows(old, references[0]), _rows(new, references[1])
    for row, before in rows[0].items():
        after = rows[1].get(row)
        if after is not None:
            yield before, after


def _rows(image: Image, references: References) -> dict[_Row, int]:
    """The functions, each by what stands beside it; not where that is the same for two."""
    words = image.relocations[image.relocations["type"] == image.machine.relative]
    words = words[np.unique(words["offset"], return_index=True)[1]]
    functions = words[image.are_code(words["addend"])]
    if not len(functions):
        return {}
    every = distinct(image.relocations["offset"]).tolist()
    texts = _texts(image, words["offset"].tolist(), words["addend"].tolist())
    places, borders = sorted(texts), _borders(image, references)
    found = []
    for at, function in functions[["offset", "addend"]].tolist():
        index = bisect_right(borders, at)
        if 0 < index < len(borders):
            table = range(borders[index - 1], borders[index])
            found.append((_row(image, at, table, texts, places, every), function))
    counts = Counter(row for row, _function in found)
    return {row: function for row, function in found if row and counts[row] == 1}


def _borders(image: Image, references: References) -> list[int]:
    """The addresses in constants and variables at which something may begin or end."""
    ends = [it for one in image.sections if one.is_allocated for it in (one.address, one.end)]
    span = data_layout(image).span
    pointed = image.relocations["addend"][image.relocations["type"] == image.machine.relative].astype("<i8")
    pointed = pointed[(pointed >= span.start) & (pointed <= span.stop)]
    code = (it["target"].astype("<i8") for it in (references.to_variables, references.to_constants))
    found: list[int] = distinct(np.concatenate([constant_starts(image), pointed, *code, np.array(ends)])).tolist()
    return found


def _texts(image: Image, places: list[int], targets: list[int]) -> dict[int, bytes]:
    """The texts that words lead to, by the places of the words."""
    sections = [it for it in constant_sections(image) if not it.is_writable]
    starts = [it.address for it in sections]
    found = {}
    for place, target in zip(places, targets, strict=True):
        index = bisect_right(starts, target) - 1
        if index >= 0 and target < sections[index].end:
            text = first_text(image.bytes_at(target, min(_LONGEST, sections[index].end - target)))
            if text:
                found[place] = text
    return found


def _row(image: Image, at: int, table: range, texts: dict[int, bytes], places: list[int], words: list[int]) -> _Row:
    """What stands beside the function whose address is in the word at `at`; nothing where no text does."""
    word = image.machine.word
    low, high = max(table.start, at - _AS_FAR * word), min(table.stop - word, at + _AS_FAR * word)
    index = bisect_left(places, at)
    before = places[index - 1] if index and places[index - 1] >= low else None
    after = places[index] if index < len(places) and places[index] <= high else None
    if before is None and after is None:
        return ()
    start, end = low if before is None else before, min(high + word, table.stop) if after is None else after
    numbers = bytearray(image.bytes_at(start, end - start))
    for one in words[bisect_left(words, start) : bisect_left(words, end)]:
        numbers[one - start : one - start + word] = bytes(len(numbers[one - start : one - start + word]))
    beside = tuple(None if one is None else (one - at, texts[one]) for one in (before, after))
    return (at - table.start, len(table), *beside, bytes(numbers))
