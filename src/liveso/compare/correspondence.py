"""Which stretches of two versions' writable data are the same variables."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the new version's data, from `start` to `end`, in bytes from the start of its data span.

    It holds the variables that begin at `old` in the old version's data span, or new ones where that is None.
    """

    start: int
    end: int
    old: int | None


@dataclass(frozen=True)
class Correspondence:
    """Where each byte of the new version's data span was in the old version's.

    `pieces` cover the span in order. `elsewhere` are references that lead past the end of the variable they are about,
    or before its start: the place in the old data that each must lead to, by the address of its displacement or word.
    """

    pieces: tuple[Piece, ...]
    elsewhere: dict[int, int]

    def old(self, at: int) -> int | None:
        """Where the byte `at` of the new data was in the old data; None where it is a new variable's. The end of the
        span belongs to its last piece."""
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return None
        piece = self.pieces[index]
        return None if piece.old is None else piece.old + at - piece.start

    @cached_property
    def _starts(self) -> list[int]:
        return [it.start for it in self.pieces]

    def led_to(self, place: int, at: int) -> int | None:
        """Where the reference at the address `place`, which leads to the byte `at` of the new data, leads to in the old
        data; None where that is a new variable's."""
        return self.elsewhere[place] if place in self.elsewhere else self.old(at)

    @property
    def is_same_layout(self) -> bool:
        return not self.elsewhere and all(it.old == it.start for it in self.pieces)

    def keeps(self, at: int) -> bool:
        """Whether the new version has what the byte `at` of the old data belongs to."""
        index = bisect_right(self._kept, at, key=lambda it: it[0]) - 1
        return index >= 0 and at < self._kept[index][1]

    @cached_property
    def _kept(self) -> list[tuple[int, int]]:
        found = sorted((it.old, it.old + it.end - it.start) for it in self.pieces if it.old is not None)
        ends = accumulate((end for _start, end in found), max)
        return [(start, end) for (start, _end), end in zip(found, ends, strict=True)]

    @property
    def new_bytes(self) -> int:
        """How much of the new data has no counterpart: new variables, and padding before them."""
        return sum(it.end - it.start for it in self.pieces if it.old is None)


@dataclass(frozen=True, slots=True)
class SameFunction:
    """A function at the address `old` of one version that is the one at `new` of the other. At `place` of the old
    version a jump to the other can be written; None where it cannot."""

    old: int
    new: int
    place: int | None


def without_gaps(pieces: Iterable[Piece], gaps: Sequence[range]) -> Iterator[Piece]:
    """The pieces, of which nothing lies in the `gaps` of the old data span: what is there is no variable, and what has
    come in its place is new."""
    for piece in pieces:
        borders = [piece.start, piece.end]
        if piece.old is not None:
            inside = (at - piece.old + piece.start for gap in gaps for at in (gap.start, gap.stop))
            borders = sorted({*borders, *(it for it in inside if piece.start < it < piece.end)})
        for start, end in pairwise(borders):
            old = None if piece.old is None else piece.old + start - piece.start
            yield Piece(start, end, None if any(old in gap for gap in gaps) else old)


def same_layout(size: int) -> Correspondence:
    """All variables of a data span of `size` bytes stay where they are."""
    return Correspondence((Piece(0, size, 0),) if size else (), {})
