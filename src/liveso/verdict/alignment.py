"""The instructions of two versions of a function, side by side."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from liveso.code import Instruction
from liveso.verdict.matching_blocks import changed_parts, matching_blocks

_SURROUNDINGS = 6  # instructions before and behind


def aligned(old: list[Instruction], new: list[Instruction]) -> Iterator[tuple[Instruction, Instruction, bool]]:
    """Pair the instructions of two versions of a function: equal ones, and between those, ones of the same outline.

    The third is false for a pair beside which one version has instructions that the other has not.
    """
    if [it.outline for it in old] == [it.outline for it in new]:
        yield from ((a, b, True) for a, b in zip(old, new, strict=True))
        return
    for (i, j, size), before, other_before in changed_parts([it.exact for it in old], [it.exact for it in new]):
        if before and other_before:
            yield from _alike(old[before.start : before.stop], new[other_before.start : other_before.stop])
        yield from ((a, b, True) for a, b in zip(old[i : i + size], new[j : j + size], strict=True))


def _alike(old: list[Instruction], new: list[Instruction]) -> Iterator[tuple[Instruction, Instruction, bool]]:
    """Pair what has the same outline."""
    for i, j, size in matching_blocks([it.outline for it in old], [it.outline for it in new]):
        is_isolated = size == len(old) == len(new)
        yield from ((a, b, is_isolated) for a, b in zip(old[i : i + size], new[j : j + size], strict=True))


def in_unique_surroundings(code: list[Instruction]) -> frozenset[int]:
    """The addresses of instructions around which the function does what it does nowhere else: in a sequence that is
    repeated, one cannot be told from the next."""
    exact = [it.exact for it in code]
    windows = [tuple(exact[max(0, at - _SURROUNDINGS) : at + _SURROUNDINGS + 1]) for at in range(len(code))]
    counts = Counter(windows)
    return frozenset(it.address for it, window in zip(code, windows, strict=True) if counts[window] == 1)


def repetitions(code: list[Instruction]) -> dict[int, int]:
    """How often the instruction at each address stands there one after another."""
    found = {}
    for _exact, run in groupby(code, key=lambda it: it.exact):
        members = list(run)
        found.update({it.address: len(members) for it in members})
    return found
