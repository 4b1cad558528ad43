"""Which changed libraries belong together: one that needs another is updated with it, or not at all."""

from collections.abc import Sequence

from liveso.elf import Image


def groups(images: Sequence[Image]) -> list[list[int]]:
    """The indexes of `images` in groups that are connected by what they need (DT_NEEDED)."""
    waiting = set(range(len(images)))
    found = []
    while waiting:
        group = {waiting.pop()}
        grown = True
        while grown:
            near = {it for it in waiting if any(_are_related(images[it], images[one]) for one in group)}
            grown = bool(near)
            group |= near
            waiting -= near
        found.append(sorted(group))
    return found


def _are_related(one: Image, other: Image) -> bool:
    return one.soname in other.needed or other.soname in one.needed
