"""Locks in objects that new code takes in another way."""

from collections.abc import Iterator

from liveso.code import Instruction
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, KINDS, listed, where
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Lock = tuple[str, int, str]
"""The kind of its place, the offset, and the kind of lock."""


@rule("lock-kind")
def locks_keep_their_kind(pair: Pair) -> Iterator[Difference]:
    """Functions took a lock at a place, and none does any more, but they change what is there by themselves, take
    another kind of lock, or call more functions of the library, which may do so; or the other way round. A thread that
    waits for it when the update comes is not woken, and one that has it gives it back in the old way. Two functions
    must agree, and no other may go on with the lock.

    Of 350 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    gone: dict[_Lock, set[str]] = {}
    come: dict[_Lock, set[str]] = {}
    kept: set[_Lock] = set()
    for it in functions:
        old, new = _locks(it.old), _locks(it.new)
        kept |= old & new
        if old == new:
            continue
        calls = [sum(_is_own_call(one) for one in code) for code in it.codes]
        for locks, lost, others, more in (
            (gone, old - new, it.new, calls[1] - calls[0]),
            (come, new - old, it.old, calls[0] - calls[1]),
        ):
            for lock in lost:
                if _accesses(others, lock) or more > 0:
                    locks.setdefault(lock, set()).add(it.name)
    asked = {lock: 1 for locks in (gone, come) for lock, names in locks.items() if len(names) >= ENOUGH}
    kept |= uses.staying(asked, _locks)
    for locks, words in ((gone, "do not take it so any more"), (come, "take it so now")):
        for lock, found in sorted(locks.items()):
            if len(found) < ENOUGH or lock in kept:
                continue
            kind, offset, name = lock
            names = sorted(found)
            yield refuse(
                f"{listed(names)} access {where(kind, offset)}, where a lock of the kind {name} is, and {words}: who "
                "waits for it, or has it, when the update comes does so in the old way",
                where=tuple(names),
            )


def _locks(found: tuple[Use, ...]) -> set[_Lock]:
    return {
        (it.spot.kind, it.spot.offset, str(it.what[0])) for it in found if it.how is How.LOCK and it.spot.kind in KINDS
    }


def _is_own_call(it: Instruction) -> bool:
    return it.is_call and it.place is not None and it.place.kind == "function"


def _accesses(found: tuple[Use, ...], lock: _Lock) -> bool:
    """Whether code changes the first word of a lock by itself, or takes another kind of lock there."""
    kind, offset, _name = lock
    return any((it.spot.kind, it.spot.offset) == (kind, offset) and (it.changes or it.how is How.LOCK) for it in found)
