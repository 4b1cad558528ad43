"""Whether what changed in the code, whatever it does, is about nothing but objects on stacks: then objects of the same
kinds that live elsewhere, if there are any, are seen by code that is the same in both versions."""

from collections.abc import Iterable, Iterator

from liveso.code import Code
from liveso.compare.alignment import aligned
from liveso.compare.lifetimes import Lifetimes
from liveso.compare.matching import Matching
from liveso.compare.matching_blocks import TooDifferent
from liveso.elf import Image

_MOST_FUNCTIONS = 100  # that changed: another release has thousands
_OF_CODE = ("import", "function", "own code", "constant")


def changes_only_stacks(
    images: tuple[Image, Image], matching: Matching, lifetimes: tuple[Lifetimes, Lifetimes]
) -> bool:
    """Whether every instruction that is not the same in both versions accesses what is on a stack, or no memory.
    Constants must be the same: they may say where a member is. Raises ImageError where the code cannot be read."""
    if _constants(images[0]) != _constants(images[1]):
        return False
    changed = [(i, j) for i, j in matching.pairs if matching.old.shapes[i] != matching.new.shapes[j]]
    alone = [
        set(range(len(shapes.shapes))) - {pair[side] for pair in matching.pairs}
        for side, shapes in enumerate((matching.old, matching.new))
    ]
    if len(changed) + sum(map(len, alone)) > _MOST_FUNCTIONS:
        return False
    for side, its in enumerate(lifetimes):
        if not all(_is_about_stacks(its, index, its.code(index), range(len(its.code(index)))) for index in alone[side]):
            return False
    return all(_pair_is_about_stacks(lifetimes, i, j) for i, j in changed)


def _pair_is_about_stacks(lifetimes: tuple[Lifetimes, Lifetimes], i: int, j: int) -> bool:
    old, new = lifetimes[0].code(i), lifetimes[1].code(j)
    try:
        same = list(_same(old, new))
    except TooDifferent:
        return False
    others = [set(range(len(code))) - {it[side] for it in same} for side, code in enumerate((old, new))]
    return _is_about_stacks(lifetimes[0], i, old, others[0]) and _is_about_stacks(lifetimes[1], j, new, others[1])


def _same(old: Code, new: Code) -> Iterator[tuple[int, int]]:
    for run in aligned(old, new):
        for a, b in run.pairs():
            if old.exact[a] == new.exact[b]:
                yield a, b


def _is_about_stacks(lifetimes: Lifetimes, index: int, code: Code, instructions: Iterable[int]) -> bool:
    for at in instructions:
        it = code[at]
        if it.place is not None:
            if it.place.kind not in _OF_CODE:
                return False
        elif it.form.base and not lifetimes.is_on_stack(index, it.address):
            return False
    return True


def _constants(image: Image) -> list[bytes]:
    """The constants of an image, none of which is an address."""
    return [image.content[it.offset : it.offset + it.size] for it in image.sections if it.name.startswith(".rodata")]
