"""Computations that several functions share, as a macro or an inlined function leaves them, and that became others."""

from collections import Counter
from collections.abc import Iterator

from liveso.code.form import Operation
from liveso.code.instructions import Code, frame_registers
from liveso.code.operations import ADDS, ENCODES, EXTENDS, FACTORS, HIDES, LEFT, MASKS, RIGHT, SHIFTS, TESTS, parts
from liveso.compare.changed_uses import ENOUGH, KINDS, ChangedFunction, listed
from liveso.errors import ImageError
from liveso.machine import Machine
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, rule

_Step = tuple[str, int | None]
"""An operation and its constant."""
_SHIFT = "shift"
_TELLING = SHIFTS | FACTORS | HIDES
_COMPUTES = (SHIFTS | MASKS | ADDS | FACTORS | ENCODES | frozenset(EXTENDS)) - TESTS - {"test", "bt"}
_GOES_ON = frozenset({"jmp", "b", "j"})
"""Jumps that depend on nothing: where compilers put the rest of a function says nothing about it."""
_COPIES = frozenset({"mov", "movabs", "lea", "nop", "endbr64"})
_MEMORY = "memory"
"""The step of an access to memory, beside what is done with it: its constant is the displacement."""


@rule("shared-computation")
def computations_stay_the_same(pair: Pair) -> Iterator[Difference]:
    """Functions that use the same member, or the same variable, differ in nothing but what they compute, and have the
    same step of it more, or less, than before: the bucket of a hash is another one, a bit map starts at the other end,
    a handle has more bits for its number. Where old code has put something, new code does not look. A step is a shift,
    a multiplication, an exclusive or: sums and masks change when bounds are put right.

    It is noted, and refuses nothing: what is shifted, or multiplied, may only live during a call. Of 190 of Debian's
    updates it names one (libgd3, where it is so)."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    found: dict[tuple[_Step, bool], list[ChangedFunction]] = {}
    machine = pair.old.machine
    for it in functions:
        for change in _changed_steps(it, machine):
            found.setdefault(change, []).append(it)
    told: set[tuple[str, ...]] = set()
    for (step, is_new), changed in sorted(found.items(), key=lambda it: (-len(it[1]), str(it[0]))):
        agreeing = _about_one_place(changed)
        names = tuple(sorted(it.name for it in agreeing))
        if len(names) < ENOUGH or names in told:
            continue
        told.add(names)
        more = "more" if is_new else "less"
        by = "" if step[1] is None else f" by {step[1]}"
        yield note(
            f"{listed(list(names))} compute with the operation {step[0]}{by} {more} than before, and do the same "
            "besides: what they find by it, or have stored, is another thing for what is there from before",
            where=names,
        )


def _about_one_place(functions: list[ChangedFunction]) -> list[ChangedFunction]:
    """Those that use a place which most of them use, if one of them leaves another value in memory."""
    places = Counter(place for it in functions for place in _places(it))
    if not places:
        return []
    place, _count = max(places.items(), key=lambda it: (it[1], it[0]))
    agreeing = [it for it in functions if place in _places(it)]
    return agreeing if any(use.changes for it in agreeing for use in it.old) else []


def _places(it: ChangedFunction) -> set[tuple[str, int]]:
    old, new = ({(use.spot.kind, use.spot.offset) for use in found} for found in (it.old, it.new))
    return {place for place in old & new if place[0] in KINDS}


def _changed_steps(it: ChangedFunction, machine: Machine) -> set[tuple[_Step, bool]]:
    """The telling steps that a function has more, or less; none where it differs in more than what it computes."""
    old, new = (_steps(code, machine) for code in it.codes)
    gone, come = old - new, new - old
    if any(name not in _COMPUTES | _GOES_ON for name, _constant in (*gone, *come)):
        return set()
    steps = {(_folded(step), False) for step in gone} | {(_folded(step), True) for step in come}
    return {(step, is_new) for step, is_new in steps if _is_telling(step)}


def _is_telling(step: _Step) -> bool:
    """Whether a step says something: an exclusive or of two registers may be what compilers compare the canary of a
    frame by, where others subtract, and a negation what they make of a comparison."""
    name, constant = step
    return name == _SHIFT or (name in _TELLING and constant is not None)


def _folded(step: _Step) -> _Step:
    """What stores a value shifts it to one side, and what reads it to the other."""
    return (_SHIFT, step[1]) if step[0] in LEFT | RIGHT else step


def _steps(code: Code, machine: Machine) -> Counter[_Step]:
    """What a function does, without where it keeps it meanwhile."""
    own = frame_registers(code, machine)
    steps: Counter[_Step] = Counter()
    for form in code.forms:
        name, operands = parts(form.outline)
        if form.base and form.base not in own and form.operation is not Operation.ADDRESS:
            steps[_MEMORY, form.displacement] += 1
        is_zero = name in HIDES and len(operands) == 2 and operands[0] == operands[1]
        if name.startswith(tuple(_COPIES)) or is_zero or form.operation in (Operation.MOVE, Operation.ADDRESS):
            continue
        is_jump = form.leads_to_code and form.operation is not Operation.CALL
        steps[name, None if is_jump else form.immediate] += 1
    return steps
