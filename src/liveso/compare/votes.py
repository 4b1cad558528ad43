"""Which references to variables are the same one in two versions."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from liveso.code import Code, Operation, function_names
from liveso.compare.alignment import Run, aligned, in_unique_surroundings, repetitions
from liveso.compare.callees import Callees
from liveso.compare.correspondence import Correspondence
from liveso.compare.data_sides import DataSides
from liveso.compare.initial import Kind
from liveso.compare.initial_contents import InitialContents
from liveso.compare.known_data import Row, rows_inside
from liveso.compare.matching_blocks import TooDifferent

_LEAST_TELLING = 32  # bytes: a smaller function without a name may be any that looks like it
_MOST_COMPARED = 1 << 20  # pairs of variables


class Trust(IntEnum):
    """How certain it is that two references are about one variable."""

    WEAK = 0
    """Beside an edit, or of a function that others look like."""
    LIKELY = 1
    """The instructions around are the same."""
    CERTAIN = 2
    """The whole function is the same but for addresses, and calls the same; or the variables have one name."""


@dataclass(frozen=True, slots=True)
class Vote:
    """Two references that are the same one in both versions: where they lead in each data span.

    `place` is the address of the new one's displacement, or of a relocated word. `forms_address`: it is not an access.
    """

    place: int
    new: int
    old: int
    trust: Trust
    forms_address: bool


class Voting:
    """Finds the references that are the same. `resized` are the places of the old data that are accessed in another
    width, as far as they were found."""

    def __init__(self, sides: DataSides, contents: InitialContents) -> None:
        self._sides, self._contents, self._old, self._new = sides, contents, sides.old, sides.new
        self._callees = Callees((sides.old.image, sides.new.image), sides.matching)
        self.resized: set[int] = set()

    def of_code(self) -> Iterator[Vote]:
        matching = self._sides.matching
        named = set(function_names(self._old.image).values())
        readers = self._sides.readers
        for i, j in matching.pairs:
            one, other = matching.old.functions[i], matching.new.functions[j]
            rows = rows_inside(self._old.rows, one), rows_inside(self._new.rows, other)
            if not (rows[0] and rows[1]):
                continue
            shape, (start, end) = matching.old.shapes[i], one.item()
            is_alike = len(rows[0]) == len(rows[1]) and self._callees.are_same(i, j)
            codes = None
            if shape != matching.new.shapes[j] or not is_alike:
                codes = readers[0].read(*one.item()), readers[1].read(*other.item())
            if codes is None or (is_alike and codes[0].exact == codes[1].exact):
                is_certain = start in named or (shape not in matching.ambiguous and end - start >= _LEAST_TELLING)
                for pair in zip(*rows, strict=True):
                    yield self._vote(*pair, Trust.CERTAIN if is_certain else Trust.WEAK)
                continue
            by_instruction = [
                {bisect_right(code.addresses, row[0]) - 1: row for row in part}
                for code, part in zip(codes, rows, strict=True)
            ]
            unique = in_unique_surroundings(codes[0]), in_unique_surroundings(codes[1])
            repeated = repetitions(codes[0]), repetitions(codes[1])
            try:
                runs = list(aligned(*codes))
            except TooDifferent:
                continue  # a function that cannot be compared says nothing
            handed_on = self._handed_to_others(codes, runs)
            for run in runs:
                for a, b in run.pairs():
                    first, second = by_instruction[0].get(a), by_instruction[1].get(b)
                    if first and second:
                        is_likely = run.is_isolated and a in unique[0] and b in unique[1] and a not in handed_on
                        is_likely &= repeated[0][a] == repeated[1][b]
                        yield self._vote(first, second, Trust.LIKELY if is_likely else Trust.WEAK)
                        old, new = codes[0].forms[a], codes[1].forms[b]
                        if old.width != new.width and old.operation is not Operation.ADDRESS:
                            self.resized.add(first[1] - self._old.span.start)

    def _handed_to_others(self, codes: tuple[Code, Code], runs: Sequence[Run]) -> set[int]:
        """The indexes of the old instructions that stand before a call of another function than in the new version,
        behind the call before: what these hand on may be something else, as where two calls changed their order."""
        calls = [at for at, it in enumerate(codes[0].forms) if it.operation is Operation.CALL]
        found = set[int]()
        for a, b in (pair for run in runs for pair in run.pairs()):
            if self._callees.differ(codes, a, b):
                index = bisect_left(calls, a)
                found.update(range(calls[index - 1] + 1 if index else 0, a))
        return found

    def _vote(self, old: Row, new: Row, trust: Trust) -> Vote:
        return Vote(new[0], new[1] - self._new.span.start, old[1] - self._old.span.start, trust, new[3])

    def of_words(self, pieces: Correspondence) -> Iterator[Vote]:
        """Pointers inside of variables that are matched already."""
        for at, word in self._new.words.items():
            before = pieces.old(at)
            other = self._old.words.get(before) if before is not None else None
            if other and word.kind is other.kind is Kind.OWN_VARIABLE:
                yield Vote(self._new.span.start + at, word.value, other.value, Trust.LIKELY, True)

    def of_content(self, pieces: Correspondence) -> Iterator[Vote]:
        """Variables that code alone could not match, which start with something that only the two of them have."""
        gone, come = unmatched(self._sides, pieces)
        if len(gone) * len(come) > _MOST_COMPARED:
            return  # what was matched by code alone leaves doubts, then
        alike = [(new, old) for new in come for old in gone if self._contents.is_content_alike(new, old)]
        counts = [Counter(pair[side] for pair in alike) for side in (0, 1)]
        for new, old in alike:
            if counts[0][new] == counts[1][old] == 1:
                yield Vote(self._new.span.start + new, new, old, Trust.LIKELY, True)


def unmatched(sides: DataSides, pieces: Correspondence) -> tuple[list[int], list[int]]:
    """The places that code or words refer to and that have no counterpart: of the old data, and of the new."""
    gone = [it for it in sides.old.reachable if not pieces.keeps(it)]
    return gone, [it for it in sides.new.reachable if pieces.old(it) is None]


def candidate(votes: Iterable[Vote]) -> int | None:
    """The counterpart that the votes for a place agree on."""
    for trust in (Trust.CERTAIN, Trust.LIKELY):
        counts = Counter(it.old for it in votes if it.trust is trust)
        if not counts:
            continue
        accessed = {it.old for it in votes if it.trust is trust and not it.forms_address}
        ranked = counts.most_common(2)
        if len(ranked) == 1 or ranked[0][1] > 2 * ranked[1][1]:
            return ranked[0][0]
        return accessed.pop() if len(accessed) == 1 else None
    return None
