"""Which function of one version is which of the other: by name, by shape, and by order between those."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code.mask import displacements
from liveso.code.names import function_names
from liveso.code.shapes import Shapes, shapes
from liveso.compare.matching_blocks import TooDifferent, changed_parts
from liveso.compare.own_texts import OwnTexts, ToldByTexts, retold
from liveso.elf import Image
from liveso.elf.tables import Table

_ALIKE = 0.4  # share of common pieces from which two functions of one gap are taken for the same
_LARGEST_GAP = 400  # functions: beyond, a gap is compared by shape and order alone


@dataclass(frozen=True)
class Matching:
    """`pairs` are indexes of matched functions in `old` and `new`, in the order of `old`.

    `ambiguous` are shapes that several functions of one version share, or that tell nothing: which of them is which is
    not certain.
    `likely` are pairs of others, which do alike at the same place: enough to ask whether they agree about data, and not
    for taking one for the other.
    `by_texts` are those of the pairs that texts tell which no other function refers to.
    """

    old: Shapes
    new: Shapes
    pairs: tuple[tuple[int, int], ...]
    ambiguous: frozenset[int]
    likely: tuple[tuple[int, int], ...] = ()
    by_texts: tuple[tuple[int, int], ...] = ()

    @property
    def comparable(self) -> tuple[tuple[int, int], ...]:
        """All pairs, in the order of `old`."""
        return tuple(sorted((*self.pairs, *self.likely)))


def match_functions(old: Image, new: Image) -> Matching:
    """Match the functions of two versions. Raises ImageError where their unwind tables cannot be read."""
    a, b = shapes(old), shapes(new)
    counts = Counter(a.shapes), Counter(b.shapes)
    ambiguous = frozenset(shape for count in counts for shape, number in count.items() if number > 1)
    ambiguous |= a.unclear | b.unclear
    forward: dict[int, int] = dict(_named(old, new, a, b))
    taken = set(forward.values())
    places = {shape: index for index, shape in enumerate(b.shapes)}
    shaped: dict[int, int] = {}
    for index, shape in enumerate(a.shapes):
        if index not in forward and shape in places and shape not in ambiguous and places[shape] not in taken:
            shaped[index] = places[shape]
            taken.add(places[shape])
    own = OwnTexts(old, a), OwnTexts(new, b)
    texts, contradict = retold(*own, forward, shaped), ToldByTexts(*own, {}).contradict
    named = _with_names(old, a), _with_names(new, b)  # two that are alike and have other names are two functions
    by_texts = tuple((i, j) for i, j in texts.pairs if not (i in named[0] and j in named[1]))
    forward |= {i: j for i, j in shaped.items() if (i, j) not in texts.doubtful}
    taken = set(forward.values())
    # of what texts tell the order may be another one, and of what is doubtful nothing else would be asked
    left_out = {i for i, _j in (*by_texts, *texts.doubtful)}, {j for _i, j in (*by_texts, *texts.doubtful)}
    gaps = list(_gaps(forward, len(a.shapes), len(b.shapes), taken, left_out))
    forward |= dict(by_texts)
    taken |= {j for _i, j in by_texts}
    changed = counts[0] - counts[1], counts[1] - counts[0]
    likely: list[tuple[int, int]] = []
    for one, other in gaps:
        for i, j, is_likely in _in_gap(old, new, a, b, one, other, changed):
            if contradict(i, j):
                continue
            if is_likely:
                likely += [] if i in named[0] and j in named[1] else [(i, j)]
            elif a.shapes[i] == b.shapes[j] or not (i in named[0] and j in named[1]):
                forward[i] = j
                taken.add(j)
    likely = [(i, j) for i, j in likely if i not in forward and j not in taken]
    return Matching(a, b, tuple(sorted(forward.items())), ambiguous, tuple(sorted(likely)), by_texts)


def _named(old: Image, new: Image, a: Shapes, b: Shapes) -> Iterator[tuple[int, int]]:
    """Functions that one name leads to in both versions."""
    indexes = [{start: i for i, start in enumerate(it.functions["start"].tolist())} for it in (a, b)]
    names = function_names(old), function_names(new)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for name, address in names[0].items():
        i, j = indexes[0].get(address), indexes[1].get(names[1].get(name, -1))
        if i is not None and j is not None and i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    yield from found.items()


def _with_names(image: Image, it: Shapes) -> frozenset[int]:
    addresses = set(function_names(image).values())
    return frozenset(i for i, start in enumerate(it.functions["start"].tolist()) if start in addresses)


def _gaps(
    forward: dict[int, int], old_count: int, new_count: int, taken: set[int], left_out: tuple[set[int], set[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """The functions between one matched pair and the next that keep their order, where both sides have some left,
    without those that are `left_out`."""
    anchors = [*_longest_increasing(sorted(forward.items())), (old_count, new_count)]
    before = (-1, -1)
    for anchor in anchors:
        one = [i for i in range(before[0] + 1, anchor[0]) if i not in forward and i not in left_out[0]]
        other = [j for j in range(before[1] + 1, anchor[1]) if j not in taken and j not in left_out[1]]
        if one and other:
            yield one, other
        before = anchor


def _longest_increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs whose second parts increase, too (patience sorting)."""
    tails: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for index, (_i, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        previous.append(last[at - 1] if at else -1)
        if at == len(tails):
            tails.append(j)
            last.append(index)
        else:
            tails[at] = j
            last[at] = index
    found = []
    index = last[-1] if last else -1
    while index >= 0:
        found.append(pairs[index])
        index = previous[index]
    return found[::-1]


def _in_gap(
    old: Image,
    new: Image,
    a: Shapes,
    b: Shapes,
    one: list[int],
    other: list[int],
    changed: tuple[Counter[int], Counter[int]],
) -> Iterator[tuple[int, int, bool]]:
    """Match what is left between two anchors: equal shapes in order, then what is alike and has no equal elsewhere; and
    say of each pair whether it is only likely."""
    try:
        parts = changed_parts([a.shapes[i] for i in one], [b.shapes[j] for j in other])
    except TooDifferent:
        return  # these have no partners, then
    for (i, j, size), before, other_before in parts:
        if before and other_before:
            left = (
                [it for it in (one[at] for at in before) if changed[0][a.shapes[it]]],
                [it for it in (other[at] for at in other_before) if changed[1][b.shapes[it]]],
            )
            yield from _alike(old, new, a, b, *left)
        yield from (
            (before, after, False) for before, after in zip(one[i : i + size], other[j : j + size], strict=True)
        )


def _alike(
    old: Image, new: Image, a: Shapes, b: Shapes, one: list[int], other: list[int]
) -> Iterator[tuple[int, int, bool]]:
    if len(one) * len(other) > _LARGEST_GAP**2:
        return
    found = list(_most_alike(one, other, *_pieces_of((old, a, one), (new, b, other), _pieces)))
    yield from ((i, j, False) for i, j in found)
    if old.machine.without_registers is None:
        return
    used = {i for i, _j in found}, {j for _i, j in found}
    one, other = [it for it in one if it not in used[0]], [it for it in other if it not in used[1]]
    # in a few words one more member is another register in each: what is left is compared without their numbers
    read = _pieces_without_registers
    yield from ((i, j, True) for i, j in _most_alike(one, other, *_pieces_of((old, a, one), (new, b, other), read)))


def _most_alike(
    one: list[int], other: list[int], before: list["_Pieces"], after: list["_Pieces"]
) -> Iterator[tuple[int, int]]:
    """The functions that have most in common, one after the other, while that is enough."""
    likeness = [
        (value, -abs(m - n), one[m], other[n])
        for m, x in enumerate(before)
        for n, value in enumerate(_likenesses(x, after))
    ]
    used: set[tuple[str, int]] = set()
    for value, _distance, i, j in sorted(likeness, reverse=True):
        if value < _ALIKE:
            break
        if ("old", i) not in used and ("new", j) not in used:
            used |= {("old", i), ("new", j)}
            yield i, j


_Side = tuple[Image, Shapes, list[int]]


def _pieces_of(
    old: _Side, new: _Side, read: Callable[[Image, Shapes, int], "_Pieces"]
) -> tuple[list["_Pieces"], list["_Pieces"]]:
    before, after = ([read(image, it, index) for index in part] for image, it, part in (old, new))
    return before, after


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The different pieces of a function, sorted, and how often each is there."""

    numbers: Table
    counts: Table

    @property
    def total(self) -> int:
        return int(self.counts.sum())


def _pieces(image: Image, it: Shapes, index: int) -> _Pieces:
    """The four-byte pieces of a function's shape, without its fields."""
    content = _without_fields(image, it, index)
    if len(content) < 4:  # one piece, which none of four bytes equals
        return _Pieces(np.array([int.from_bytes(content, "little") + ((len(content) + 1) << 32)]), np.ones(1, "<i8"))
    return _Pieces(*np.unique(displacements(content).astype("<i8"), return_counts=True))


def _pieces_without_registers(image: Image, it: Shapes, index: int) -> _Pieces:
    """The words of a function without its fields and the numbers of registers."""
    content = _without_fields(image, it, index)
    if image.machine.without_registers is None or len(content) < 4:
        return _pieces(image, it, index)
    words = image.machine.without_registers(np.frombuffer(content, "<u4", count=len(content) // 4))
    return _Pieces(*np.unique(words.astype("<i8"), return_counts=True))


def _without_fields(image: Image, it: Shapes, index: int) -> bytes:
    start, end = (int(address) for address in it.functions[index].item())
    content = bytearray(image.bytes_at(start, end - start))
    for place in (it.fields_of(index)["place"] - np.uint64(start)).tolist():
        content[place : place + 4] = bytes(4)
    return bytes(content)


def _likenesses(one: _Pieces, others: list[_Pieces]) -> list[float]:
    """The share of pieces that a function has in common with each of some others."""
    if not others:
        return []
    numbers, counts = (np.concatenate(parts) for parts in ([it.numbers for it in others], [it.counts for it in others]))
    places = np.minimum(np.searchsorted(one.numbers, numbers), len(one.numbers) - 1)
    common = np.where(one.numbers[places] == numbers, np.minimum(one.counts[places], counts), 0)
    starts = np.cumsum([0, *(len(it.numbers) for it in others[:-1])])
    return [
        number / larger if smaller >= _ALIKE * larger else 0.0
        for number, smaller, larger in zip(
            np.add.reduceat(common, starts).tolist(),
            (min(one.total, it.total) for it in others),
            (max(one.total, it.total) for it in others),
            strict=True,
        )
    ]
