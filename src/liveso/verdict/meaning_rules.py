"""The meaning layer: whether a value that old code left in an object or a variable says the same to new code."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, KINDS, ChangedFunction, ChangedUses, at, listed, verb, where
from liveso.compare.mixing import is_strong, mixings
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, rule

_VALUES = (How.STORE, How.EQUAL, How.FACTOR, How.MASK, How.SHIFT)
_LEAST_WORD = 4  # bytes
_LEAST_LETTERS = 3
_LEAST_TELLING = 4  # smaller numbers are compared everywhere
_ZEROES = re.compile(r"calloc|alloc0|zalloc|talloc_zero")
"""What the names of allocators have in common that clear the memory."""
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
            if use.how in _VALUES and use.constant is not None and _is_kept(use) and not _is_text(use):
                key = use.spot.kind, use.spot.offset, use.spot.width, use.how
                groups.setdefault(key, ([], []))[side].append(use)
    for (kind, offset, _width, how), (old, new) in groups.items():
        before, after = (Counter(use.constant for use in side) for side in (old, new))
        if len(old) == len(new) and before != after:
            gone, come = old, new
        else:
            gone = [use for use in old if use.constant in before - after]
            come = [use for use in new if use.constant in after - before]
        if len(gone) != len(come):
            continue
        for one, other in zip(gone, come, strict=True):
            if one.constant is not None and other.constant is not None and one.constant != other.constant:
                places = one.address, other.address
                is_first = one.is_fresh and other.is_fresh
                yield _Change(kind, offset, one.constant, other.constant, how, it.name, places, is_first)


def _is_kept(it: Use) -> bool:
    """Whether it is about what lives on: a member or a variable, or a number or pointer in an array."""
    return it.spot.kind in KINDS or (it.spot.kind == "element" and it.spot.width >= _LEAST_WORD)


def _is_text(it: Use) -> bool:
    """Whether it is about a text: masks single bytes, as code does that reads one, or stores several of its letters."""
    if it.how is How.MASK and it.spot.width < _LEAST_WORD and not it.changes:
        return True
    return it.constant is not None and _are_letters(it.constant)


def _are_letters(constant: int) -> bool:
    content = (constant & 0xFFFFFFFF).to_bytes(_LEAST_WORD, "little").rstrip(b"\0")
    return len(content) >= _LEAST_LETTERS and all(0x20 <= it < 0x7F for it in content)


def _first_values(found: tuple[Use, ...]) -> tuple[dict[int, int | None], bool]:
    """The constants that a function stores first in the members of a new object, None for what is no constant; and
    whether the others start with zeros."""
    first: dict[int, int | None] = {}
    for it in found:
        is_first = it.is_fresh and it.how is How.STORE and it.spot.kind == "object"
        if is_first and first.get(it.spot.offset, 0) == 0:  # what clears the object comes before what sets it up
            first[it.spot.offset] = it.constant
    names = [str(it.what[0]) for it in found if it.spot.kind == "allocator"]
    return first, bool(names) and all(_ZEROES.search(name) for name in names)


def _changed_first_values(maker: ChangedFunction) -> Iterator[tuple[int, int, int]]:
    """The members of a new object that start with another constant: offset, old and new value."""
    (old, old_is_zero), (new, new_is_zero) = _first_values(maker.old), _first_values(maker.new)
    if not (old or new):
        return
    for offset in sorted(old.keys() | new.keys()):
        before = old.get(offset, 0 if old_is_zero and not at(maker.old, "object", offset) else None)
        after = new.get(offset, 0 if new_is_zero and not at(maker.new, "object", offset) else None)
        if before is None or after is None or before == after:
            continue
        if not (_are_letters(before) or _are_letters(after)):
            yield offset, before, after


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
    """Functions in agreement have another constant where they store one in a member of an object, or compare, mask or
    multiply the member with it: an enumeration was numbered anew, another value means "none", seconds became
    milliseconds. Objects from before hold the old value. What one function does alone may be an edit, and is noted; so
    is what others contradict that go on with the old constant at the same place, for that may be another type's.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        found = [change for it in uses.functions for change in _changes(it)]
    except ImageError:
        return  # code-comparison says it
    groups: dict[tuple[str, int, int, int], list[_Change]] = {}
    for it in found:
        groups.setdefault((it.kind, it.offset, it.old, it.new), []).append(it)
    yield from _limits(uses, found)
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


