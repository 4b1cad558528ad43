"""The layout layer, beyond what witnesses say: whether new code finds in objects and variables what old code left
there."""

from collections.abc import Iterator
from itertools import combinations

from liveso.code import function_names
from liveso.code.operations import FACTORS
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, KINDS, ChangedFunction, ChangedUses, listed, offsets_of, verb, where
from liveso.compare.grown_tables import grown_tables
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, rule

_TELLING = (How.FACTOR, How.MASK, How.SHIFT)

_Place = tuple[int, int]
_Members = dict[_Place, frozenset[tuple[object, ...]]]
"""What is done with members, by offset and width."""


def _computed(found: tuple[Use, ...]) -> _Members:
    """The constants that each member is multiplied or masked with, and the functions that it is given to."""
    features: dict[_Place, set[tuple[object, ...]]] = {}
    for it in found:
        if it.spot.kind == "object" and not it.changes and it.how is not How.STORE:
            known = features.setdefault((it.spot.offset, it.spot.width), set())
            if it.how in _TELLING and it.constant is not None:
                known.add((it.how, abs(it.constant)))
            elif it.how is How.HAND:
                known.add(it.what)
    return {place: frozenset(known) for place, known in features.items()}


def _left(found: tuple[Use, ...]) -> _Members:
    """By which operation with a constant the values come about that are stored in each member."""
    features: dict[_Place, set[tuple[object, ...]]] = {}
    for it in found:
        if it.spot.kind == "object" and it.how is How.STORE and it.constant is None and len(it.what) > 1:
            name, number = it.what[:2]
            if len(it.what) > 2 and name != "argument":
                continue  # copied from elsewhere
            known = features.setdefault((it.spot.offset, it.spot.width), set())
            is_factor = name in FACTORS or name == "rem"  # what is left of a division is made by multiplying, too
            if len(it.what) > 2:
                known.add((name, number))
            else:
                known.add(("factor", abs(_narrow(number))) if is_factor and isinstance(number, int) else ("bits",))
    return {place: frozenset(known) for place, known in features.items()}


def _narrow(number: int) -> int:
    """A constant of an operation, as the sign of a half word has it."""
    return number - (1 << 32) if number >> 31 == 1 else number


def _exchanged(old: _Members, new: _Members) -> Iterator[tuple[_Place, _Place]]:
    """The members of which one is used now as the other was, and the other way round."""
    for one, other in combinations(sorted(old.keys() & new.keys()), 2):
        is_exchanged = old[one] == new[other] and old[other] == new[one] and old[one] != old[other]
        if one[1] == other[1] and is_exchanged:
            yield one, other


def _agrees(old: _Members, new: _Members, one: _Place, other: _Place) -> bool:
    """Whether a function that uses one of two members at a time uses the other now as it used that one."""
    return any(
        bool(old.get(before)) and old.get(before) == new.get(after) and not old.get(after) and not new.get(before)
        for before, after in ((one, other), (other, one))
    )


