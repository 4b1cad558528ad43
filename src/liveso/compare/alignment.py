"""The instructions of two versions of a function, side by side."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from liveso.code import Code
from liveso.compare.matching_blocks import changed_parts, matching_blocks

_SURROUNDINGS = 6  # instructions before and behind


@dataclass(frozen=True, slots=True)
class Run:
    """Instructions of both versions that belong together, one by one: `size` of them from the indexes `old` and `new`.

    `is_isolated` is false beside instructions of one version that the other has not.
    """

    old: int
    new: int
    size: int
    is_isolated: bool

    def pairs(self) -> Iterator[tuple[int, int]]:
        return zip(range(self.old, self.old + self.size), range(self.new, self.new + self.size), strict=True)


def aligned(old: Code, new: Code) -> Iterator[Run]:
    """Pair the instructions of two versions of a function: equal ones, and between those, ones of the same outline.
    Raises TooDifferent."""
    differing = [(a, b) for a, b in zip(old.forms, new.forms, strict=False) if a is not b]
    if len(old) == len(new) and all(a.outline == b.outline for a, b in differing):
        yield Run(0, 0, len(old), True)
        return
    for (i, j, size), before, other_before in changed_parts(old.exact, new.exact):
        if before and other_before:
            yield from _alike(old, new, before, other_before)
        yield Run(i, j, size, True)


def _alike(old: Code, new: Code, inside: range, other: range) -> Iterator[Run]:
    """Pair what has the same outline in a part of each."""
    outlines = [[code.forms[it].outline for it in part] for code, part in ((old, inside), (new, other))]
    for i, j, size in matching_blocks(*outlines):
        yield Run(inside.start + i, other.start + j, size, size == len(inside) == len(other))


def in_unique_surroundings(code: Code) -> frozenset[int]:
    """The indexes of instructions around which the function does what it does nowhere else: in a sequence that is
    repeated, one cannot be told from the next."""
    numbers: dict[tuple[object, ...], int] = {}
    exact = [numbers.setdefault(it, len(numbers)) for it in code.exact]
    windows = [tuple(exact[max(0, at - _SURROUNDINGS) : at + _SURROUNDINGS + 1]) for at in range(len(exact))]
    counts = Counter(windows)
    return frozenset(index for index, window in enumerate(windows) if counts[window] == 1)


def repetitions(code: Code) -> list[int]:
    """How often each instruction stands there one after another."""
    found: list[int] = []
    for _exact, run in groupby(code.exact):
        size = len(list(run))
        found.extend([size] * size)
    return found
