"""Members and variables that were numbers which may be below zero, and are not any more, or the other way round."""

from collections.abc import Iterator

from liveso.code.operations import without_sign
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, KINDS, ChangedFunction, listed, verb, where
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, rule

_Place = tuple[str, int, int]
"""The kind of a place, its offset and its width in bytes."""
_FILLS, _COMPUTES = (How.READ, How.EXTEND), (How.ORDER, How.SHIFT)
_INT = 4  # bytes: a load fills the rest of a register with zeros, whatever the number is


@rule("number-sign")
def numbers_keep_their_sign(pair: Pair) -> Iterator[Difference]:
    """Functions that took a member for a number which may be below zero take it for one that may not, or the other way
    round: they fill it up with its sign, or with zeros, shift or compare it so. Objects from before may hold
    one below zero, or a very large one. Two must agree: those that do the same but for that, or more than go on as
    before, for another type may have a member at the same place.

    Of 350 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    changed: dict[tuple[_Place, bool], list[ChangedFunction]] = {}
    staying: set[_Place] = set()
    for it in functions:
        for place, (old, new) in _signs_of(it).items():
            if True in old & new or (old & new and place[2] >= _INT):
                staying.add(place)
            elif len(old) == len(new) == 1 and old != new:
                changed.setdefault((place, True in new), []).append(it)
    changed = {change: found for change, found in changed.items() if change[0] not in staying}
    agreeing = {change: len({it.name for it in found}) for change, found in changed.items()}
    same = {change: len({it.name for it in found if _does_the_same(it)}) for change, found in changed.items()}
    asked = {
        (place, not is_signed): agreeing[place, is_signed]
        for place, is_signed in changed
        if agreeing[place, is_signed] >= ENOUGH > same[place, is_signed]
    }
    contradicted = uses.staying(asked, _taken_so)
    for (place, is_signed), found in sorted(changed.items(), key=lambda it: it[0]):
        kind, offset, width = place
        names = sorted({it.name for it in found})
        is_certain = len(names) >= ENOUGH and (place, not is_signed) not in contradicted
        may, may_not = "one that may be below zero", "one that may not"
        before, after = (may_not, may) if is_signed else (may, may_not)
        what = f"the member at {where(kind, offset)}" if kind == "object" else where(kind, offset)
        tell = refuse if is_certain else note
        yield tell(
            f"{listed(names)} {verb(names, 'take')} {what} ({width} bytes) for {after}, where it was "
            f"{before}: the value from before the update may be misread",
            where=tuple(names),
        )


def _does_the_same(it: ChangedFunction) -> bool:
    """Whether a function differs in nothing but how it takes numbers."""
    old, new = ([without_sign(form.outline) for form in code.forms] for code in it.codes)
    return old == new


def _signs_of(it: ChangedFunction) -> dict[_Place, tuple[set[bool], set[bool]]]:
    """How both versions take each place: as they fill registers up, or, where neither tells, as they shift and compare.
    Where they do the same besides, a load of four bytes that is not filled up with its sign is one of a number that may
    not be below zero, if the other version fills it up; and the other way round where the usual loads fill up with it
    (RISC-V: LW, and LWU)."""
    is_same = _does_the_same(it)
    found: dict[_Place, tuple[set[bool], set[bool]]] = {}
    for hows in (_FILLS, _COMPUTES):
        signs = _signs(it.old, hows), _signs(it.new, hows)
        for place in (signs[0].keys() | signs[1].keys()) - found.keys():
            old, new = (side.get(place, set()) for side in signs)
            if is_same and place[2] == _INT and hows is _FILLS:
                old, new = old or _as_loaded(it.old, place, new, it.new), new or _as_loaded(it.new, place, old, it.old)
            found[place] = old, new
    return found


def _as_loaded(found: tuple[Use, ...], place: _Place, other: set[bool], others: tuple[Use, ...]) -> set[bool]:
    """How a function takes a number by a load that tells nothing, where the other version fills it up: otherwise."""
    if not any(it.how is How.READ and _place(it) == place for it in found):
        return set()
    is_zeroed = any(it.how is How.READ and _place(it) == place and it.is_signed is False for it in others)
    return {False} if other == {True} else {True} if other == {False} and is_zeroed else set()


def _signs(found: tuple[Use, ...], hows: tuple[How, ...]) -> dict[_Place, set[bool]]:
    """A number of less than four bytes is often loaded with zeros first, whatever it is, or only copied so."""
    signs: dict[_Place, set[bool]] = {}
    for it in found:
        if it.is_signed is not None and it.how in hows and it.spot.kind in KINDS and not it.is_element:
            signs.setdefault(_place(it), set()).add(it.is_signed)
    return {place: {True} if place[2] < _INT and True in known else known for place, known in signs.items()}


def _place(it: Use) -> _Place:
    return it.spot.kind, it.spot.offset, it.spot.width


def _taken_so(found: tuple[Use, ...]) -> Iterator[tuple[_Place, bool]]:
    """The places that a function takes in one way, and in which."""
    for place, known in _signs(found, _FILLS + _COMPUTES).items():
        if len(known) == 1:
            yield place, True in known
