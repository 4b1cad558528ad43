"""Whether variables of two versions start with the same."""

from functools import cached_property

from liveso.compare.data_sides import DataSides
from liveso.compare.initial import InitialWord, Kind
from liveso.compare.known_data import Side, range_of
from liveso.elf import Image

_LONGEST_COMPARED = 256  # bytes of a variable's initial content
_LONGEST_TEXT = 64  # bytes
_MOST_CANDIDATES = 64  # places that start with the same word
_LEAST_TELLING = 4  # bytes that are no zeros
_DEEPEST = 2  # tables of tables


class InitialContents:
    """Compares what variables start with. Places are in bytes from the start of each version's data span."""

    def __init__(self, sides: DataSides) -> None:
        self._sides, self._old, self._new = sides, sides.old, sides.new
        self._known: dict[tuple[int, int], bool] = {}

    def is_content_alike(self, new: int, old: int) -> bool:
        """Whether what lies at the place `new` starts with what lay at `old`, and no more so with what lay at `new`
        before: else an edited function only refers to another variable now."""
        if (new, old) not in self._known:  # asked for in each round
            self._known[new, old] = self._starts_alike(new, old)
        return self._known[new, old]

    def _starts_alike(self, new: int, old: int) -> bool:
        end = self.compared_end(new, old)
        if not self.is_alike(new, old, end):
            return False
        return not (self.is_told(new, end) and self.is_alike(new, new, end))

    def is_elsewhere(self, new: int, old: int) -> bool:
        """Whether what lies at the place `new` starts with what lay somewhere else than at `old`, and not with what lay
        there: an edited function that does the same with one variable after another does it with the next one now."""
        if not self._is_telling(new, old) or self.is_alike(new, old, self.compared_end(new, old)):
            return False
        candidates = self._by_head.get(self._head(self._new, new), [])
        return any(
            self._is_telling(new, it) and self.is_alike(new, it, self.compared_end(new, it))
            for it in candidates[:_MOST_CANDIDATES]
            if it != old
        )

    @cached_property
    def _by_head(self) -> dict[object, list[int]]:
        """The starts of the old data by the word that is there."""
        found: dict[object, list[int]] = {}
        for it in self._old.starts:
            found.setdefault(self._head(self._old, it), []).append(it)
        return found

    def _head(self, side: Side, at: int) -> object:
        word = side.words.get(at)
        if word is None:
            return side.content[at : at + side.image.machine.word].ljust(side.image.machine.word, b"\0")
        return _text_at(side.image, word.value) if word.kind is Kind.OWN_CONSTANT else word.kind

    def _is_telling(self, new: int, old: int) -> bool:
        """Whether as much as two variables have in common at most starts with more than a small number."""
        end = self.compared_end(new, old)
        content = self._new.content[new:end]
        is_pointer = bool(range_of(self._new.word_places, new, end))
        return is_pointer or len(content) - content.count(0) >= _LEAST_TELLING

    def room_end(self, new: int, room: int) -> int:
        """Up to where variables at `new`, with so much room, are compared."""
        return new + min(room, _LONGEST_COMPARED)

    def compared_end(self, new: int, old: int) -> int:
        """Up to where the variables at two places can be compared: to where another may begin, in either version."""
        room = min(self._new.next_start(new) - new, self._old.next_start(old) - old, _LONGEST_COMPARED)
        return new + max(0, room)

    def is_told(self, new: int, end: int) -> bool:
        """Whether the new data from `new` to `end` start with anything but zeros."""
        return any(self._new.content[new:end]) or bool(range_of(self._new.word_places, new, end))

    def is_alike(self, new: int, old: int, end: int) -> bool:
        length = end - new
        one, other = (
            {at - start: side.words[at] for at in range_of(side.word_places, start, start + length)}
            for side, start in ((self._new, new), (self._old, old))
        )
        if one.keys() != other.keys() or not all(self._is_same_word(other[at], it) for at, it in one.items()):
            return False
        contents = tuple(
            bytearray(side.content[start : start + length].ljust(length, b"\0"))
            for side, start in ((self._new, new), (self._old, old))
        )
        for at in one:  # a relocated word's own bytes may hold its addend
            for content in contents:
                content[at : at + self._new.image.machine.word] = bytes(self._new.image.machine.word)
        return contents[0] == contents[1]

    def _is_same_word(self, old: InitialWord, new: InitialWord) -> bool:
        if old.kind is not new.kind or old.symbol != new.symbol:
            return False
        return old.kind is not Kind.OWN_CONSTANT or self._is_same_constant(old.value, new.value)

    def _is_same_constant(self, old: int, new: int, depth: int = 0) -> bool:
        """Whether two addresses are those of one function, of equal texts, or of tables that begin with such."""
        if old in self._partners or new in self._partnered:
            return self._partners.get(old) == new
        first = self._old.pointed_by.get(old), self._new.pointed_by.get(new)
        if first[0] is None and first[1] is None:
            return _text_at(self._old.image, old) == _text_at(self._new.image, new)
        if first[0] is None or first[1] is None or depth == _DEEPEST:
            return False
        return self._is_same_constant(first[0], first[1], depth + 1)

    @cached_property
    def _partners(self) -> dict[int, int]:
        """The addresses of the matched functions."""
        starts = [it.functions["start"].tolist() for it in (self._sides.matching.old, self._sides.matching.new)]
        return {starts[0][i]: starts[1][j] for i, j in self._sides.matching.pairs}

    @cached_property
    def _partnered(self) -> frozenset[int]:
        return frozenset(self._partners.values())


def _text_at(image: Image, address: int) -> bytes:
    """What a constant begins with: a text to its end, if it is one."""
    offset = image.file_offset(address)
    content = image.content[offset : offset + _LONGEST_TEXT] if offset is not None else b""
    return content.partition(b"\0")[0] or content[:8]
