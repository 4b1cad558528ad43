"""Members that count down where they counted up, or the other way round."""

from collections.abc import Iterator
from functools import partial

from liveso.code.operations import ADDS, without_direction
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, ChangedFunction, listed, verb
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Place = tuple[int, int]
"""Offset and width of a member, in bytes."""
_Steps = dict[_Place, set[int]]
"""By how much members are counted up, or down; of a step that is no constant the sign."""


@rule("turned-counter")
def counters_keep_their_direction(pair: Pair) -> Iterator[Difference]:
    """Functions count members down by as much as they counted them up, or the other way round: the index of a ring, or
    what is used of a buffer that became what is left. In objects from before they stand somewhere else. Two functions
    must agree: such that do the same but for that, or more than go on as before at the same place.

    Of 350 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    turned: dict[int, dict[str, tuple[ChangedFunction, set[_Place]]]] = {}
    kept: set[_Place] = set()
    for it in functions:
        old, new = _steps(it.old), _steps(it.new)
        for place in old.keys() & new.keys():
            if old[place] & new[place]:
                kept.add(place)
            elif len(old[place]) == 1 and new[place] == {-step for step in old[place]}:
                turned.setdefault(1 if max(old[place]) > 0 else -1, {}).setdefault(it.name, (it, set()))[1].add(place)
    for before, found in turned.items():
        moved = {name: (it, places - kept) for name, (it, places) in found.items() if places - kept}
        names = sorted(moved)
        places = {place for _it, some in moved.values() for place in some}
        same = [name for name, (it, _places) in moved.items() if _does_the_same(it)]
        if len(names) < ENOUGH:
            continue
        if len(same) < ENOUGH and uses.staying({before: len(names)}, partial(_directions, places)):
            continue
        offsets = listed([f"{offset:+#x}" for offset, _width in sorted(places)])
        was, now = ("up", "down") if before > 0 else ("down", "up")
        yield refuse(
            f"{listed(names)} {verb(names, 'count')} {now} at {offsets} of an object, where they counted {was}: what "
            "objects from before hold there means something else",
            where=tuple(names),
        )


def _does_the_same(it: ChangedFunction) -> bool:
    """Whether a function differs in nothing but the direction in which it counts."""
    old, new = ([without_direction(form.outline) for form in code.forms] for code in it.codes)
    return old == new


def _steps(found: tuple[Use, ...]) -> _Steps:
    """The members that a function counts in: it adds to them, and leaves another value there."""
    steps: _Steps = {}
    for it in found:
        if it.spot.kind != "object" or it.is_element or it.is_fresh:
            continue
        place = it.spot.offset, it.spot.width
        if it.how is How.ADD and it.constant:
            steps.setdefault(place, set()).add(it.constant)
        elif it.how is How.READ and it.changes and it.what and it.what[0] in ADDS:
            steps.setdefault(place, set()).add(-1 if str(it.what[0]).startswith("sub") else 1)
    stored = {(it.spot.offset, it.spot.width) for it in found if it.changes and it.spot.kind == "object"}
    return {place: known for place, known in steps.items() if place in stored}


def _directions(places: set[_Place], found: tuple[Use, ...]) -> Iterator[int]:
    """In which directions a function counts in some of the places."""
    steps = _steps(found)
    for place in places:
        yield from (1 if step > 0 else -1 for step in steps.get(place, ()))
