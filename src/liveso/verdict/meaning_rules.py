"""The meaning layer: whether a value that the old code left in an object or a variable says the same to the new code."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from liveso.code.uses import How, Use
from liveso.errors import ImageError
from liveso.verdict.changed_uses import ChangedFunction, ChangedUses, at, offsets_of
from liveso.verdict.rules import Difference, Pair, note, refuse, rule

_VALUES = (How.STORE, How.EQUAL)
_KINDS = ("object", "data", "tls")
_ENOUGH = 2  # functions that must agree
_MOST_TOLD = 8  # notes of one rule
_WORDS = {How.STORE: "stores", How.EQUAL: "compares with"}


@dataclass(frozen=True, slots=True)
class _Change:
    """One function stored or compared `old` at a place where it has `new` now."""

    kind: str
    offset: int
    old: int
    new: int
    how: How
    function: str
    places: tuple[int, int]
    is_first: bool


def _where(kind: str, offset: int) -> str:
    return f"{offset:+#x} of an object" if kind == "object" else f"the variable at +{offset:#x} of the writable data"


def _changes(it: ChangedFunction) -> Iterator[_Change]:
    """The constants of one function that became others, where it has as many as before at that place."""
    groups: dict[tuple[str, int, int, How], tuple[list[Use], list[Use]]] = {}
    for side, found in enumerate((it.old, it.new)):
        for use in found:
            if use.how in _VALUES and use.constant is not None and use.spot.kind in _KINDS:
                key = use.spot.kind, use.spot.offset, use.spot.width, use.how
                groups.setdefault(key, ([], []))[side].append(use)
    for (kind, offset, _width, how), (old, new) in groups.items():
        before, after = (Counter(use.constant for use in side) for side in (old, new))
        gone = [use for use in old if use.constant in before - after]
        come = [use for use in new if use.constant in after - before]
        if len(gone) != len(come):
            continue
        for one, other in zip(gone, come, strict=True):
            if one.constant is not None and other.constant is not None:
                places = one.address, other.address
                yield _Change(
                    kind, offset, one.constant, other.constant, how, it.name, places, one.is_fresh and other.is_fresh
                )


def _stays(uses: ChangedUses, kind: str, offset: int, constant: int, less_than: int) -> bool:
    """Whether no fewer functions than `less_than` go on storing or comparing the old constant at the place."""

    def has(found: tuple[Use, ...]) -> int:
        wanted = kind, offset, constant
        return sum((it.spot.kind, it.spot.offset, it.constant) == wanted and it.how in _VALUES for it in found)

    staying = sum(bool(has(it.old) and has(it.new) >= has(it.old)) for it in uses.functions)
    if staying >= less_than:
        return True
    for found in uses.unchanged():
        staying += bool(has(found))
        if staying >= less_than:
            return True
    return False


@rule("changed-value")
def values_keep_their_meaning(pair: Pair) -> Iterator[Difference]:
    """Functions that store a constant in a member of an object, or compare one with it, have another constant in its
    place, in agreement: an enumeration was numbered anew, another value means "none". Objects that were made before hold
    the old value. One function that does so may have been edited, and is noted; so is what others contradict, that go on
    with the old constant at the same place, for that may be another type's."""
    try:
        uses = pair.changed_uses
        found = [change for it in uses.functions for change in _changes(it)]
    except ImageError:
        return  # code-comparison says it
    groups: dict[tuple[str, int, int, int], list[_Change]] = {}
    for it in found:
        groups.setdefault((it.kind, it.offset, it.old, it.new), []).append(it)
    told = 0
    for (kind, offset, old, new), group in sorted(groups.items(), key=lambda it: -len({c.function for c in it[1]})):
        names = sorted({it.function for it in group}, key=lambda name: (name.startswith("the function"), name))
        is_certain = len(names) >= _ENOUGH and not _stays(uses, kind, offset, old, len(names))
        evidence = {
            "old": str(old),
            "new": str(new),
            "where": tuple(f"{it.function}: {it.places[0]:#x}, now {it.places[1]:#x}" for it in group),
        }
        text = f"the value {old} that {_listed(names)} {_done(group)} {_where(kind, offset)} became {new}"
        if is_certain:
            yield refuse(f"{text}: what was stored before the update would be taken for something else", **evidence)
        elif told < _MOST_TOLD:
            told += 1
            first = ": the first value of a member" if all(it.is_first for it in group) else ""
            yield note(f"{text}{first}", **evidence)


def _done(group: list[_Change]) -> str:
    hows = {it.how for it in group}
    several = len({it.function for it in group}) > 1
    if hows == {How.STORE}:
        return "store at" if several else "stores at"
    if hows == {How.EQUAL}:
        return "test at" if several else "tests at"
    return "store and test at" if several else "stores and tests at"


