"""What the variables of an image hold at the start, in symbols: so that two versions can be compared word by word."""

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from liveso.elf import Image
from liveso.elf.data import DataLayout, data_layout
from liveso.verdict.correspondence import Correspondence


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
    return {row[0] - layout.span.start: initial_word(image, layout, row) for row in inside.tolist()}


def initial_bytes(image: Image) -> bytes:
    """The bytes of the data span before relocation."""
    layout = data_layout(image)
    parts = bytearray(len(layout.span))
    for section in layout.sections:
        at = section.address - layout.span.start
        content = image.section_bytes(section)
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
    before, old_bytes = initial_words(old), initial_bytes(old)
    content = bytearray(old_bytes)
    theirs, after = initial_bytes(new), {}
    for piece in correspondence.pieces:
        if piece.old is not None:
            content[piece.old : piece.old + piece.end - piece.start] = theirs[piece.start : piece.end]
    kept = _kept(correspondence, len(old_bytes))
    for at, it in initial_words(new).items():
        place = correspondence.old(at)
        if place is not None:
            after[place] = _in_old_places(it, data_layout(new).span.start + at, correspondence)
    differing = _differing_words(old_bytes, bytes(content), word)
    found = []
    for at in sorted(before.keys() | after.keys() | differing):
        pair = tuple(
            words.get(at) or InitialWord(Kind.PLAIN, int.from_bytes(initial[at : at + word], "little"))
            for words, initial in ((before, old_bytes), (after, content))
        )
        if any(kept[at : at + word]) and (pair[0] != pair[1] or pair[0].kind is Kind.OWN_CONSTANT):
            found.append(ChangedWord(at, *pair))
    return found


def _kept(correspondence: Correspondence, size: int) -> bytearray:
    """For each byte of the old data, 1 where the new version has a variable for it."""
    found = bytearray(size)
    for piece in correspondence.pieces:
        if piece.old is not None:
            found[piece.old : piece.old + piece.end - piece.start] = bytes((1,)) * (piece.end - piece.start)
    return found


def _in_old_places(it: InitialWord, place: int, correspondence: Correspondence) -> InitialWord:
    if it.kind is not Kind.OWN_VARIABLE:
        return it
    led = correspondence.led_to(place, it.value)
    return InitialWord(Kind.NEW_VARIABLE, it.value) if led is None else InitialWord(it.kind, led)


def _differing_words(old: bytes, new: bytes, word: int) -> set[int]:
    a, b = (np.frombuffer(content.ljust(-(-len(content) // word) * word, b"\0"), f"<u{word}") for content in (old, new))
    return {int(index) * word for index in np.flatnonzero(a != b)}
