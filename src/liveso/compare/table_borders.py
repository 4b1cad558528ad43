"""Tables whose start or end code compares with: they must not be parted from what they touch."""

from bisect import bisect_right
from collections import defaultdict
from itertools import chain
from typing import Protocol

import numpy as np

from liveso.code import Reader
from liveso.compare.comparisons import Comparisons
from liveso.compare.correspondence import Piece
from liveso.compare.matching import Matching
from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.side_by_side import side_by_side

_Neighbours = tuple[Piece | None, Piece | None]


class Constants(Protocol):
    """What must be known of the constants of the new version."""

    @property
    def image(self) -> Image: ...

    @property
    def rows(self) -> Table:
        """Its code's references to them, as References.table has them."""

    @property
    def pointers(self) -> dict[int, int]:
        """Where each word leads that holds an address by its place, by its own address."""

    def zeros_end(self, start: int) -> int:
        """The end of the zeros that begin at `start`, if there are any, up to the next relocated word."""


def without_borders(new: Constants, matching: Matching, pieces: list[Piece]) -> list[Piece]:
    """Leave out tables at whose start or end an address is compared that may be meant for the neighbour: both are to be
    kept together then. Zeros that follow a table may be its last entries, so that its end may lie behind them."""
    comparisons = Comparisons(Reader(new.image), matching.new.functions)
    starts = [it.start for it in pieces]
    last = [new.zeros_end(it.end) for it in pieces]

    def neighbours(at: int) -> _Neighbours:
        """The table that may end at an address, and the one that starts there."""
        index = bisect_right(starts, at) - 1
        second = pieces[index] if index >= 0 and starts[index] == at else None
        index -= second is not None
        return pieces[index] if index >= 0 and pieces[index].end <= at <= last[index] else None, second

    formed: dict[int, list[tuple[int, _Neighbours]]] = defaultdict(list)
    for place, target, _displacement, forms_address in new.rows.tolist():
        if forms_address and any(pair := neighbours(target)):
            formed[int(np.searchsorted(matching.new.functions["start"], place, side="right"))].append((place, pair))

    def may_be_ends(some: list[tuple[int, _Neighbours]]) -> list[bool]:
        return [comparisons.may_be_end(place) for place, _pair in some]

    ends = chain.from_iterable(side_by_side(may_be_ends, list(formed.values())))
    compared = {
        pair for (_place, pair), is_end in zip(chain.from_iterable(formed.values()), ends, strict=True) if is_end
    }
    for at, target in new.pointers.items():
        first, _second = pair = neighbours(target)
        others = (new.pointers.get(at + step * new.image.machine.word) for step in (-1, 1))
        if first and first.start in others:  # the bounds of a table
            compared.add(pair)
    kept = set(pieces)
    while torn := kept & {it for pair in compared if not _goes_on(*pair, kept) for it in pair}:
        kept -= torn
    return [it for it in pieces if it in kept]


def _goes_on(first: Piece | None, second: Piece | None, kept: set[Piece]) -> bool:
    """Whether two tables that follow each other in the new version did so in the old one, and are kept."""
    if not first or not second or not {first, second} <= kept or first.old is None or second.old is None:
        return False
    return second.old - first.old == second.start - first.start
