"""Match the variables of two versions whose writable data have another layout: by name, by the references of matched
functions, and by the relocated words of variables that are matched already.

A reference of the new code leads where the same instruction of the old code leads. From these, each stretch of the new
data gets its counterpart; what cannot be told with certainty is a doubt.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from liveso.compare.correspondence import Correspondence, without_gaps
from liveso.compare.data_sides import DataSides
from liveso.compare.initial import Kind
from liveso.compare.initial_contents import InitialContents
from liveso.compare.known_data import Side
from liveso.compare.matching import Matching
from liveso.compare.stretches import Stretches
from liveso.compare.variable_doubts import Doubts
from liveso.compare.votes import Trust, Vote, Voting, candidate

_ROUNDS = 8  # of following pointers from variable to variable


@dataclass(frozen=True)
class MatchedVariables:
    """`doubts` say, in words, what could not be told; where there is one, `correspondence` must not be used."""

    correspondence: Correspondence
    doubts: tuple[str, ...]


def match_variables(old: Side, new: Side, matching: Matching) -> MatchedVariables:
    """Match the variables of the new version with those of the old one."""
    sides = DataSides(old, new, matching)
    contents = InitialContents(sides)
    voting = Voting(sides, contents)
    votes: dict[int, set[Vote]] = defaultdict(set)
    found = set(voting.of_code())
    for _round in range(_ROUNDS):
        for vote in found:
            votes[vote.new].add(vote)
        election = _Election(sides, contents, votes)
        stretches = Stretches(sides, contents, election.anchors(), votes)
        pieces = Correspondence(tuple(without_gaps(stretches.found(), old.gaps)), {})
        known = {it for some in votes.values() for it in some}
        found = set(voting.of_words(pieces)) - known or set(voting.of_content(pieces)) - known
        if not found:
            break
    doubts, elsewhere = Doubts(sides, stretches, votes, voting.resized).found(pieces)
    said = dict.fromkeys((*election.doubts, *stretches.doubts, *doubts))
    return MatchedVariables(Correspondence(pieces.pieces, elsewhere), tuple(said))


class _Election:
    """Chooses a counterpart for each place that votes are about. `doubts` say what could not be told."""

    def __init__(self, sides: DataSides, contents: InitialContents, votes: Mapping[int, set[Vote]]) -> None:
        self._contents, self._votes, self._old, self._new = contents, votes, sides.old, sides.new
        self.doubts: list[str] = []

    def anchors(self) -> dict[int, int]:
        """The places of the new data whose counterpart is known, one to one: the most certain come first."""
        found = [(Trust.CERTAIN, 1, -it, it) for it in self._own_handles]
        if self._old.finaliser_flag is not None and self._new.finaliser_flag is not None:
            found.append((Trust.CERTAIN, len(self._new.rows) + 1, -self._new.finaliser_flag, self._old.finaliser_flag))
        for name in self._old.named.keys() & self._new.named.keys():
            one, other = self._old.named[name], self._new.named[name]
            found.append((Trust.CERTAIN, len(self._new.rows) + 1, -other.offset, one.offset))
            if one.size != other.size:
                self.doubts.append(f"the variable {name} changes from {one.size} to {other.size} bytes")
        for new, votes in self._votes.items():
            old = candidate(votes)
            if old is not None:
                agreeing = [it.trust for it in votes if it.old == old]
                if max(agreeing) is Trust.CERTAIN or self._is_likely(new, old):
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

    def _is_likely(self, new: int, old: int) -> bool:
        """Whether what a place starts with does not speak against a counterpart that only edited functions tell."""
        if old == new:
            return not self._contents.is_elsewhere(new, old)
        return self._contents.is_content_alike(new, old)

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
        return self._contents.is_alike(new, other, self._contents.compared_end(new, other))

    @cached_property
    def _own_handles(self) -> list[int]:
        """Where both versions have __dso_handle, which leads to itself (Itanium C++ ABI, 3.3.6)."""
        return [
            at
            for at in self._new.words.keys() & self._old.words.keys()
            if all(it.words[at].kind is Kind.OWN_VARIABLE and it.words[at].value == at for it in (self._old, self._new))
        ]
