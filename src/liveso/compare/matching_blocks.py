"""What two sequences have in common, as `difflib.SequenceMatcher` finds it without junk, for long sequences too.

difflib tries all pairs of equal elements, again for each part that is left. In the code of a large function a tenth of
the instructions are the same few, so that there are many millions of pairs.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from liveso.elf.tables import Table

Block = tuple[int, int, int]
"""Where a run of equal elements starts in each sequence, and how many there are."""

_MOST = 1 << 24  # elements to look at, again and again: a second. What differs in thousands of places is far below
_FEW = 20_000  # pairs of elements: below, trying them is faster than arrays are


class TooDifferent(ValueError):
    """Two sequences have so many short runs in common that finding all would take minutes."""


def matching_blocks(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Block]:
    """The longest run that both have, and so on in what is left on both sides of it, in order. Of equally long ones the
    first is taken, in `one` and then in `other`. Runs that follow each other in both are one. Raises TooDifferent."""
    numbers: dict[Hashable, int] = {}
    a, b = ([numbers.setdefault(it, len(numbers)) for it in part] for part in (one, other))
    windows = _Windows(a, b)
    blocks: list[Block] = []
    waiting = [(0, len(a), 0, len(b), min(len(a), len(b)))]
    looked_at = 0
    while waiting:
        low, high, other_low, other_high, most = waiting.pop()
        looked_at += high - low + other_high - other_low
        if looked_at > _MOST:
            raise TooDifferent
        if a[low:high] == b[other_low:other_high]:
            i, j, size = low, other_low, high - low
        elif (high - low) * (other_high - other_low) < _FEW:
            i, j, size = _longest(a, b, range(low, high), range(other_low, other_high))
        else:
            i, j, size = windows.longest(range(low, high), range(other_low, other_high), most)
        if size:
            blocks.append((i, j, size))
            if low < i and other_low < j:
                waiting.append((low, i, other_low, j, size))
            if i + size < high and j + size < other_high:
                waiting.append((i + size, high, j + size, other_high, size))
    return _joined(sorted(blocks))


def changed_parts(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[Block, range, range]]:
    """The matching blocks, each with what is left in both sequences between the block before and it. The last block is
    empty. Raises TooDifferent."""
    found = []
    i = j = 0
    for block in [*matching_blocks(one, other), (len(one), len(other), 0)]:
        found.append((block, range(i, block[0]), range(j, block[1])))
        i, j = block[0] + block[2], block[1] + block[2]
    return found


def _joined(blocks: list[Block]) -> list[Block]:
    found: list[Block] = []
    for i, j, size in blocks:
        if found and (found[-1][0] + found[-1][2], found[-1][1] + found[-1][2]) == (i, j):
            i, j, size = found[-1][0], found[-1][1], found[-1][2] + size
            found.pop()
        found.append((i, j, size))
    return found


def _longest(a: list[int], b: list[int], inside: range, other: range) -> Block:
    """The longest run inside of a part of each, by trying all pairs of equal elements."""
    places: dict[int, list[int]] = defaultdict(list)
    for j in other:
        places[b[j]].append(j)
    best_i, best_j, best = inside.start, other.start, 0
    before: dict[int, int] = {}
    for i in inside:
        ending: dict[int, int] = {}
        for j in places.get(a[i], ()):
            size = ending[j] = before.get(j - 1, 0) + 1
            if size > best:
                best_i, best_j, best = i - size + 1, j - size + 1, size
        before = ending
    return best_i, best_j, best


class _Windows:
    """Compares all runs of one length at once. Runs whose length is a power of two have a number each, the same for
    equal ones; two that overlap make up any length."""

    def __init__(self, a: list[int], b: list[int]) -> None:
        self._sequences = a, b
        self._numbers: list[tuple[Table, Table]] = []

    def longest(self, inside: range, other: range, most: int) -> Block:
        """The longest run inside of a part of each sequence, which has `most` elements at most."""
        low, high = 0, min(most, len(inside), len(other))
        while low < high:  # where there is a run of one length, there is one of each smaller length
            length = (low + high + 1) // 2
            if _are_among(*self._runs(length, inside, other)).any():
                low = length
            else:
                high = length - 1
        if not low:
            return inside.start, other.start, 0
        one, two = self._runs(low, inside, other)
        i = int(_are_among(one, two).argmax())
        return inside.start + i, other.start + int((two == one[i]).argmax()), low

    def _runs(self, length: int, inside: range, other: range) -> tuple[Table, Table]:
        """Numbers of the runs of a length inside of both parts."""
        level = length.bit_length() - 1
        while len(self._numbers) <= level:
            self._number_next_level()
        one, two = self._numbers[level]
        rest = length - (1 << level)
        return _pairs(one, inside, length, rest), _pairs(two, other, length, rest)

    def _number_next_level(self) -> None:
        a, b = self._sequences
        if not self._numbers:
            self._numbers.append((np.array(a, "<i8"), np.array(b, "<i8")))
            return
        half = 1 << (len(self._numbers) - 1)
        one, two = (
            _pairs(numbers, range(len(sequence)), 2 * half, half)
            for numbers, sequence in zip(self._numbers[-1], (a, b), strict=True)
        )
        numbers = np.unique(np.concatenate([one, two]), return_inverse=True)[1]
        self._numbers.append((numbers[: len(one)], numbers[len(one) :]))


def _are_among(numbers: Table, others: Table) -> Table:
    """Which numbers are among the others, of which there are some."""
    ordered = np.sort(others)
    found: Table = ordered[np.minimum(np.searchsorted(ordered, numbers), len(ordered) - 1)] == numbers
    return found


def _pairs(numbers: Table, part: range, length: int, rest: int) -> Table:
    """For each run of `length` in a part, the number of its start and that of what begins `rest` later, as one."""
    count = max(0, len(part) - length + 1)
    found: Table = numbers[part.start : part.start + count] << 32
    found |= numbers[part.start + rest : part.start + rest + count]
    return found
