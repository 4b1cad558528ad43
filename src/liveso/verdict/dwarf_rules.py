"""The DWARF layer: what debug information says about variables, and about types that live on in the process."""

import re
from collections.abc import Iterator

from liveso.compare.changed_uses import at, listed, verb
from liveso.compare.witness import Kind, Witness
from liveso.debug.debug_info import Layout, Variable, is_numbered
from liveso.debug.type_forms import Member
from liveso.elf import tables
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, refuse_if_needed, rule

_BITS = 8
_SHORT = ("1]", "0]")  # lengths of an array at the end that stands for any length


@rule("debug-information")
def debug_information_is_there(pair: Pair) -> Iterator[Difference]:
    """Without it, the code alone is judged."""
    missing = [name for name, it in (("old", pair.types.old), ("new", pair.types.new)) if not it.has_types]
    if missing:
        which = "either version" if len(missing) == 2 else f"the {missing[0]} version"
        yield note(f"no debug information was found for {which}: types are judged by the code alone")


@rule("variable")
def variables_keep_their_types(pair: Pair) -> Iterator[Difference]:
    """A variable's home holds what the old version's type says."""
    try:
        correspondences = pair.variables.shared, pair.variables.each_thread
    except ImageError:
        return  # data-layout says it, or tls-block
    # a symbol without a size is a place that the linker names
    old, new = (
        {name: it for name, it in debug.variables.items() if it.size} for debug in (pair.types.old, pair.types.new)
    )
    gone = {(it.is_thread_local, it.offset): it for name, it in old.items() if name not in new or is_numbered(name)}
    for name, after in new.items():
        correspondence = correspondences[after.is_thread_local]
        place = after.offset if correspondence is None else correspondence.old(after.offset)
        before = None if is_numbered(name) else old.get(name)
        if before is None and place is not None:
            before = gone.get((after.is_thread_local, place))
        if before is not None:
            yield from _compare_variables(before, after, place)


def _compare_variables(before: Variable, after: Variable, place: int | None) -> Iterator[Difference]:
    """Compare a variable in both versions; `place` is where it was in the old data, as the code says."""
    what = f"the variable {before.name}" + (f" ({before.shown})" if before.shown else "")
    if before.is_thread_local:
        what = what.replace("the variable", "the thread-local variable")
    if before.offset != place:
        values = {"old": f"+{before.offset:#x}", "new": f"+{after.offset:#x}"}
        yield refuse(f"{what} moved from {values['old']} to {values['new']}", **values)
    elif before.size != after.size:
        values = {"old": str(before.size), "new": str(after.size)}
        other = "" if before.name == after.name else f", {after.name},"
        yield refuse(f"{what} becomes{other} {after.size} bytes instead of {before.size}", **values)
    elif before.form and after.form and before.form != after.form:
        yield refuse(f"{what} changes its type to {after.shown}", old=before.shown, new=after.shown)
    elif before.name != after.name:
        yield note(f"{what} is called {after.name} now", old=before.name, new=after.name)


@rule("type")
def types_keep_their_layout(pair: Pair) -> Iterator[Difference]:
    """Objects that the old code made live on, and the new code works on them. A member of another name is another
    member, unless the code does the same with it."""
    if not (pair.types.old.has_types and pair.types.new.has_types):
        return
    for name, before, after in pair.types.changed:
        if opens_its_end(pair, name, before, after):
            yield note(
                f"{name}: the array {after.members[-1].name} at its end has no length any more "
                f"({before.size} bytes, now {after.size}): objects from before have as much room",
                old=str(before.size),
                new=str(after.size),
            )
            continue
        for text, evidence in _differences(name, before, after):
            matters, renamed = evidence.pop("matters"), evidence.pop("renamed", None)
            users = [] if not isinstance(renamed, int) else _other_users(pair, renamed)
            if users:
                yield refuse(
                    f"{text}, and {listed(users)} {verb(users, 'use')} it in another way: it is another member",
                    **evidence,
                )
            elif not matters:
                yield note(text, **evidence)
            elif name in pair.types.old.reachable:
                yield refuse(text, **evidence)
            else:  # objects that are handed around as `void *` look like this, too
                yield refuse(f"{text} (no variable or function leads to it by type)", **evidence)


def opens_its_end(pair: Pair, name: str, before: Layout, after: Layout) -> bool:
    """Whether nothing differs but that the array of one element at a structure's end has none now: `s[1]` and `s[]`.

    Objects are as large as they were asked to be. Where one has its place in another object, in a variable or among the
    arguments of a function, that differs, too.
    """
    if not before.members or len(before.members) != len(after.members) or before.members[:-1] != after.members[:-1]:
        return False
    last, other = before.members[-1], after.members[-1]
    less = before.size - after.size
    element, _bracket, length = last.form.rpartition("[")
    is_open = length in _SHORT and other.form in (f"{element}[]", f"{element}[0]")
    if any(it.kind is Kind.ROOM and not it.callee and 0 < it.old - it.new <= less for it in _witnesses(pair)):
        return False  # a sum that is given to no allocator, and may be the size of one
    is_handed = any(name in it for debug in (pair.types.old, pair.types.new) for it in debug.signatures.values())
    return (last.name, last.offset) == (other.name, other.offset) and is_open and not is_handed and less >= 0


