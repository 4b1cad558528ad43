"""Which functions, of those that a process may remember, are for certain the same in two versions.

A name says so, a text beside it in a table, or a shape that no other function has. Where none does, code and tables
that correspond must say it: they form the addresses of both in the same places.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np

from liveso.code import Clobbers, References, Shapes, branches, entries, function_names, mark_at, remembered_functions
from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.compare.matching import Matching
from liveso.elf import Image, tables
from liveso.elf.data import data_layout
from liveso.elf.sets import distinct
from liveso.elf.tables import Table

_OFTEN = 2
_LEAST_TELLING = 24  # bytes: shorter functions are alike by chance

_Pairs = Iterable[tuple[int, int]]


def _counted_on(old: Image, new: Image, pairs: Mapping[int, int], unchanged: frozenset[int]) -> list[int]:
    """The functions that old code which still runs must not be led on from: it calls them directly, so that it may know
    their code and count on registers that the new version changes. Those are `unchanged` that have the same shape."""
    seen = branches(old)
    called = distinct(seen["target"])
    local = [it for it in called.tolist() if it in pairs and it not in unchanged]
    outside = np.zeros(len(seen), np.bool_)
    for section in old.sections:
        if section.name.startswith(".plt"):
            outside |= seen["is_call"] & (seen["target"] >= section.address) & (seen["target"] < section.end)
    places = np.sort(seen["end"][outside])  # after a call of another library a caller counts on nothing
    clobbers = Clobbers(old), Clobbers(new)
    found = []
    for it in local:
        end = clobbers[0].end_of(it)
        if np.searchsorted(places, it, side="right") != np.searchsorted(places, end, side="right"):
            continue
        least = clobbers[0].least(it)
        if least is not None:
            most = clobbers[1].most(pairs[it])
            if most is None or not most <= least:
                found.append(it)
    return found


def formed_together(matching: Matching, references: tuple[References, References]) -> list[tuple[int, int]]:
    """Functions of both versions whose addresses matched functions form in the same places, as often as they do.
    `references` are those of both versions' code."""
    formed = [
        _by_function(shapes, it.functions) for shapes, it in zip((matching.old, matching.new), references, strict=True)
    ]
    found: list[tuple[int, int]] = []
    for i, j in matching.pairs:
        one, other = formed[0].get(i, []), formed[1].get(j, [])
        if len(one) == len(other):
            found += zip(one, other, strict=True)
    return found


def certain_pairs(old: Image, new: Image, matching: Matching, in_rows: _Pairs, seen: _Pairs) -> dict[int, int]:
    """The functions of `old` with their counterparts, of which names, shapes, texts beside them `in_rows` of tables, or
    what is `seen` together leave no doubt."""
    known = list(chain(_named(old, new), _by_shape(matching), _by_texts(matching), in_rows))
    return _without_contradictions(chain(known, _confirmed(matching, seen, dict(known))))


def same_functions(
    old: Image,
    new: Image,
    matching: Matching,
    references: References,
    in_rows: _Pairs,
    formed: _Pairs,
    pieces: tuple[Piece, ...],
    variables: Correspondence | None,
) -> tuple[SameFunction, ...]:
    """The functions of `old` that a process may remember, with their counterparts in `new`, in the order of addresses.

    `references` are those of the old version's code, `in_rows` what `functions_of_named_rows` finds, `formed` what
    `formed_together` does, `pieces` the
    constant tables that are the same, and `variables` says where each variable was. Raises ImageError as `functions`
    does.
    """
    seen = [*formed, *_in_same_words(old, new, pieces, variables)]
    pairs = certain_pairs(old, new, matching, in_rows, seen)
    remembered = remembered_functions(old, references)
    known = [it for it in remembered.tolist() if it in pairs and _have_same_mark(old, new, it, pairs[it])]
    places = dict(entries(old, np.array(known, "<i8")).tolist())
    for it in _counted_on(old, new, {it: pairs[it] for it in places}, _unchanged(matching)):
        del places[it]
    return tuple(SameFunction(it, pairs[it], places.get(it)) for it in known)


def _have_same_mark(old: Image, new: Image, one: int, other: int) -> bool:
    """A jump behind a mark that does more than mark, in whatever version, leads behind the same one."""
    return not old.machine.guarded_entry or mark_at(old, one) == mark_at(new, other)


def _unchanged(matching: Matching) -> frozenset[int]:
    """The functions of the old version whose partner has the same shape."""
    starts = matching.old.functions["start"].tolist()
    return frozenset(starts[i] for i, j in matching.pairs if matching.old.shapes[i] == matching.new.shapes[j])


def _named(old: Image, new: Image) -> Iterator[tuple[int, int]]:
    """What one name leads to in both, resolvers aside, which are no functions that anybody remembers."""
    resolvers = {it.value for image in (old, new) for it in image.symbols if it.type == tables.STT_GNU_IFUNC}
    names = function_names(old), function_names(new)
    for name in names[0].keys() & names[1].keys():
        pair = names[0][name], names[1][name]
        if resolvers.isdisjoint(pair):
            yield pair


