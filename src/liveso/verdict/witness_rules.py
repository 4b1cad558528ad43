"""The witness layer: what the code itself says about the layout of data, where there is no debug information."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from liveso.code import function_names, has_own_code
from liveso.elf import tables
from liveso.errors import ImageError
from liveso.verdict.evidence import CLASS_SIZES, Evidence, Kind, Witness
from liveso.verdict.rules import Difference, Pair, note, refuse, rule

_ENOUGH = 0.5  # share of the code that must have been compared
_SHOWN = 3
_LEAST_GROWTH, _MOST_GROWTH = 0.5, 2.0  # of a class between two versions


@rule("code-comparison")
def code_can_be_compared(pair: Pair) -> Iterator[Difference]:
    """Without debug information and without code that can be compared nothing is known of the heap's objects."""
    if pair.old_debug.has_types and pair.new_debug.has_types:
        return
    try:
        for image in (pair.old, pair.new):
            if image.segment(tables.PT_GNU_EH_FRAME) is None and has_own_code(image):
                yield refuse(
                    "not judged: a version has no unwind table (.eh_frame_hdr), so its functions cannot be compared"
                )
                return
        evidence = pair.evidence
    except ImageError as error:
        yield refuse(f"not judged: its functions cannot be compared: {error}")
        return
    if not evidence.is_complete:
        yield note("there are so many witnesses that the rest of the code was not compared")
    elif evidence.size and evidence.compared < _ENOUGH * evidence.size:
        yield refuse(
            f"not judged: only {evidence.compared / evidence.size:.0%} of the code could be compared "
            f"({evidence.matched} of {evidence.functions} functions)"
        )


@rule("witness")
def code_agrees_about_data(pair: Pair) -> Iterator[Difference]:
    """The same code with another displacement, place or size tells that the data have another layout.

    Debug information knows better what a displacement means: where no type differs in it, an edit was made.
    """
    try:
        evidence = pair.evidence
    except ImageError:
        return  # code-comparison says it
    for group in grouped(evidence):
        is_edit = pair.types_agree and group[0].kind not in (Kind.VARIABLE, Kind.THREAD_LOCAL, Kind.SLOT, Kind.REPLACED)
        is_taken = counts(group, evidence.staying) and not is_edit
        tell, text = (refuse, _describe(group)) if is_taken else (note, f"taken for an edit: {_describe(group)}")
        first = group[0]
        where = tuple(f"{it.function}: {it.old_address:#x}, now {it.new_address:#x}" for it in group)
        yield tell(text, old=f"{first.old:#x}", new=f"{first.new:#x}", where=where)


@rule("initialiser")
def initialisers_have_run(pair: Pair) -> Iterator[Difference]:
    """A prepared copy runs none: what a new or changed one would set up is missing, and new code may count on it."""
    try:
        found = pair.evidence.initialisers
    except ImageError:
        return  # code-comparison says it
    names = {address: name for name, address in function_names(pair.new).items()}
    for address in found:
        name = names.get(address, "an initialiser without a name")
        yield refuse(f"{name}, at {address:#x}, is a new or changed initialiser, and does not run in an update")


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
    - What contradicts itself or others, as `_is_contradicted` has it, does not count, however many agree.
    """
    first = group[0]
    agreeing = len({it.function for it in group})
    if _is_contradicted(first, staying.get((first.kind, first.old), 0) >= agreeing):
        return False
    return agreeing > 1 or (any(it.is_isolated for it in group) and not _is_often_edited(group))


def _is_contradicted(it: Witness, stays: bool) -> bool:
    """A variable has one place: if no fewer functions saw it stay (`stays`) than saw it move, these were compared with
    a look-alike, or beside their edits. No member moves from below a pointer to above it: the pointer itself was moved
    on before it was used. A factor, or the size of a copy, that is no multiple of 4 is no object's size."""
    match it.kind:
        case Kind.VARIABLE | Kind.THREAD_LOCAL:
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
        case Kind.BITS:
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


_WORDS = {
    Kind.MEMBER: "a member moved from {old:+#x} to {new:+#x}",
    Kind.ADDRESS: "a member moved from {old:+#x} to {new:+#x}",
    Kind.WIDTH: "a member changed from {old} to {new} bytes",
    Kind.SIZE: "an object changed from {old} to {new} bytes",
    Kind.ELEMENT: "an array's element changed from {old} to {new} bytes",
    Kind.BITS: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.BIT_FIELD: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.VARIABLE: "a variable moved from +{old:#x} to +{new:#x} of the writable data",
    Kind.REPLACED: "a function of fewer parameters stands in its slot, {old}, of a table that objects made before keep",
    Kind.SLOT: "a function moved from slot {old} to slot {new} of its table",
    Kind.THREAD_LOCAL: "a thread-local variable moved from +{old:#x} to +{new:#x}",
}


def _describe(group: list[Witness]) -> str:
    first = group[0]
    functions = sorted({it.function for it in group}, key=lambda name: (name.startswith("the function"), name))
    change = _WORDS[first.kind].format(old=first.old, new=first.new)
    who = f"{len(functions)} functions witness" if len(functions) > 1 else f"{functions[0]} witnesses"
    some = (
        f": {', '.join(functions[:_SHOWN])}" + (", …" if len(functions) > _SHOWN else "") if len(functions) > 1 else ""
    )
    given = f" (given to {first.callee})" if first.callee else ""
    return f"{who} that {change}{given}{some}; at {first.old_address:#x} and {first.new_address:#x}"


RULES = (code_can_be_compared, code_agrees_about_data, initialisers_have_run)
