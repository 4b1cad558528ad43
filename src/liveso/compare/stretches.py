"""The stretches of a version's data, each with its counterpart in another version."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property

from liveso.code.call_graph import reached
from liveso.code.use import How
from liveso.code.uses import uses
from liveso.compare.correspondence import Piece
from liveso.compare.data_sides import DataSides
from liveso.compare.initial_contents import InitialContents
from liveso.compare.known_data import range_of
from liveso.compare.votes import Vote

_MOST_HANDLERS = 64  # functions
_LARGEST_PADDING = 31  # bytes before a variable: compilers align none on their own to more than 32


class Stretches:
    """Makes stretches of the places whose counterparts are known, `anchors`, by the new place. `doubts` say what could
    not be told."""

    def __init__(
        self, sides: DataSides, contents: InitialContents, anchors: dict[int, int], votes: Mapping[int, set[Vote]]
    ) -> None:
        self._sides, self._contents, self._anchors, self._votes = sides, contents, anchors, votes
        self._old, self._new, self._where = sides.old, sides.new, sides.where
        self.counterparts = {old: new for new, old in anchors.items()}
        self.anchored = sorted(self.counterparts)
        self.doubts: list[str] = []

    def found(self) -> Iterator[Piece]:
        """The stretches of the new data, each with its counterpart: runs of places that moved by one distance."""
        distances = self._distances()
        matched = sorted(start + distance for start, distance in distances.items() if distance is not None)
        run: list[int] = []
        position = 0
        for start in [*self._new.starts, len(self._new.span)]:
            if run and start < len(self._new.span) and self._goes_on(run[-1], start, distances):
                run.append(start)
                continue
            if run:
                piece = self._run(run, start, distances, matched)
                if position < piece.start:
                    yield Piece(position, piece.start, None)
                yield piece
                position = piece.end
            run = [start] if distances.get(start) is not None else []
        if position < len(self._new.span):
            yield Piece(position, len(self._new.span), None)

    def _distances(self) -> dict[int, int | None]:
        """How far each start of the new data is from its place in the old data; None where it is a new variable's."""
        ordered = sorted(self._anchors)
        return {start: self._distance(start, ordered) for start in self._new.starts}

    def _distance(self, start: int, ordered: list[int]) -> int | None:
        """That of one start. `ordered` are the places whose counterparts are known: where the start is none, those on
        both sides of it say how far it may have moved."""
        if start in self._anchors:
            return self._anchors[start] - start
        index = bisect_right(ordered, start)
        before, after = ordered[index - 1 : index] if index else [], ordered[index : index + 1]
        fitting = self._fitting(start, [*before, *after])
        agree = bool(before and after) and len({self._anchors[it] - it for it in (*before, *after)}) == 1
        known = self._known(start, fitting, agree)
        named = [it for it in before if start < it + self._new.sizes.get(it, 0)]
        if named:
            return self._anchors[named[0]] - named[0]
        if len(known) == 1 or (len(fitting) == 1 and agree):
            return known[0] if known else next(iter(fitting))
        if len(known) > 1:
            self.doubts.append(f"what lies at +{start:#x} of {self._where} may be either of two variables")
            return None
        # inside the variable before, or in what was its padding
        inside = (it for it, anchor in fitting.items() if anchor < start and anchor not in self._new.sizes)
        return next((it for it in inside if start + it not in self._old_starts), None)

    def _fitting(self, start: int, anchors: list[int]) -> dict[int, int]:
        """The distances of `anchors` at which a start may have moved along with one, with that: its place is in the old
        data and no other's, what it starts with was not elsewhere, and nothing between the two moved otherwise."""
        found = {}
        for anchor in anchors:
            distance = self._anchors[anchor] - anchor
            low, high = sorted((self._anchors[anchor], start + distance))
            is_taken = self.counterparts.get(start + distance, start) != start
            is_inside = low >= 0 and high < len(self._old.span)
            if not is_inside or is_taken or self._contents.is_elsewhere(start, start + distance):
                continue
            if self._stays_whole(low, high + 1, distance):
                found[distance] = anchor
        return found

    def _known(self, start: int, fitting: Mapping[int, int], agree: bool) -> list[int]:
        """Those of the distances that lead to where something begins. At the border of a run, where the two sides do
        not `agree`, another variable may have come: something else must tell that it is the same. Of several, the ones
        that hold the same, and that votes are for: a function that does the same with one variable after another votes
        for the next one where one of them is gone."""
        known = [it for it in fitting if start + it in self._old_starts]
        if not agree:
            known = [it for it in known if self._is_supported(start, start + it)]
        if len(known) > 1 and self._contents.is_told(start, self._sides.new.next_start(start)):
            known = [it for it in known if self._starts_alike(start, start + it)] or known
        if len(known) > 1:
            seen = {it.old for it in self._votes.get(start, ())}
            known = [it for it in known if start + it in seen] or known
        if len(known) > 1:
            known = [it for it in known if self._starts_alike(start, start + it)]
        return known

    def _starts_alike(self, new: int, old: int) -> bool:
        return self._contents.is_alike(new, old, self._contents.compared_end(new, old))

    @cached_property
    def _old_starts(self) -> frozenset[int]:
        return frozenset(self._old.starts)

    def _is_supported(self, new: int, old: int) -> bool:
        """Whether anything besides its neighbour tells that the variable at `new` is the one at `old`: that the same
        functions refer to it, for example."""
        referrers = self._sides.referrers
        if referrers[0].get(old) and referrers[0].get(old) == referrers[1].get(new):
            return True
        if any(it.old == old for it in self._votes.get(new, ())):
            return True
        here, there = self._new.room_around(new), self._old.room_around(old)
        if len(here) == len(there) and new - here.start == old - there.start:
            new, old = here.start, there.start  # inside of a variable, or of a few that keep together
        end = self._contents.room_end(new, min(here.stop - new, there.stop - old))
        return self._contents.is_told(new, end) and self._contents.is_alike(new, old, end)

    def _goes_on(self, before: int, start: int, distances: dict[int, int | None]) -> bool:
        """Whether two starts of the new data belong to one run, in the middle of which nothing was taken out."""
        distance = distances[before]
        if distance is None or distances[start] != distance:
            return False
        return self._stays_whole(before + distance, start + distance, distance)

    def _stays_whole(self, low: int, high: int, distance: int) -> bool:
        """Whether all that is known of the old data from `low` up to `high` moved by one distance."""
        between = range_of(self.anchored, low, high)
        return all(self.counterparts[it] + distance == it for it in between)

    def _run(self, run: list[int], end: int, distances: dict[int, int | None], matched: list[int]) -> Piece:
        """The piece of a run: as long as its last variable may be, for which there must be room in the old data, up to
        the next of the places that are `matched`."""
        last, distance = run[-1], distances[run[-1]]
        assert distance is not None
        was = last + distance
        index = bisect_right(matched, was)
        following = matched[index] if index < len(matched) else len(self._old.span)
        room = min(following, self._old.section_end(was)) - was
        need = min(end, self._new.section_end(last)) - last
        size = self._new.sizes.get(last) or self._old.sizes.get(was) or 0
        if size:
            return Piece(run[0], last + min(need, size, room), run[0] + distance)
        padding = min(_LARGEST_PADDING, _alignment(self._new.span.start + end) - 1)
        if need - room > padding and not self._is_handled_alike(was, last):
            self.doubts.append(
                f"the variable at +{was:#x} of {self._where}, of {room} bytes at most, may have grown: at "
                f"+{last:#x}, where it is now, the next comes {need} bytes later"
            )
        return Piece(run[0], last + min(need, room), run[0] + distance)

    def _is_handled_alike(self, old: int, new: int) -> bool:
        """Whether nothing that can know how large a variable is has changed: what forms its address, and what that
        calls, does the same in both versions, and keeps no address. Only for one that starts with zeros: others may
        have more to start with. What is only ever accessed in one piece is as large as that."""
        start, now = self._old.room_around(old).start, self._new.room_around(new).start
        if old - start != new - now or self._contents.is_told(now, self._new.next_start(new)):
            return False
        formers = self._sides.formers
        handlers = formers[1].get(now, set())
        if {start, now} & (self._old.led_to | self._new.led_to) or formers[0].get(start, set()) != handlers:
            return False
        below = reached(self._sides.edges, handlers)
        if -1 in handlers or len(below) > _MOST_HANDLERS or not below <= self._sides.unchanged:
            return False
        places = range(now, self._new.next_start(new))
        return not any(self._keeps_address(it, places) for it in below)

    def _keeps_address(self, index: int, places: range) -> bool:
        """Whether a function of the new version stores an address of some `places`, or what it was given, or hands one
        of them on to another library."""
        functions, start = self._sides.matching.new.functions, self._new.span.start
        addresses = range(start + places.start, start + places.stop)
        code = self._sides.readers[1].read(*functions[index].item())
        for it in uses(self._new.image, code):
            if it.how is How.STORE and it.what[:1] == ("argument",):
                return True
            if it.how is How.STORE and it.what[:1] == ("address",) and it.what[-1] in addresses:
                return True
            if it.how is How.HAND and it.what[0] and it.what[1] is True and it.spot.offset in places:
                return True
        return False


def _alignment(address: int) -> int:
    """The largest power of two that an address is a multiple of."""
    return address & -address
