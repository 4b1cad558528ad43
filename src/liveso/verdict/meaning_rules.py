"""The meaning layer: whether a value that the old code left in an object or a variable says the same to the new code."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from liveso.code.uses import How, Use
from liveso.errors import ImageError
from liveso.verdict.changed_uses import ENOUGH, KINDS, ChangedFunction, ChangedUses, at, listed, where
from liveso.verdict.mixing import mixings
from liveso.verdict.rules import Difference, Pair, note, refuse, rule

_VALUES = (How.STORE, How.EQUAL)
_MOST_TOLD = 8  # notes of one rule


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


def _changes(it: ChangedFunction) -> Iterator[_Change]:
    """The constants of one function that became others, where it has as many as before at that place."""
    groups: dict[tuple[str, int, int, How], tuple[list[Use], list[Use]]] = {}
    for side, found in enumerate((it.old, it.new)):
        for use in found:
            if use.how in _VALUES and use.constant is not None and use.spot.kind in KINDS:
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
        is_certain = len(names) >= ENOUGH and not _stays(uses, kind, offset, old, len(names))
        evidence = {
            "old": str(old),
            "new": str(new),
            "where": tuple(f"{it.function}: {it.places[0]:#x}, now {it.places[1]:#x}" for it in group),
        }
        text = f"the value {old} that {listed(names)} {_done(group)} {where(kind, offset)} became {new}"
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
                    f"{it.old}, and {listed(others)} uses it in another way: objects from before would be misread",
                    old=str(it.old),
                    new=str(it.new),
                    where=(f"{maker.name}: {it.places[0]:#x}, now {it.places[1]:#x}", *others),
                )


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


@rule("changed-hash")
def hashes_stay_the_same(pair: Pair) -> Iterator[Difference]:
    """A function that mixes bytes into a number mixes them otherwise. Whether objects keep such numbers, as the buckets of
    a table, cannot be told: it is noted."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    for it in functions:
        old, new = ({*mixings(code)} for code in it.codes)
        if old and new and old != new:
            yield note(
                f"{it.name} mixes the bytes that it reads in another way: if it is a hash, what the process keeps under "
                "the old one would not be found again",
                where=(f"{it.name}: {it.codes[0].addresses[0]:#x}, now {it.codes[1].addresses[0]:#x}",),
            )


RULES = (
    hashes_stay_the_same,
    values_keep_their_meaning,
    members_keep_their_first_value,
    what_is_freed_was_allocated,
)
