"""Members whose first value is a mark that other functions look for, such as the null pointer of a buffer that is made
when it is needed, in one version only."""

from collections.abc import Iterator

from liveso.code.operations import COMPARES
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, ChangedFunction, listed, offsets_of, verb
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, rule

_Mark = tuple[int, int]
"""The offset of a member, and the constant that marks something."""


@rule("lost-mark")
def marks_stay_known(pair: Pair) -> Iterator[Difference]:
    """One function stored a constant in a member, and stores there what is none; two others go on with the member, and
    do not look for the constant any more: what was made when it was needed is made with the object. Objects from before
    hold the constant. Where only one of the others stops to look, that is noted: the check may have been of no use.

    The other way round, two functions look for a constant where they compared the member with something else: a list
    that came back to its head ends with a null pointer. What is filled in later than before is no such change, for
    objects from before have it already.

    Of 190 of Debian's updates that were accepted without this rule it refuses none, and names one."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    gone: dict[_Mark, set[str]] = {}
    come: dict[_Mark, set[str]] = {}
    for it in functions:
        for mark in _constants(it.old).items() & _not_constant(it.new, it.old):
            gone.setdefault(mark, set()).add(it.name)
        for mark in _constants(it.new).items() & _not_constant(it.old, it.new):
            come.setdefault(mark, set()).add(it.name)
    for mark, makers in sorted(gone.items()):
        users = sorted(it.name for it in functions if it.name not in makers and _stops_to_ask(it, mark))
        if users:
            yield _lost(mark, sorted(makers), users)
    for mark, makers in sorted(come.items()):
        users = sorted(it.name for it in functions if it.name not in makers and _asks_instead(it, mark))
        if len(users) >= ENOUGH:
            yield _found(mark, sorted(makers), users)


def _lost(mark: _Mark, makers: list[str], users: list[str]) -> Difference:
    offset, constant = mark
    weight = refuse if len(users) >= ENOUGH else note
    return weight(
        f"{listed(users)} {verb(users, 'do') if len(users) > 1 else 'does'} not look any more whether the member at "
        f"{offset:+#x} of an object holds {constant}, which {listed(makers)} stored there: objects from before do hold "
        "it",
        old=str(constant),
        where=(*makers, *users),
    )


def _found(mark: _Mark, makers: list[str], users: list[str]) -> Difference:
    offset, constant = mark
    return refuse(
        f"{listed(users)} look for {constant} in the member at {offset:+#x} of an object, where they compared it with "
        f"something else, and {listed(makers)} {verb(makers, 'store')} it there: objects from before do not have it",
        new=str(constant),
        where=(*makers, *users),
    )


def _stored(found: tuple[Use, ...]) -> dict[int, set[int | None]]:
    """What a function stores in each member: constants, and None for what is none."""
    values: dict[int, set[int | None]] = {}
    for it in found:
        if it.spot.kind == "object" and it.changes and it.how in (How.STORE, How.READ, How.ADD):
            values.setdefault(it.spot.offset, set()).add(it.constant if it.how is How.STORE else None)
    return values


def _constants(found: tuple[Use, ...]) -> dict[int, int]:
    """The members in which a function stores one constant and nothing else."""
    return {
        offset: constant
        for offset, values in _stored(found).items()
        if len(values) == 1 and (constant := next(iter(values))) is not None
    }


def _not_constant(found: tuple[Use, ...], other: tuple[Use, ...]) -> set[_Mark]:
    """The marks of the other version at whose place a function stores what is no constant."""
    marks = _constants(other)
    values = _stored(found)
    return {(offset, constant) for offset, constant in marks.items() if values.get(offset) == {None}}


def _asks(found: tuple[Use, ...], mark: _Mark) -> bool:
    return any(it.how is How.EQUAL and (it.spot.offset, it.constant) == mark and _is_member(it) for it in found)


def _compares(found: tuple[Use, ...], offset: int) -> bool:
    """Whether it compares a member with what is no constant."""
    return any(
        it.how is How.READ and it.spot.offset == offset and _is_member(it) and bool(COMPARES & {*map(str, it.what)})
        for it in found
    )


def _is_member(it: Use) -> bool:
    return it.spot.kind == "object" and not it.is_fresh


def _stops_to_ask(it: ChangedFunction, mark: _Mark) -> bool:
    return _asks(it.old, mark) and not _asks(it.new, mark) and mark[0] in offsets_of(it.new)


def _asks_instead(it: ChangedFunction, mark: _Mark) -> bool:
    return (
        _asks(it.new, mark)
        and not _asks(it.old, mark)
        and _compares(it.old, mark[0])
        and not _compares(it.new, mark[0])
    )
