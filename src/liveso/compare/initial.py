"""What the variables of an image hold at the start, in symbols: so that two versions can be compared word by word."""

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from liveso.compare.correspondence import Correspondence
from liveso.elf import Image
from liveso.elf.data import DataLayout, data_layout


class Kind(Enum):
    """What an initial word is."""

    PLAIN = auto()
    """A number; `value` is it."""
    OWN_VARIABLE = auto()
    """The address of one of the library's variables; `value` is its distance from the first."""
    NEW_VARIABLE = auto()
    """The same, of a variable that the old version has not; `value` is its distance from the new version's first."""
    OWN_CONSTANT = auto()
    """The address of a function or constant of the library; `value` is relative to the load address."""
    SYMBOL = auto()
    """What the dynamic linker finds for `symbol`, plus `value`."""


@dataclass(frozen=True, slots=True)
class InitialWord:
    kind: Kind
    value: int
    symbol: str = ""


def initial_word(image: Image, layout: DataLayout, relocation: tuple[int, int, int, int]) -> InitialWord:
    """What a relocation (offset, type, symbol, addend) leaves in its word."""
    _offset, kind, symbol, addend = relocation
    if kind == image.machine.relative:
        if layout.span.start <= addend <= layout.span.stop:
            return InitialWord(Kind.OWN_VARIABLE, addend - layout.span.start)
        return InitialWord(Kind.OWN_CONSTANT, addend)
    return InitialWord(Kind.SYMBOL, addend, f"{kind}:{image.symbols[symbol]}")


def initial_words(image: Image) -> dict[int, InitialWord]:
    """The words of the data span that are relocated, by their distance from its start, in bytes."""
    layout = data_layout(image)
    if not layout.span:
        return {}
    table = image.relocations
    inside = table[(table["offset"] >= layout.span.start) & (table["offset"] < layout.span.stop)]
    inside = inside[inside["type"] != image.machine.none]
    for gap in layout.gaps:
        inside = inside[(inside["offset"] < gap.start) | (inside["offset"] >= gap.stop)]
    return {row[0] - layout.span.start: initial_word(image, layout, row) for row in inside.tolist()}


def initial_bytes(image: Image) -> bytes:
    """The bytes of the data span before relocation, up to the last that the file has: zeros follow, as many as the file
    says, for which there may be no room."""
    layout = data_layout(image)
    parts = bytearray()
    for section in layout.sections:
        content = image.section_bytes(section)
        if content:
            at = section.address - layout.span.start
            parts.extend(bytes(at - len(parts)))
            parts[at : at + len(content)] = content
    return bytes(parts)


@dataclass(frozen=True, slots=True)
class ChangedWord:
    """A word of the old data span, `at` bytes from its start, that starts with another content in the new version.

    The address of an own constant or function is another one in each version, and so always changed.
    """

    at: int
    old: InitialWord
    new: InitialWord


def changed_words(old: Image, new: Image, correspondence: Correspondence) -> list[ChangedWord]:
    """Compare what the variables of two versions start with, word by word of the old version's data span. Variables
    that only one of them has are not compared."""
    word = old.machine.word
    before, after = initial_words(old), {}
    contents = _Contents(initial_bytes(old), initial_bytes(new), correspondence)
    for at, it in initial_words(new).items():
        place = correspondence.old(at)
        if place is not None:
            after[place] = _in_old_places(it, data_layout(new).span.start + at, correspondence)
    found = []
    for at in sorted(before.keys() | after.keys() | contents.differing_words(word)):
        is_kept, *plain = contents.at(at, word)
        pair = tuple(
            words.get(at) or InitialWord(Kind.PLAIN, value) for words, value in zip((before, after), plain, strict=True)
        )
        if is_kept and (pair[0] != pair[1] or pair[0].kind is Kind.OWN_CONSTANT):
            found.append(ChangedWord(at, *pair))
    return found


class _Contents:
    """The initial bytes of two versions' variables, side by side in the old version's places."""

    def __init__(self, old: bytes, new: bytes, correspondence: Correspondence) -> None:
        self._old, self._new = old, new
        kept = ((it.old, it.start, it.end - it.start) for it in correspondence.pieces if it.old is not None)
        self._kept = sorted(kept)

    def differing_words(self, word: int) -> set[int]:
        found: set[int] = set()
        for place, start, size in self._kept:
            found.update(
                (place + it) // word * word for it in differing_places(self._old, place, self._new, start, size)
            )
        return found

    def at(self, place: int, word: int) -> tuple[bool, int, int]:
        """Whether the new version has any of the bytes of a word, and the word in both versions."""
        before = self._old[place : place + word].ljust(word, b"\0")
        after = bytearray(before)
        is_kept = False
        index = bisect_left(self._kept, (place + word,)) - 1
        while index >= 0:
            there, start, size = self._kept[index]
            low, high = max(there, place), min(there + size, place + word)
            if low >= high:
                break
            is_kept = True
            content = self._new[start + low - there : start + high - there].ljust(high - low, b"\0")
            after[low - place : high - place] = content
            index -= 1
        return is_kept, int.from_bytes(before, "little"), int.from_bytes(after, "little")


def differing_places(old: bytes, place: int, new: bytes, start: int, size: int) -> list[int]:
    """Where `size` bytes from `place` in one content and from `start` in another differ, counted from there. Behind the
    end of a content there are zeros."""
    parts = old[place : place + size], new[start : start + size]
    longest = max(map(len, parts))
    one, other = (np.frombuffer(it.ljust(longest, b"\0"), np.uint8) for it in parts)
    found: list[int] = np.flatnonzero(one != other).tolist()
    return found


def _in_old_places(it: InitialWord, place: int, correspondence: Correspondence) -> InitialWord:
    if it.kind is not Kind.OWN_VARIABLE:
        return it
    led = correspondence.led_to(place, it.value)
    return InitialWord(Kind.NEW_VARIABLE, it.value) if led is None else InitialWord(it.kind, led)
