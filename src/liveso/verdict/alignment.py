"""The instructions of two versions of a function, side by side."""

from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby

from liveso.code import Instruction

_SURROUNDINGS = 6  # instructions before and behind


def aligned(old: list[Instruction], new: list[Instruction]) -> Iterator[tuple[Instruction, Instruction, bool]]:
    """Pair the instructions of two versions of a function: equal ones, and between those, ones of the same outline.

    The third is false for a pair beside which one version has instructions that the other has not.
    """
    if [it.outline for it in old] == [it.outline for it in new]:
        yield from ((a, b, True) for a, b in zip(old, new, strict=True))
        return
    order = SequenceMatcher(None, [it.exact for it in old], [it.exact for it in new], autojunk=False)
    for kind, i1, i2, j1, j2 in order.get_opcodes():
        if kind == "equal":
            for a, b in zip(old[i1:i2], new[j1:j2], strict=True):
                yield a, b, True
        elif kind == "replace":
            one, other = old[i1:i2], new[j1:j2]
            outlines = SequenceMatcher(None, [it.outline for it in one], [it.outline for it in other], autojunk=False)
            for block in outlines.get_matching_blocks():
                for a, b in zip(
                    one[block.a : block.a + block.size], other[block.b : block.b + block.size], strict=True
                ):
                    yield a, b, block.size == len(one) == len(other)


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