def _listed(names: list[str], shown: int = 3) -> str:
    if len(names) > shown:
        return f"{', '.join(names[:shown])} and {len(names) - shown} more functions"
    return " and ".join(names)


@rule("first-value")
def members_keep_their_first_value(pair: Pair) -> Iterator[Difference]:
    """The function that makes an object stores another first value in a member, and another function does something else
    with this member now: it may mean something else. Objects that were made before started with the old value."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    for maker in functions:
        for it in _changes(maker):
            if not it.is_first or it.kind != "object":
                continue
            others = sorted(
                other.name
                for other in functions
                if other is not maker
                and at(other.old, it.kind, it.offset)
                and at(other.new, it.kind, it.offset)
                and at(other.old, it.kind, it.offset) != at(other.new, it.kind, it.offset)
            )
            if others:
                yield refuse(
                    f"{maker.name} starts the member at {it.offset:+#x} of a new object with {it.new} instead of "
                    f"{it.old}, and {_listed(others)} uses it in another way: objects from before would be misread",
                    old=str(it.old),
                    new=str(it.new),
                    where=(f"{maker.name}: {it.places[0]:#x}, now {it.places[1]:#x}", *others),
                )


def _features(found: tuple[Use, ...]) -> dict[tuple[int, int], frozenset[tuple[object, ...]]]:
    """What a function does with each member that it uses, in terms in which two members can be told apart."""
    features: dict[tuple[int, int], set[tuple[object, ...]]] = {}
    for it in found:
        if it.spot.kind != "object":
            continue
        what: tuple[object, ...] = ()
        if it.how is How.STORE and it.constant is None:
            what = it.what[:1] + tuple(abs(_narrow(number)) for number in it.what[1:2] if isinstance(number, int))
        feature = (it.how, None if it.constant is None else abs(it.constant), what)
        features.setdefault((it.spot.offset, it.spot.width), set()).add(feature)
    return {place: frozenset(found) for place, found in features.items()}


def _narrow(number: int) -> int:
    """A constant of an operation, as the sign of a half word has it."""
    return number - (1 << 32) if number >> 31 == 1 else number


@rule("exchanged-members")
def members_keep_their_places(pair: Pair) -> Iterator[Difference]:
    """Functions that were written anew do with one member what they did with another, and the other way round: the
    members exchanged their places. Two functions must agree."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    exchanged: dict[tuple[int, int], set[str]] = {}
    for it in functions:
        old, new = _features(it.old), _features(it.new)
        for one, other in combinations(sorted(old.keys() & new.keys()), 2):
            is_exchanged = old[one] == new[other] and old[other] == new[one] and old[one] != old[other]
            if one[1] == other[1] and is_exchanged:
                exchanged.setdefault((one[0], other[0]), set()).add(it.name)
    for (one_offset, other_offset), names in exchanged.items():
        text = f"{_listed(sorted(names))} {'do' if len(names) > 1 else 'does'} with the member at {one_offset:+#x} what "
        text += f"was done with that at {other_offset:+#x}, and the other way round"
        if len(names) >= _ENOUGH:
            yield refuse(f"{text}: the members exchanged their places", where=tuple(sorted(names)))
        else:
            yield note(f"{text}: an edit, or members that exchanged their places", where=tuple(sorted(names)))


@rule("number-type")
def numbers_keep_their_type(pair: Pair) -> Iterator[Difference]:
    """A variable, or a member in two functions or more, that code computed with as a whole number is a floating-point
    number now, or the other way round: the bytes that are there would say another number."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    changed: dict[tuple[str, int, int], set[str]] = {}
    contradicted: set[tuple[str, int, int]] = set()
    for it in functions:
        old, new = _types(it.old), _types(it.new)
        for spot in old.keys() & new.keys():
            if old[spot] & new[spot]:
                contradicted.add(spot)
            else:
                changed.setdefault(spot, set()).add(it.name)
    for (kind, offset, width), names in changed.items():
        is_certain = kind != "object" or len(names) >= _ENOUGH
        if (kind, offset, width) in contradicted:
            continue
        tell = refuse if is_certain else note
        yield tell(
            f"{_listed(sorted(names))} computed with {_where(kind, offset)} ({width} bytes) as a number of another type "
            "(whole or floating-point): the value from before the update would be misread",
            where=tuple(sorted(names)),
        )


def _types(found: tuple[Use, ...]) -> dict[tuple[str, int, int], set[bool]]:
    types: dict[tuple[str, int, int], set[bool]] = {}
    for it in found:
        if it.is_float is not None and it.spot.kind in _KINDS and it.spot.width in (4, 8):
            types.setdefault((it.spot.kind, it.spot.offset, it.spot.width), set()).add(it.is_float)
    return types


@rule("callback-arguments")
def callbacks_get_their_arguments(pair: Pair) -> Iterator[Difference]:
    """A function that objects hold is called with the same arguments in another order: it was compiled for the old one,
    or new objects hold one for the new order."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    for it in functions:
        old, new = (
            {use.spot.offset: use.what for use in side if use.how is How.CALL and use.spot.kind == "object"}
            for side in (it.old, it.new)
        )
        for offset in sorted(old.keys() & new.keys()):
            before, after = _given(old[offset]), _given(new[offset])
            if before != after and len(set(before)) > 1 and sorted(map(repr, before)) == sorted(map(repr, after)):
                yield refuse(
                    f"{it.name} calls the function that objects hold at {offset:+#x} with its arguments in another "
                    "order: the functions that are stored there take them in the old one",
                    where=(it.name,),
                )


