"""Which witnesses are taken for a change of layout, and which for an edit of the source."""

from collections.abc import Mapping
from itertools import groupby

from liveso.compare.evidence import Evidence
from liveso.compare.witness import CLASS_SIZES, Kind, Witness

_LEAST_GROWTH, _MOST_GROWTH = 0.5, 2.0  # of a class between two versions


def grouped(evidence: Evidence) -> list[list[Witness]]:
    """The witnesses of one change each, that of the most functions first."""

    def change(it: Witness) -> tuple[str, int, int]:
        return it.kind, it.old, it.new

    groups = [list(group) for _change, group in groupby(sorted(evidence.witnesses, key=change), key=change)]
    return sorted(groups, key=lambda group: -len({it.function for it in group}))


def counts(group: list[Witness], staying: Mapping[tuple[Kind, int], int]) -> bool:
    """How witnesses of one change are weighed: whether they are taken for a change of layout.

    - One function suffices where the instructions around the difference are the same in both versions: whether
      somebody edited the source to use another member cannot be told from a member that moved.
    - Beside other edits a difference may be one of them: two functions must agree.
    - So they must about what is edited more often than moved, as `_is_often_edited` has it.
    - Masks of bytes that are only read tell of a text, and not of a member.
    - What contradicts itself or others, as `_is_contradicted` has it, does not count, however many agree.
    """
    first = group[0]
    if first.kind is Kind.ROOM:
        return _is_too_little_room(group)
    agreeing = len({it.function for it in group})
    if all(it.is_input for it in group):
        return False
    kind = Kind.VARIABLE if first.kind is Kind.NEW_VARIABLE else first.kind
    if _is_contradicted(first, staying.get((kind, first.old), 0) >= agreeing):
        return False
    return agreeing > 1 or (any(it.is_isolated for it in group) and not _is_often_edited(group))


def _is_too_little_room(group: list[Witness]) -> bool:
    """An allocator is asked for more than before, or for less while the function, or another place where the same
    constant changed, shows something else than an array that has no length any more."""
    asked = [it for it in group if it.callee]
    if not asked or asked[0].new > asked[0].old:
        return bool(asked)
    return len(asked) < len(group) or not all(it.is_alone for it in asked)


def _is_contradicted(it: Witness, stays: bool) -> bool:
    """A variable has one place: if no fewer functions saw it stay (`stays`) than saw it move, these were compared with
    a look-alike, or beside their edits. No member moves from below a pointer to above it: the pointer itself was moved
    on before it was used. A factor, or the size of a copy, that is no multiple of 4 is no object's size."""
    match it.kind:
        case Kind.VARIABLE | Kind.NEW_VARIABLE | Kind.THREAD_LOCAL:
            return stays
        case Kind.MEMBER | Kind.ADDRESS:
            return (it.old < 0) != (it.new < 0)
        case Kind.ELEMENT:
            return _is_odd(it)
        case Kind.SIZE:
            return _is_odd(it) and it.callee.lstrip("_").startswith("mem")
    return False


def _is_often_edited(group: list[Witness]) -> bool:
    """A bit's mask, like any constant; an allocation that is no multiple of 4, which is a text's and no object's; one
    of a class that would be half or twice as large, which is another class; a displacement below zero; another width
    at the same place, in a function that has other edits."""
    it = group[0]
    match it.kind:
        case Kind.BITS | Kind.SHIFT:
            return True
        case Kind.SIZE:
            growth = it.new / max(1, it.old)
            return _is_odd(it) or (it.callee in CLASS_SIZES and not _LEAST_GROWTH < growth < _MOST_GROWTH)
        case Kind.MEMBER | Kind.ADDRESS:
            return it.old < 0
        case Kind.WIDTH:
            return not any(one.is_alone for one in group)
    return False


def _is_odd(it: Witness) -> bool:
    return bool(it.old % 4 or it.new % 4)