@rule("exchanged-members")
def members_keep_their_places(pair: Pair) -> Iterator[Difference]:
    """Functions that were written anew do with one member what they did with another, and the other way round: the
    members exchanged their places. Two functions must agree, of which the second may use one of both at a time.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    exchanged: dict[tuple[_Place, _Place], set[str]] = {}
    for it in functions:
        for features in (_computed, _left):
            for members in _exchanged(features(it.old), features(it.new)):
                exchanged.setdefault(members, set()).add(it.name)
    for members, names in exchanged.items():
        for it in functions:
            if any(_agrees(features(it.old), features(it.new), *members) for features in (_computed, _left)):
                names.add(it.name)
        one_offset, other_offset = (offset for offset, _width in members)
        text = f"{listed(sorted(names))} {'do' if len(names) > 1 else 'does'} with the member at {one_offset:+#x} what "
        text += f"was done with that at {other_offset:+#x}, and the other way round"
        if len(names) >= ENOUGH:
            yield refuse(f"{text}: the members exchanged their places", where=tuple(sorted(names)))
        else:
            yield note(f"{text}: an edit, or members that exchanged their places", where=tuple(sorted(names)))


@rule("number-type")
def numbers_keep_their_type(pair: Pair) -> Iterator[Difference]:
    """A variable, or a member in two functions or more, that code computed with as a whole number is a floating-point
    number now, or the other way round: the bytes that are there would say another number.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    changed: dict[tuple[str, int, int], set[str]] = {}
    contradicted: set[tuple[str, int, int]] = set()
    for it in functions:
        old, new = _types(it.old), _types(it.new)
        for spot in old.keys() & new.keys():
            if _OTHER_TYPES & {(one, other) for one in old[spot] for other in new[spot]} and not old[spot] & new[spot]:
                changed.setdefault(spot, set()).add(it.name)
            else:
                contradicted.add(spot)
    for (kind, offset, width), names in changed.items():
        is_certain = kind != "object" or len(names) >= ENOUGH
        if (kind, offset, width) in contradicted:
            continue
        tell = refuse if is_certain else note
        yield tell(
            f"{listed(sorted(names))} computed with {where(kind, offset)} ({width} bytes) as a number of another type "
            "(whole, floating-point, or an address): the value from before the update would be misread",
            where=tuple(sorted(names)),
        )


_OTHER_TYPES = {("whole", "float"), ("float", "whole"), ("scaled", "pointer"), ("pointer", "scaled")}
_SCALES = (How.FACTOR, How.SHIFT, How.MASK, How.DIVIDE)


def _types(found: tuple[Use, ...]) -> dict[tuple[str, int, int], set[str]]:
    """As what a function takes each place of four or eight bytes."""
    types: dict[tuple[str, int, int], set[str]] = {}
    for it in found:
        if it.spot.kind not in KINDS or it.spot.width not in (4, 8):
            continue
        known = types.setdefault((it.spot.kind, it.spot.offset, it.spot.width), set())
        if it.is_float is not None:
            known.add("float" if it.is_float else "whole")
        if it.how in _SCALES:
            known.add("scaled")
        elif it.how in (How.FOLLOW, How.CALL):
            known.add("pointer")
    return {spot: known for spot, known in types.items() if known}


@rule("callback-arguments")
def callbacks_get_their_arguments(pair: Pair) -> Iterator[Difference]:
    """A function that objects hold is called with the same arguments in another order, or, in two functions, with
    another one before them: it was compiled for the old way, or new objects hold one for the new way.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    moved: dict[int, set[str]] = {}
    for it in functions:
        old, new = (
            {use.spot.offset: use.what for use in side if use.how is How.CALL and use.spot.kind == "object"}
            for side in (it.old, it.new)
        )
        for offset in sorted(old.keys() & new.keys()):
            if _are_exchanged(old[offset], new[offset]):
                yield refuse(
                    f"{it.name} calls the function that objects hold at {offset:+#x} with its arguments in another "
                    "order: the functions that are stored there take them in the old one",
                    where=(it.name,),
                )
            elif _has_moved(old[offset], new[offset]):
                moved.setdefault(offset, set()).add(it.name)
    for offset, names in sorted(moved.items()):
        if len(names) >= ENOUGH:
            yield refuse(
                f"{listed(sorted(names))} call the function that objects hold at {offset:+#x} with another argument "
                "before those that it had: the functions that are stored there take them at the old places",
                where=tuple(sorted(names)),
            )


def _are_exchanged(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    """Whether two arguments changed their places. Registers that hold none may hold anything."""
    return any(
        old[one] and old[other] and old[one] != old[other] and (old[one], old[other]) == (new[other], new[one])
        for one, other in combinations(range(min(len(old), len(new))), 2)
    )


def _has_moved(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    """Whether an argument is another one by its number, because something else is given before it now, or not any
    more."""
    return old[:1] == new[:1] and any(
        what and old.count(what) == new.count(what) == 1 and new.index(what) != before < len(new)
        for before, what in enumerate(old)
    )


@rule("new-member")
def members_are_not_new(pair: Pair) -> Iterator[Difference]:
    """The function that makes an object sets up a member, and another uses it, at a place that no code of the old
    version accesses: padding before. Objects that were made before hold anything there.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    made: dict[int, str] = {}
    used: dict[tuple[int, int], set[str]] = {}
    for it in functions:
        before = _covered(it.old)
        for use in it.new:
            place = range(use.spot.offset, use.spot.offset + use.spot.width)
            if use.spot.kind != "object" or before.issuperset(place) or not offsets_of(it.old):
                continue
            if use.is_fresh and use.changes and _is_inside(it, place):
                if use.constant == 0 and _cleared(it.old).issuperset(place):
                    continue  # it starts with what objects from before have
                made.update(dict.fromkeys(set(place) - before, it.name))
            elif not use.is_fresh and before.isdisjoint(place):
                used.setdefault((use.spot.offset, use.spot.width), set()).add(it.name)
    for (offset, width), names in sorted(used.items()):
        place = range(offset, offset + width)
        maker = made.get(offset, "")
        users = sorted(names - {maker})
        if not users or not set(place) <= made.keys() or _is_accessed(uses, place):
            continue
        yield refuse(
            f"{maker} sets up a member at {offset:+#x} of a new object, {width} bytes, which {listed(users)} "
            f"{verb(users, 'use')}, and no code of the old version accesses: objects from before do not have it",
            where=(maker, *users),
        )