def _limits(uses: ChangedUses, found: list[_Change]) -> Iterator[Difference]:
    """A number that several functions compare several members with, as the ends of a ring."""
    groups: dict[tuple[int, int], list[_Change]] = {}
    for it in found:
        if it.kind == "object" and it.how is How.EQUAL and abs(it.old) >= _LEAST_TELLING <= abs(it.new):
            groups.setdefault((it.old, it.new), []).append(it)
    for (old, new), group in groups.items():
        names, offsets = sorted({it.function for it in group}), sorted({it.offset for it in group})
        if len(names) < ENOUGH or len(offsets) < ENOUGH:
            continue
        if any(_stays(uses, "object", offset, old, 1) for offset in offsets):
            continue
        yield refuse(
            f"the value {old} that {listed(names)} {verb(names, 'test')} several members of an object for became "
            f"{new}: what was stored before the update may be beyond it",
            old=str(old),
            new=str(new),
            where=tuple(f"{it.function}: {it.places[0]:#x}, now {it.places[1]:#x}" for it in group),
        )


def _done(group: list[_Change]) -> str:
    """What functions do with a value, as a verb for one or several of them, and a preposition."""
    words = {How.STORE: "store", How.EQUAL: "test", How.FACTOR: "multiply", How.MASK: "mask", How.SHIFT: "shift"}
    names = sorted({it.function for it in group})
    verbs = [verb(names, words[how]) for how in words if how in {it.how for it in group}]
    return f"{' and '.join(verbs)} at"


@rule("first-value")
def members_keep_their_first_value(pair: Pair) -> Iterator[Difference]:
    """The function that makes an object stores another first value in a member, and another function does something
    else with this member now: it may mean something else. Objects from before started with the old value.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    for maker in functions:
        for offset, before, after in _changed_first_values(maker):
            users = sorted(it.name for it in functions if it is not maker and _uses_otherwise(it, offset))
            if users:
                yield refuse(
                    f"{maker.name} starts the member at {offset:+#x} of a new object with {after} instead of {before}, "
                    f"and {listed(users)} {verb(users, 'use')} it in another way: objects from before would be misread",
                    old=str(before),
                    new=str(after),
                    where=(maker.name, *users),
                )


def _uses_otherwise(it: ChangedFunction, offset: int) -> bool:
    old, new = at(it.old, "object", offset), at(it.new, "object", offset)
    return bool(old) and bool(new) and old != new


@rule("freed-constant")
def what_is_freed_was_allocated(pair: Pair) -> Iterator[Difference]:
    """A member is freed that was not, and in which the old version stored what it had not allocated, the address of a
    constant or what it was given, where the new one stores what a function returns: objects from before hold that, and
    free() would end the process.

    Of 195 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    stored: dict[int, tuple[str, str]] = {}
    for it in functions:
        old, new = _stored(it.old), _stored(it.new)
        for offset in old.keys() & new.keys():
            was = next((words for source, words in _NOT_ALLOCATED.items() if source in old[offset]), "")
            if was and "result" not in old[offset] and "result" in new[offset]:
                stored[offset] = it.name, was
    for it in functions:
        freed = _freed(it.new) - _freed(it.old)
        for offset in sorted(freed & stored.keys()):
            maker, was = stored[offset]
            yield refuse(
                f"{it.name} frees the member at {offset:+#x}, in which {maker} stored {was}: objects from before hold "
                "that, and the process would end",
                where=(it.name, maker),
            )


def _freed(found: tuple[Use, ...]) -> set[int]:
    return {it.spot.offset for it in found if it.how is How.FREE and it.spot.kind == "object"}


_NOT_ALLOCATED = {"address": "the address of something in the library", "argument": "what it was given"}


def _stored(found: tuple[Use, ...]) -> dict[int, set[object]]:
    """Where the values come from that are stored in each member."""
    sources: dict[int, set[object]] = {}
    for it in found:
        if it.how is How.STORE and it.spot.kind == "object" and len(it.what) > 2:
            sources.setdefault(it.spot.offset, set()).add(it.what[0])
    return sources


@rule("changed-hash")
def hashes_stay_the_same(pair: Pair) -> Iterator[Difference]:
    """A function that mixes bytes into a number mixes them in another way. Whether objects keep such numbers, as the
    buckets of a table, cannot be told: it is noted."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    for it in functions:
        old, new = ({*mixings(code)} for code in it.codes)
        if old and new and old != new and any(map(is_strong, old | new)):
            yield note(
                f"{it.name} mixes the bytes that it reads in another way: if it is a hash, what the process keeps "
                "under the old one would not be found again",
                where=(f"{it.name}: {it.codes[0].addresses[0]:#x}, now {it.codes[1].addresses[0]:#x}",),
            )


RULES = (
    hashes_stay_the_same,
    values_keep_their_meaning,
    members_keep_their_first_value,
    what_is_freed_was_allocated,
)