def _given(arguments: tuple[object, ...]) -> tuple[object, ...]:
    """The arguments up to the last that is known."""
    known = [at for at, it in enumerate(arguments) if it]
    return arguments[: known[-1] + 1] if known else ()


@rule("freed-constant")
def what_is_freed_was_allocated(pair: Pair) -> Iterator[Difference]:
    """A member is freed that was not, and that the old version stored the address of a constant in: objects that were
    made before hold that, and free() would end the process."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    stored: dict[int, str] = {}
    for it in functions:
        gone = _stored_addresses(it.old) - _stored_addresses(it.new)
        stored.update(dict.fromkeys(gone, it.name))
    for it in functions:
        freed = _freed(it.new) - _freed(it.old)
        for offset in sorted(freed & stored.keys()):
            yield refuse(
                f"{it.name} frees the member at {offset:+#x}, in which {stored[offset]} stored the address of a "
                "constant: objects from before hold that, and the process would end",
                where=(it.name, stored[offset]),
            )


def _freed(found: tuple[Use, ...]) -> set[int]:
    return {it.spot.offset for it in found if it.how is How.FREE and it.spot.kind == "object"}


def _stored_addresses(found: tuple[Use, ...]) -> set[int]:
    return {
        it.spot.offset
        for it in found
        if it.how is How.STORE and it.spot.kind == "object" and it.what[:1] == ("address",) and "constant" in it.what
    }


@rule("new-member")
def members_are_not_new(pair: Pair) -> Iterator[Difference]:
    """The function that makes an object sets up a member, and another uses it, at a place that no code of the old
    version accesses: padding before. Objects that were made before hold anything there."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    made: dict[int, tuple[str, int]] = {}
    used: dict[int, set[str]] = {}
    for it in functions:
        before = _covered(it.old)
        for use in it.new:
            place = range(use.spot.offset, use.spot.offset + use.spot.width)
            if use.spot.kind != "object" or before.intersection(place) or not offsets_of(it.old):
                continue
            if use.is_fresh and use.changes and _is_inside(it.old, place):
                made[use.spot.offset] = it.name, use.spot.width
            elif not use.is_fresh:
                used.setdefault(use.spot.offset, set()).add(it.name)
    for offset, (maker, width) in made.items():
        users = used.get(offset, set()) - {maker}
        if not users or _is_accessed(uses, range(offset, offset + width)):
            continue
        yield refuse(
            f"{maker} sets up a member at {offset:+#x} of a new object, {width} bytes, which {_listed(sorted(users))} "
            "uses, and no code of the old version accesses: objects from before do not have it",
            where=(maker, *sorted(users)),
        )


def _covered(found: tuple[Use, ...]) -> set[int]:
    return {
        byte
        for it in found
        if it.spot.kind == "object"
        for byte in range(it.spot.offset, it.spot.offset + max(1, it.spot.width))
    }


def _is_inside(found: tuple[Use, ...], place: range) -> bool:
    """Whether the function sets up members of a new object on both sides of a place."""
    offsets = {it.spot.offset for it in found if it.spot.kind == "object" and it.is_fresh}
    return any(it < place.start for it in offsets) and any(it >= place.stop for it in offsets)


def _is_accessed(uses: ChangedUses, place: range) -> bool:
    if any(_covered(it.old).intersection(place) for it in uses.functions):
        return True
    return any(_covered(found).intersection(place) for found in uses.unchanged())


RULES = (
    values_keep_their_meaning,
    members_keep_their_first_value,
    members_keep_their_places,
    numbers_keep_their_type,
    callbacks_get_their_arguments,
    what_is_freed_was_allocated,
    members_are_not_new,
)