def _witnesses(pair: Pair) -> tuple[Witness, ...]:
    try:
        return pair.variables.evidence.witnesses
    except ImageError:
        return ()  # code-comparison says it


def _other_users(pair: Pair, offset: int) -> list[str]:
    """The functions that do something else with what lies at an offset of an object."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return []  # code-comparison says it
    return [it.name for it in functions if at(it.old, "object", offset) != at(it.new, "object", offset)]


def _differences(name: str, before: Layout, after: Layout) -> Iterator[tuple[str, dict[str, object]]]:
    if name.startswith("enum "):
        yield from _changed_enumerators(name, before, after)
        return
    if before.size != after.size:
        values = {"old": str(before.size), "new": str(after.size), "matters": True}
        yield f"{name} changes from {before.size} to {after.size} bytes", values
    new = {it.name: it for it in after.members if it.name}
    by_place = {(it.offset, it.size): it for it in after.members}
    for member in before.members:
        other = new.get(member.name) if member.name else by_place.get((member.offset, member.size))
        if other is None:
            successor = by_place.get((member.offset, member.size))
            if successor is None or successor.form != member.form:
                yield f"{name}: member {member.name or member.shown} is gone", {"old": member.shown, "matters": True}
            else:
                values = {"matters": False, "renamed": member.offset // _BITS}
                yield f"{name}: member {member.name} is called {successor.name} now", values
        else:
            yield from _changed_member(name, member, other)
    known = {it.name for it in before.members} | {it.name for it in after.members if not it.name}
    old_places = {(it.offset, it.size) for it in before.members}
    for other in after.members:
        if other.name not in known and (other.offset, other.size) not in old_places:
            yield f"{name}: member {other.name} is new, at {_place(other)}", {"new": other.shown, "matters": True}


def _changed_member(name: str, before: Member, after: Member) -> Iterator[tuple[str, dict[str, object]]]:
    label = before.name or before.shown
    if (before.offset, before.size) != (after.offset, after.size):
        old, new = _place(before), _place(after)
        yield f"{name}: member {label} moved from {old} to {new}", {"old": old, "new": new, "matters": True}
    if before.form != after.form and _only_renamed(before.form, after.form):
        yield f"{name}: names inside of member {label} change", {"matters": False}
    elif before.form != after.form:
        values = {"old": before.shown, "new": after.shown, "matters": True}
        yield f"{name}: member {label} changes its type from {before.shown} to {after.shown}", values


def _only_renamed(before: str, after: str) -> bool:
    """Whether two forms of types without a name differ in members' names alone, which did not change places."""
    names = [sorted(re.findall(r"(\w*)@", form)) for form in (before, after)]
    return names[0] != names[1] and re.sub(r"\w*@", "@", before) == re.sub(r"\w*@", "@", after)


def _place(it: Member) -> str:
    byte, bit = divmod(it.offset, _BITS)
    return f"{byte}" + (f" bit {bit}" if it.size is not None else "") + (f", {it.size} bits" if it.size else "")


def _changed_enumerators(name: str, before: Layout, after: Layout) -> Iterator[tuple[str, dict[str, object]]]:
    if before.size != after.size:
        values = {"old": str(before.size), "new": str(after.size), "matters": True}
        yield f"{name} changes from {before.size} to {after.size} bytes", values
    new = dict(after.enumerators)
    for label, value in before.enumerators:
        if new.get(label, value) != value:
            values = {"old": str(value), "new": str(new[label]), "matters": True}
            yield f"{name}: {label} changes from {value} to {new[label]}", values
    for label in sorted(new.keys() - dict(before.enumerators).keys()):
        yield f"{name}: {label} is new", {"new": str(new[label]), "matters": False}


@rule("signature")
def functions_keep_their_signatures(pair: Pair) -> Iterator[Difference]:
    """A caller was compiled for the old parameters."""
    for key, symbol in pair.old.defined.items():
        if symbol.type not in (tables.STT_FUNC, tables.STT_GNU_IFUNC) or not pair.new.successor_of(symbol):
            continue
        old, new = (it.signatures.get(symbol.name) for it in (pair.types.old, pair.types.new))
        if old is not None and new is not None and old != new:
            was, becomes = (f"{it[0]}({', '.join(it[1:])})" for it in (old, new))
            yield refuse_if_needed(f"the function {symbol} changes from {was} to {becomes}", key)


RULES = (
    debug_information_is_there,
    variables_keep_their_types,
    types_keep_their_layout,
    functions_keep_their_signatures,
)
