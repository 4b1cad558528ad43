"""Match the variables of two versions whose writable data have another layout: by name, by the references of matched
functions, and by the relocated words of variables that are matched already.

A reference of the new code leads where the same instruction of the old code leads. From these, each stretch of the new
data gets its counterpart; what cannot be told with certainty is a doubt.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise

import numpy as np

from liveso.code import Operation, Reader, function_names
from liveso.code.call_graph import Edges, call_edges, reached
from liveso.compare.alignment import aligned, in_unique_surroundings, repetitions
from liveso.compare.comparisons import Comparisons
from liveso.compare.correspondence import Correspondence, Piece
from liveso.compare.initial import InitialWord, Kind
from liveso.compare.known_data import Row, Side, range_of, rows_inside
from liveso.compare.matching import Matching
from liveso.compare.matching_blocks import TooDifferent
from liveso.elf import Image
from liveso.elf.tables import Table

_LEAST_TELLING = 32  # bytes: a smaller function without a name may be any that looks like it
_LARGEST_PADDING = 31  # bytes before a variable: compilers align none on their own to more than 32
_LONGEST_COMPARED = 256  # bytes of a variable's initial content
_LONGEST_TEXT = 64  # bytes
_MOST_COMPARED = 1 << 20  # pairs of variables
_SAID = 3  # doubts about one variable
_ROUNDS = 8  # of following pointers from variable to variable
_DEEPEST = 2  # tables of tables


class Trust(IntEnum):
    """How certain it is that two references are about one variable."""

    WEAK = 0
    """Beside an edit, or of a function that others look like."""
    LIKELY = 1
    """The instructions around are the same."""
    CERTAIN = 2
    """The whole function is the same but for addresses; or the variables have one name."""


@dataclass(frozen=True)
class MatchedVariables:
    """`doubts` say, in words, what could not be told; where there is one, `correspondence` must not be used."""

    correspondence: Correspondence
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vote:
    """Two references that are the same one in both versions: where they lead in each data span.

    `place` is the address of the new one's displacement, or of a relocated word. `forms_address`: it is not an access.
    """

    place: int
    new: int
    old: int
    trust: Trust
    forms_address: bool


def match_variables(old: Side, new: Side, matching: Matching) -> MatchedVariables:
    """Match the variables of the new version with those of the old one."""
    return _Matcher(old, new, matching).match()


class _Matcher:
    def __init__(self, old: Side, new: Side, matching: Matching) -> None:
        self._old, self._new, self._matching, self._where = old, new, matching, new.where
        self._votes: dict[int, set[_Vote]] = defaultdict(set)
        self._anchors: dict[int, int] = {}
        self._counterparts: dict[int, int] = {}
        self._anchored: list[int] = []
        self._doubts: list[str] = []
        self._resized: set[int] = set()
        self._contents: dict[tuple[int, int], bool] = {}
        self._readers = Reader(old.image), Reader(new.image)
        self._comparisons = Comparisons(self._readers[1], matching.new.functions)

    def match(self) -> MatchedVariables:
        found = set(self._votes_of_code())
        for _round in range(_ROUNDS):
            for vote in found:
                self._votes[vote.new].add(vote)
            self._doubts.clear()
            self._anchors = self._elected()
            self._counterparts = {old: new for new, old in self._anchors.items()}
            self._anchored = sorted(self._counterparts)
            pieces = Correspondence(tuple(self._pieces()), {})
            known = {it for votes in self._votes.values() for it in votes}
            found = set(self._votes_of_words(pieces)) - known or set(self._votes_of_content(pieces)) - known
            if not found:
                break
        self._ask_about_overlaps(pieces)
        self._ask_about_sizes(pieces)
        elsewhere = dict(self._elsewhere(pieces))
        self._ask_about_ends(pieces, elsewhere)
        self._ask_about_pointed_ends(pieces)
        self._ask_about_new(pieces)
        self._ask_about_successors(pieces)
        return MatchedVariables(Correspondence(pieces.pieces, elsewhere), tuple(dict.fromkeys(self._doubts)))

    # --- which references are the same

    def _votes_of_code(self) -> Iterator[_Vote]:
        matching = self._matching
        named = set(function_names(self._old.image).values())
        readers = self._readers
        for i, j in matching.pairs:
            one, other = matching.old.functions[i], matching.new.functions[j]
            rows = rows_inside(self._old.rows, one), rows_inside(self._new.rows, other)
            if not (rows[0] and rows[1]):
                continue
            shape, (start, end) = matching.old.shapes[i], one.item()
            is_as_long = len(rows[0]) == len(rows[1])
            codes = None
            if shape != matching.new.shapes[j] or not is_as_long:
                codes = readers[0].read(*one.item()), readers[1].read(*other.item())
            if codes is None or (is_as_long and codes[0].exact == codes[1].exact):
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
            for run in runs:
                for a, b in run.pairs():
                    first, second = by_instruction[0].get(a), by_instruction[1].get(b)
                    if first and second:
                        is_likely = run.is_isolated and a in unique[0] and b in unique[1]
                        is_likely &= repeated[0][a] == repeated[1][b]
                        yield self._vote(first, second, Trust.LIKELY if is_likely else Trust.WEAK)
                        old, new = codes[0].forms[a], codes[1].forms[b]
                        if old.width != new.width and old.operation is not Operation.ADDRESS:
                            self._resized.add(first[1] - self._old.span.start)

    def _vote(self, old: Row, new: Row, trust: Trust) -> _Vote:
        return _Vote(new[0], new[1] - self._new.span.start, old[1] - self._old.span.start, trust, new[3])

    def _votes_of_words(self, pieces: Correspondence) -> Iterator[_Vote]:
        """Pointers inside of variables that are matched already."""
        for at, word in self._new.words.items():
            before = pieces.old(at)
            other = self._old.words.get(before) if before is not None else None
            if other and word.kind is other.kind is Kind.OWN_VARIABLE:
                yield _Vote(self._new.span.start + at, word.value, other.value, Trust.LIKELY, True)

    def _votes_of_content(self, pieces: Correspondence) -> Iterator[_Vote]:
        """Variables that code alone could not match, which start with something that only the two of them have."""
        gone, come = self._unmatched(pieces)
        if len(gone) * len(come) > _MOST_COMPARED:
            return  # what was matched by code alone leaves doubts, then
        alike = [(new, old) for new in come for old in gone if self._is_content_alike(new, old)]
        counts = [Counter(pair[side] for pair in alike) for side in (0, 1)]
        for new, old in alike:
            if counts[0][new] == counts[1][old] == 1:
                yield _Vote(self._new.span.start + new, new, old, Trust.LIKELY, True)

    def _unmatched(self, pieces: Correspondence) -> tuple[list[int], list[int]]:
        """The places that code refers to and that have no counterpart: of the old data, and of the new."""
        gone = [it for it in self._old.referred if not pieces.keeps(it)]
        return gone, [it for it in self._new.referred if pieces.old(it) is None]

    # --- which places are the same

    def _elected(self) -> dict[int, int]:
        """The places of the new data whose counterpart is known, one to one: the most certain come first."""
        found = [(Trust.CERTAIN, 1, -it, it) for it in self._own_handles]
        if self._old.finaliser_flag is not None and self._new.finaliser_flag is not None:
            found.append((Trust.CERTAIN, len(self._new.rows) + 1, -self._new.finaliser_flag, self._old.finaliser_flag))
        for name in self._old.named.keys() & self._new.named.keys():
            one, other = self._old.named[name], self._new.named[name]
            found.append((Trust.CERTAIN, len(self._new.rows) + 1, -other.offset, one.offset))
            if one.size != other.size:
                self._doubts.append(f"the variable {name} changes from {one.size} to {other.size} bytes")
        for new, votes in self._votes.items():
            old = _candidate(votes)
            if old is not None:
                agreeing = [it.trust for it in votes if it.old == old]
                if max(agreeing) is Trust.CERTAIN or old == new or self._is_content_alike(new, old):
                    found.append((max(agreeing), len(agreeing), -new, old))
        anchors: dict[int, int] = {}
        taken: set[int] = set()
        strong: list[int] = []
        for trust, count, negative, old in sorted(found, reverse=True):
            new = -negative
            if new in anchors or old in taken or new >= len(self._new.span):
                continue
            if trust is not Trust.CERTAIN and count == 1:
                strong = strong or sorted(anchors)
                if self._is_better_among_neighbours(new, old, strong, anchors):
                    continue
            anchors[new] = old
            taken.add(old)
        return anchors

    def _is_better_among_neighbours(self, new: int, old: int, strong: list[int], anchors: dict[int, int]) -> bool:
        """Whether a place that a single edited function leads to `old` fits as well where its neighbours on both sides
        are, as `strong` has them: then the edit was aligned wrongly."""
        index = bisect_right(strong, new)
        if not 0 < index < len(strong):
            return False
        distances = {anchors[it] - it for it in strong[index - 1 : index + 1]}
        if len(distances) != 1 or old - new in distances:
            return False
        other = new + distances.pop()
        return self._is_alike(new, other, self._compared_end(new, other))

    def _compared_end(self, new: int, old: int) -> int:
        """Up to where the variables at two places can be compared: to where another may begin, in either version."""
        room = min(self._new.next_start(new) - new, self._old.next_start(old) - old, _LONGEST_COMPARED)
        return new + max(0, room)

    @cached_property
    def _own_handles(self) -> list[int]:
        """Where both versions have __dso_handle, which leads to itself (Itanium C++ ABI, 3.3.6)."""
        return [
            at
            for at in self._new.words.keys() & self._old.words.keys()
            if all(it.words[at].kind is Kind.OWN_VARIABLE and it.words[at].value == at for it in (self._old, self._new))
        ]

    def _is_content_alike(self, new: int, old: int) -> bool:
        """Whether what lies at the place `new` starts with what lay at `old`, and no more so with what lay at `new`
        before: else an edited function only refers to another variable now."""
        if (new, old) not in self._contents:  # asked for in each round
            self._contents[new, old] = self._starts_alike(new, old)
        return self._contents[new, old]

    def _starts_alike(self, new: int, old: int) -> bool:
        end = self._compared_end(new, old)
        if not self._is_alike(new, old, end):
            return False
        return not (self._is_told(new, end) and self._is_alike(new, new, end))

    def _is_told(self, new: int, end: int) -> bool:
        """Whether the new data from `new` to `end` start with anything but zeros."""
        return any(self._new.content[new:end]) or bool(range_of(self._new.word_places, new, end))

    def _is_alike(self, new: int, old: int, end: int) -> bool:
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
        starts = [it.functions["start"].tolist() for it in (self._matching.old, self._matching.new)]
        return {starts[0][i]: starts[1][j] for i, j in self._matching.pairs}

    @cached_property
    def _partnered(self) -> frozenset[int]:
        return frozenset(self._partners.values())

    def _pieces(self) -> Iterator[Piece]:
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
        anchored = sorted(self._anchors)
        old_starts = set(self._old.starts)
        found: dict[int, int | None] = {}
        for start in self._new.starts:
            if start in self._anchors:
                found[start] = self._anchors[start] - start
                continue
            index = bisect_right(anchored, start)
            before, after = anchored[index - 1 : index] if index else [], anchored[index : index + 1]
            fitting = {}
            for anchor in [*before, *after]:
                distance = self._anchors[anchor] - anchor
                low, high = sorted((self._anchors[anchor], start + distance))
                is_taken = self._counterparts.get(start + distance, start) != start
                is_inside = low >= 0 and high < len(self._old.span)
                if is_inside and not is_taken and self._stays_whole(low, high + 1, distance):
                    fitting[distance] = anchor
            agree = len({self._anchors[it] - it for it in (*before, *after)}) == 1 and before and after
            known = [it for it in fitting if start + it in old_starts]
            if not agree:  # at the border of a run another variable may have come
                known = [it for it in known if self._is_supported(start, start + it)]
            if len(known) > 1:
                seen = {it.old for it in self._votes[start]}
                known = [it for it in known if start + it in seen] or known
            if len(known) > 1:
                known = [it for it in known if self._is_alike(start, start + it, self._compared_end(start, start + it))]
            named = [it for it in before if start < it + self._new.sizes.get(it, 0)]
            if named:
                found[start] = self._anchors[named[0]] - named[0]
            elif len(known) == 1 or (len(fitting) == 1 and agree):
                found[start] = known[0] if known else next(iter(fitting))
            elif len(known) > 1:
                self._doubts.append(f"what lies at +{start:#x} of {self._where} may be either of two variables")
                found[start] = None
            else:
                # inside the variable before, or in what was its padding
                inside = (d for d, anchor in fitting.items() if anchor < start and anchor not in self._new.sizes)
                found[start] = next((d for d in inside if start + d not in old_starts), None)
        return found

    def _is_supported(self, new: int, old: int) -> bool:
        """Whether anything besides its neighbour tells that the variable at `new` is the one at `old`: that the same
        functions refer to it, for example."""
        referrers = self._referrers
        if referrers[0].get(old) and referrers[0].get(old) == referrers[1].get(new):
            return True
        if any(it.old == old for it in self._votes[new]):
            return True
        here, there = self._new.room_around(new), self._old.room_around(old)
        if len(here) == len(there) and new - here.start == old - there.start:
            new, old = here.start, there.start  # inside of a variable, or of a few that keep together
        room = min(here.stop - new, there.stop - old, _LONGEST_COMPARED)
        return self._is_told(new, new + room) and self._is_alike(new, old, new + room)

    def _goes_on(self, before: int, start: int, distances: dict[int, int | None]) -> bool:
        """Whether two starts of the new data belong to one run, in the middle of which nothing was taken out."""
        distance = distances[before]
        if distance is None or distances[start] != distance:
            return False
        return self._stays_whole(before + distance, start + distance, distance)

    def _stays_whole(self, low: int, high: int, distance: int) -> bool:
        """Whether all that is known of the old data from `low` up to `high` moved by one distance."""
        between = range_of(self._anchored, low, high)
        return all(self._counterparts[it] + distance == it for it in between)

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
            self._doubts.append(
                f"the variable at +{was:#x} of {self._where}, of {room} bytes at most, may have grown: at "
                f"+{last:#x}, where it is now, the next comes {need} bytes later"
            )
        return Piece(run[0], last + min(need, room), run[0] + distance)

    def _is_handled_alike(self, old: int, new: int) -> bool:
        """Whether nothing that can know how large a variable is has changed: what forms its address, and what that
        leads to, does the same in both versions. What is only ever accessed in one piece is as large as that."""
        start, now = self._old.room_around(old).start, self._new.room_around(new).start
        if old - start != new - now:
            return False
        known = [it for it in (start, now) if it in self._old.led_to or it in self._new.led_to]
        formers = self._formers
        if known or formers[0].get(start) != formers[1].get(now) or -1 in formers[1].get(now, ()):
            return False
        reached_now = reached(self._edges, formers[1].get(now, ()))
        return reached_now <= self._unchanged

    @cached_property
    def _formers(self) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        """By each place of the old data, and of the new, the functions that form its address, as `_referrers` has
        them."""
        return self._by_place(forms_address=True)

    @cached_property
    def _edges(self) -> Edges:
        return call_edges(self._new.image, self._matching.new)

    @cached_property
    def _unchanged(self) -> frozenset[int]:
        """The functions of the new version that are the same but for addresses."""
        old, new = self._matching.old.shapes, self._matching.new.shapes
        return frozenset(j for i, j in self._matching.pairs if old[i] == new[j])

    # --- references that lead to the end of a variable

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

    def _is_reordered(self, it: _Vote, pieces: Correspondence) -> bool:
        """Whether an edited function refers to both variables in both versions, so that it may have changed their order
        only; to a new one, if it goes on referring to the other, beside which the new one came."""
        j = self._index_at(it.place)
        i = self._partner_of.get(j)
        before = pieces.old(it.new)
        if i is None:
            return False
        function, start = self._matching.old.functions[i], self._old.span.start
        objects = self._old.objects_outside(function)

        def variable(at: int) -> int:
            return objects[bisect_right(objects, at) - 1]

        old = {variable(row[1] - start) for row in rows_inside(self._old.rows, function)}
        places = [
            pieces.old(row[1] - self._new.span.start)
            for row in rows_inside(self._new.rows, self._matching.new.functions[j])
        ]
        new = {variable(place) for place in places if place is not None}
        return variable(it.old) in new and (before is None or variable(before) in old)

    @cached_property
    def _partner_of(self) -> dict[int, int]:
        return {j: i for i, j in self._matching.pairs}

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
            referrers = self._referrers[0]
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

    @cached_property
    def _referrers(self) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        """By each place of the old data, and of the new, the functions that refer to it, as indexes into the new
        version's; one that has no counterpart there is -1."""
        return self._by_place(forms_address=False)

    def _by_place(self, forms_address: bool) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        partners = dict(self._matching.pairs)
        found: tuple[dict[int, set[int]], dict[int, set[int]]] = ({}, {})
        for places, side, functions in zip(
            found, (self._old, self._new), (self._matching.old.functions, self._matching.new.functions), strict=True
        ):
            rows = side.rows[side.rows["forms_address"]] if forms_address else side.rows
            indexes = np.searchsorted(functions["start"], rows["place"], side="right") - 1
            for index, target in zip(indexes.tolist(), rows["target"].tolist(), strict=True):
                function = partners.get(index, -1) if side is self._old else index
                places.setdefault(target - side.span.start, set()).add(function)
        return found

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
        places = {row[1] - self._new.span.start for row in rows_inside(self._new.rows, self._function_at(place))}
        return any(at < it < after.end for it in places) and not any(before.start <= it < at for it in places)

    def _ask_about_new(self, pieces: Correspondence) -> None:
        """What some code takes for a variable that was there is new only where that one is certainly another."""
        for new, votes in self._votes.items():
            for it in votes if pieces.old(new) is None else ():
                other = self._counterparts.get(it.old)
                trusts = [one.trust for one in self._votes[other] if one.old == it.old] if other is not None else []
                if Trust.CERTAIN not in trusts and len(trusts) < 2:
                    self._doubts.append(
                        f"code refers at {it.place:#x} to +{new:#x} of {self._where}, which may be new or may be the "
                        f"variable that was at +{it.old:#x}"
                    )

    def _ask_about_successors(self, pieces: Correspondence) -> None:
        """A variable that is gone and one that is new may be the same one, of another size or in code that was
        rewritten, unless their names say that they are not."""
        gone, come = self._unmatched(pieces)
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

    def _index_at(self, place: int) -> int:
        """The new version's function that holds an address, by its index."""
        return int(np.searchsorted(self._matching.new.functions["start"], place, side="right")) - 1

    def _function_at(self, place: int) -> Table:
        found: Table = self._matching.new.functions[self._index_at(place)]
        return found


def _text_at(image: Image, address: int) -> bytes:
    """What a constant begins with: a text to its end, if it is one."""
    offset = image.file_offset(address)
    content = image.content[offset : offset + _LONGEST_TEXT] if offset is not None else b""
    return content.partition(b"\0")[0] or content[:8]


def _alignment(address: int) -> int:
    """The largest power of two that an address is a multiple of."""
    return address & -address


def _candidate(votes: Iterable[_Vote]) -> int | None:
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