def _by_shape(matching: Matching) -> Iterator[tuple[int, int]]:
    old, new = matching.old, matching.new
    for i, j in matching.pairs:
        start, end = old.functions[i].item()
        if old.shapes[i] == new.shapes[j] not in matching.ambiguous and end - start >= _LEAST_TELLING:
            yield start, int(new.functions["start"][j])


def _by_texts(matching: Matching) -> Iterator[tuple[int, int]]:
    old, new = (it.functions["start"].tolist() for it in (matching.old, matching.new))
    yield from ((old[i], new[j]) for i, j in matching.by_texts)


def _confirmed(matching: Matching, seen: _Pairs, known: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Functions whose addresses are seen in the same places, and never one without the other: matched ones, others that
    have no partner, if they are seen so more than once, and look-alikes, which only their order matches, if they refer
    to the same of the functions that are `known`."""
    counts = Counter(seen)
    partners: tuple[dict[int, set[int]], dict[int, set[int]]] = defaultdict(set), defaultdict(set)
    for before, after in counts:
        partners[0][before].add(after)
        partners[1][after].add(before)
    starts = [it.functions["start"].tolist() for it in (matching.old, matching.new)]
    matched = {starts[0][i]: starts[1][j] for i, j in matching.pairs}
    taken = set(matched.values())
    alike = _LookAlikes(matching, known)
    for (before, after), count in counts.items():
        if len(partners[0][before]) == len(partners[1][after]) == 1:
            is_free = before not in matched and after not in taken and count >= _OFTEN
            if matched.get(before) == after or is_free or alike.may_be_same(before, after):
                yield before, after


class _LookAlikes:
    """Functions of one shape that several have; `known` are others with their counterparts."""

    def __init__(self, matching: Matching, known: Mapping[int, int]) -> None:
        self._matching, self._known = matching, known
        self._partners = frozenset(known.values())
        self._shapes = matching.ambiguous - matching.old.unclear - matching.new.unclear
        self._indexes = [
            {start: i for i, start in enumerate(it.functions["start"].tolist())} for it in (matching.old, matching.new)
        ]

    def may_be_same(self, before: int, after: int) -> bool:
        """Whether two have the same shape, and nothing that they refer to tells them apart."""
        i, j = self._indexes[0].get(before), self._indexes[1].get(after)
        if i is None or j is None or before in self._known or after in self._partners:
            return False
        old, new = self._matching.old, self._matching.new
        if old.shapes[i] != new.shapes[j] or old.shapes[i] not in self._shapes:
            return False
        targets = old.fields_of(i)["target"].tolist(), new.fields_of(j)["target"].tolist()
        return len(targets[0]) == len(targets[1]) and all(
            self._known[one] == other if one in self._known else other not in self._partners
            for one, other in zip(*targets, strict=True)
        )


def _without_contradictions(pairs: _Pairs) -> dict[int, int]:
    """Each function with its counterpart, but for those that are told of several."""
    found: dict[int, set[int]] = defaultdict(set)
    for before, after in pairs:
        found[before].add(after)
    return {before: min(after) for before, after in found.items() if len(after) == 1}


def _in_same_words(
    old: Image, new: Image, pieces: tuple[Piece, ...], variables: Correspondence | None
) -> Iterator[tuple[int, int]]:
    """Functions whose addresses lie in the same words."""
    words = _code_words(old), _code_words(new)
    for place, function in words[1].items():
        before = _word_before(old, new, place, pieces, variables)
        if before in words[0]:
            yield words[0][before], function


def _by_function(shapes: Shapes, rows: Table) -> dict[int, list[int]]:
    """What the functions form, in the order of places, by the index of the function."""
    found: dict[int, list[int]] = defaultdict(list)
    rows = np.sort(rows, order="place")
    starts, ends = shapes.functions["start"], shapes.functions["end"]
    indexes = np.searchsorted(starts, rows["place"], side="right").astype("<i8") - 1
    for index, place, target in zip(indexes.tolist(), rows["place"].tolist(), rows["target"].tolist(), strict=True):
        if index >= 0 and place < ends[index]:
            found[index].append(target)
    return found


def _code_words(image: Image) -> dict[int, int]:
    """The relocated words that lead to code by place, with where they lead."""
    rows = image.relocations[image.relocations["type"] == image.machine.relative]
    rows = rows[image.are_code(rows["addend"])]
    return dict(zip(rows["offset"].tolist(), rows["addend"].tolist(), strict=True))


def _word_before(
    old: Image, new: Image, place: int, pieces: tuple[Piece, ...], variables: Correspondence | None
) -> int | None:
    """Where the word of the new version at `place` was in the old one."""
    span = data_layout(new).span
    if place in span:
        at = variables.old(place - span.start) if variables else None
        return None if at is None else data_layout(old).span.start + at
    index = bisect_right(pieces, place, key=lambda it: it.start) - 1
    piece = pieces[index] if index >= 0 else None
    return piece.old + place - piece.start if piece and piece.old is not None and place < piece.end else None