def _covered(found: tuple[Use, ...]) -> set[int]:
    """The bytes of objects that a function accesses, without those that it only clears."""
    return {byte for it in found if not it.clears_new for byte in _bytes(it)}


def _cleared(found: tuple[Use, ...]) -> set[int]:
    return {byte for it in found if it.clears_new for byte in _bytes(it)}


def _bytes(it: Use) -> range:
    is_member = it.spot.kind == "object"
    return range(it.spot.offset, it.spot.offset + max(1, it.spot.width)) if is_member else range(0)


def _is_inside(it: ChangedFunction, place: range) -> bool:
    """Whether a place is inside of the object that the old function made: before its end, if both versions give the
    allocator the same size, or between two of its members."""
    sizes = [{use.constant for use in found if use.spot.kind == "allocator"} for found in (it.old, it.new)]
    if sizes[0] == sizes[1] and any(size and place.stop <= size for size in sizes[0]):
        return True
    offsets = {use.spot.offset for use in it.old if use.spot.kind == "object" and use.is_fresh}
    return any(at < place.start for at in offsets) and any(at >= place.stop for at in offsets)


def _is_accessed(uses: ChangedUses, place: range) -> bool:
    """Whether the old version accesses something that begins at a place: what only covers it may be of another type."""

    def begins_there(found: tuple[Use, ...]) -> bool:
        return any(it.spot.kind == "object" and it.spot.offset in place and not it.clears_new for it in found)

    return any(begins_there(it.old) for it in uses.functions) or any(map(begins_there, uses.unchanged()))


@rule("grown-table")
def tables_keep_their_size(pair: Pair) -> Iterator[Difference]:
    """A table of functions, of a class or of methods, that old code left the address of in objects has more entries
    now: these objects keep the short one, and what new code calls behind its end is something else.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        references = pair.code.old_references.constants, pair.code.references.constants
        found = list(grown_tables(pair.old, pair.new, pair.code.matching, references))
    except ImageError:
        return  # code-comparison or undecoded-code says it
    names = {address: name.partition("@")[0] for name, address in function_names(pair.old).items()}
    for it in found:
        keeper = names.get(it.keeper, f"the function at {it.keeper:#x}")
        yield refuse(
            f"the table of functions at {it.old:#x}, which {keeper} leaves in objects, grew from {it.before} to "
            f"{it.after} entries: objects from before keep the short one",
            old=str(it.before),
            new=str(it.after),
            where=(f"{keeper}: {it.old:#x}, now {it.new:#x}",),
        )


RULES = (
    members_keep_their_places,
    numbers_keep_their_type,
    callbacks_get_their_arguments,
    members_are_not_new,
    tables_keep_their_size,
)
