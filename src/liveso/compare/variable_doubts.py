"""What is not certain about variables that were matched."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from liveso.compare.comparisons import Comparisons
from liveso.compare.correspondence import Correspondence
from liveso.compare.data_sides import DataSides
from liveso.compare.known_data import range_of, rows_inside
from liveso.compare.stretches import Stretches
from liveso.compare.votes import Trust, Vote, unmatched

_SAID = 3  # doubts about one variable


class Doubts:
    """Asks what may be otherwise than the `stretches` have it; `votes` are by the new place, and `resized` is what
    Voting has found."""

    def __init__(
        self, sides: DataSides, stretches: Stretches, votes: Mapping[int, set[Vote]], resized: set[int]
    ) -> None:
        self._sides, self._votes, self._resized = sides, votes, resized
        self._old, self._new, self._where = sides.old, sides.new, sides.where
        self._counterparts, self._anchored = stretches.counterparts, stretches.anchored
        self._comparisons = Comparisons(sides.readers[1], sides.matching.new.functions)
        self._doubts: list[str] = []

    def found(self, pieces: Correspondence) -> tuple[list[str], dict[int, int]]:
        """What is doubtful, in words, and the references that lead elsewhere (Correspondence.elsewhere)."""
        self._ask_about_overlaps(pieces)
        self._ask_about_sizes(pieces)
        elsewhere = dict(self._elsewhere(pieces))
        self._ask_about_ends(pieces, elsewhere)
        self._ask_about_pointed_ends(pieces)
        self._ask_about_new(pieces)
        self._ask_about_successors(pieces)
        self._ask_about_bound(pieces)
        return self._doubts, elsewhere

    def _no_longer_reached(self, pieces: Correspondence) -> Iterator[int]:
        """The places of the old data that code reached by way of others, and that the new version's code leaves alone:
        where the variable before them is now, there may be padding behind it."""
        referred = set(self._new.referred)
        for piece in pieces.pieces:
            if piece.old is not None:
                for it in self._old.anchored:
                    now = it - piece.old + piece.start
                    if piece.start <= now < piece.end and now not in referred:
                        yield it

    def _ask_about_bound(self, pieces: Correspondence) -> None:
        """What code reaches by way of another place, which it has one number for, must have moved as that did."""
        for place, base, target in self._new.bound:
            before = pieces.old(base), pieces.old(target)
            if before[0] is None is before[1]:
                continue
            if before[0] is None or before[1] is None or before[1] - before[0] != target - base:
                self._doubts.append(
                    f"code reaches at {place:#x} what lies at +{target:#x} of {self._where} by way of +{base:#x}, from "
                    "which it moved apart"
                )

    def _elsewhere(self, pieces: Correspondence) -> Iterator[tuple[int, int]]:
        for new, votes in self._votes.items():
            for it in votes:
                old = pieces.old(new)
                if it.old == old or it.trust is Trust.WEAK:
                    continue
                supported = sum(other.old == old for other in votes)
                if it.forms_address and it.trust is Trust.CERTAIN:
                    yield it.place, it.old
                elif supported < 2 and (it.trust is Trust.CERTAIN or not self._is_reordered(it, pieces)):
                    self._doubts.append(
                        f"code refers at {it.place:#x} to +{new:#x} of {self._where}, which was +{it.old:#x} here "
                        "and something else for other code"
                    )

    def _is_reordered(self, it: Vote, pieces: Correspondence) -> bool:
        """Whether an edited function refers to both variables in both versions, so that it may have changed their order
        only; to a new one, if it goes on referring to the other, beside which the new one came."""
        j = self._sides.index_at(it.place)
        i = self._sides.partner_of.get(j)
        before = pieces.old(it.new)
        if i is None:
            return False
        function, start = self._sides.matching.old.functions[i], self._old.span.start
        objects = self._old.objects_outside(function)

        def variable(at: int) -> int:
            return objects[bisect_right(objects, at) - 1]

        old = {variable(row[1] - start) for row in rows_inside(self._old.rows, function)}
        places = [
            pieces.old(row[1] - self._new.span.start)
            for row in rows_inside(self._new.rows, self._sides.matching.new.functions[j])
        ]
        new = {variable(place) for place in places if place is not None}
        return variable(it.old) in new and (before is None or variable(before) in old)

    def _ask_about_ends(self, pieces: Correspondence, elsewhere: dict[int, int]) -> None:
        """An address at the border of two variables that were no neighbours may be the end of the first, where the same
        instruction of the old version does not tell."""
        borders = {
            second.start
            for first, second in pairwise(pieces.pieces)
            if first.old is None or second.old != first.old + first.end - first.start
        }
        told = {it.place for votes in self._votes.values() for it in votes if it.trust is not Trust.WEAK}
        for place, target, _displacement, forms_address in self._new.rows.tolist():
            at = target - self._new.span.start
            if at not in borders or not forms_address or place in told or place in elsewhere:
                continue
            before = self._new.starts[bisect_right(self._new.starts, at - 1) - 1]
            if (
                before in self._new.arrays
                and self._comparisons.may_be_end(place)
                and not self._is_about_next(place, at, pieces)
            ):
                self._doubts.append(
                    f"the address +{at:#x} of {self._where}, formed at {place:#x}, may be the end of the variable "
                    f"at +{before:#x} or the start of the next, which came elsewhere"
                )

    def _ask_about_pointed_ends(self, pieces: Correspondence) -> None:
        """The same for an address that a word holds: it may be an end where a word of the old version led to the end of
        the first variable, and none of the new one leads to what followed there. What nothing else leads to begins
        there: a variable to which nothing leads at all would have been left out."""
        pointed, now = self._old.led_to, self._new.led_to
        led_to = {pieces.old(it) for it in now}
        for first, second in pairwise(pieces.pieces):
            if second.start in now and first.old is not None:
                end = first.old + first.end - first.start
                is_start = self._old.is_led_to_once(end) and self._new.is_led_to_once(second.start)
                if end != second.old and end in pointed and end not in led_to and not is_start:
                    self._doubts.append(
                        f"a word holds the address +{second.start:#x} of {self._where}, the end of a variable or "
                        "the start of the next, which came elsewhere"
                    )

    def _ask_about_sizes(self, pieces: Correspondence) -> None:
        """A variable that is accessed in another width, or what may be two members of one that moved apart, may have
        another type now."""
        resized = sorted(self._resized)
        for piece in pieces.pieces:
            if piece.old is not None:
                for old in range_of(resized, piece.old, piece.old + piece.end - piece.start):
                    self._doubts.append(f"the variable at +{old:#x} of {self._where} is accessed in another width")
        matched = [it for it in pieces.pieces if it.old is not None]
        for first, second in pairwise(matched):
            assert first.old is not None and second.old is not None
            has_moved_apart = second.old - second.start != first.old - first.start
            between = range_of(self._anchored, first.old + first.end - first.start, second.old)
            if not has_moved_apart or second.old < first.old or between:
                continue
            before = self._old.room_around(second.old - 1).start
            if second.old in self._old.arrays or before not in self._old.arrays or before < first.old:
                continue
            referrers = self._sides.referrers[0]
            if self._old.section_end(before) != self._old.section_end(second.old) or not (
                referrers.get(before, set()) & referrers.get(second.old, set())
            ):
                continue
            size = self._old.sizes.get(before)
            if size is None or before + size > second.old:
                self._doubts.append(
                    f"what lies at +{before:#x} and +{second.old:#x} of {self._where} moved apart: it may be one "
                    "variable, of another size now"
                )

    def _ask_about_overlaps(self, pieces: Correspondence) -> None:
        """No two variables of the new version can have been one."""
        known = sorted((it.old, it.end - it.start, it.start) for it in pieces.pieces if it.old is not None)
        for (old, size, start), (next_old, _size, next_start) in pairwise(known):
            if old + size > next_old:
                self._doubts.append(
                    f"what lies at +{start:#x} and +{next_start:#x} of {self._where} may both have been at "
                    f"+{next_old:#x}"
                )

    def _is_about_next(self, place: int, at: int, pieces: Correspondence) -> bool:
        """Whether the function that refers to the border `at` also refers to other places of the variables that begin
        there, and to none of those that end there."""
        index = bisect_right(pieces.pieces, at, key=lambda it: it.start) - 1
        before, after = pieces.pieces[index - 1], pieces.pieces[index]
        places = {row[1] - self._new.span.start for row in rows_inside(self._new.rows, self._sides.function_at(place))}
        return any(at < it < after.end for it in places) and not any(before.start <= it < at for it in places)

    def _ask_about_new(self, pieces: Correspondence) -> None:
        """What some code takes for a variable that was there is new only where that one is certainly another."""
        for new, votes in self._votes.items():
            for it in votes if pieces.old(new) is None else ():
                other = self._counterparts.get(it.old)
                trusts = (
                    [one.trust for one in self._votes.get(other, ()) if one.old == it.old] if other is not None else []
                )
                if Trust.CERTAIN not in trusts and len(trusts) < 2:
                    self._doubts.append(
                        f"code refers at {it.place:#x} to +{new:#x} of {self._where}, which may be new or may be the "
                        f"variable that was at +{it.old:#x}"
                    )

    def _ask_about_successors(self, pieces: Correspondence) -> None:
        """A variable that is gone and one that is new may be the same one, of another size or in code that was
        rewritten, unless their names say that they are not."""
        gone, come = unmatched(self._sides, pieces)
        gone = sorted({*gone, *self._no_longer_reached(pieces)})
        if not (gone and come):
            return
        names = self._old.names_of(gone), self._new.names_of(come)
        if names[0] is None or names[1] is None:
            self._doubts.append(
                f"the variable at +{gone[0]:#x} of {self._where} is gone and the one at +{come[0]:#x} is new: they "
                "may be one"
            )
            return
        by_size: dict[int, list[str]] = defaultdict(list)
        for other in names[1]:
            by_size[other.size].append(other.name)
        for one in names[0]:
            for name in by_size.get(one.size, [])[:_SAID]:
                self._doubts.append(f"the variable {one.name} is gone and {name} is new: they may be one")
