"""Members that new code counts in, up in one function and down in another, and old code did not."""

from collections.abc import Iterator

from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, listed, offsets_of
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Places = dict[tuple[int, int], set[str]]
"""The functions that count in a member, by its offset and width in bytes."""


@rule("new-counter")
def counters_are_known_from_the_start(pair: Pair) -> Iterator[Difference]:
    """One function counts a member up and another one down that neither accessed before: a depth, or a number of users.
    What lies there was no count, or one of nothing: a padding that was cleared says 0 for an object that is half-way.

    libaprutil 1.6.3-1+deb12u1 counts the depth of XML elements in a padding: a parser that was inside of three would
    end all of them, and take what comes next for too deep."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    up: _Places = {}
    down: _Places = {}
    for it in functions:
        known = offsets_of(tuple(use for use in it.old if not use.clears_new))
        for use in it.new:
            step = _step(use)
            if step and use.spot.offset not in known:
                (up if step > 0 else down).setdefault((use.spot.offset, use.spot.width), set()).add(it.name)
    for offset, width in sorted(up.keys() & down.keys()):
        names = sorted(up[offset, width] | down[offset, width])
        if len(names) < ENOUGH:
            continue
        yield refuse(
            f"{listed(names)} count in the member at {offset:+#x} of an object ({width} bytes), up and down, which "
            "they did not access before: of objects that are half-way, nothing has counted yet",
            where=tuple(names),
        )


def _step(use: Use) -> int:
    """By how much a member is counted up, or down; 0 where it is not counted."""
    is_count = use.spot.kind == "object" and not use.is_element and use.how is How.ADD and use.changes
    return use.constant or 0 if is_count and not use.is_fresh else 0
