"""The witness layer: what the code itself says about the layout of data, where there is no debug information."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from liveso.code import function_names, has_own_code
from liveso.elf import tables
from liveso.errors import ImageError
from liveso.verdict.evidence import Evidence, Kind, Witness
from liveso.verdict.rules import Difference, Pair, note, refuse, rule

_ENOUGH = 0.5  # share of the code that must have been compared
_SHOWN = 3


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
    if evidence.size and evidence.compared < _ENOUGH * evidence.size:
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
        is_edit = pair.types_agree and group[0].kind not in (Kind.VARIABLE, Kind.THREAD_LOCAL, Kind.SLOT)
        tell = refuse if counts(group, evidence.staying) and not is_edit else note
        first = group[0]
        where = tuple(f"{it.function}: {it.old_address:#x}, now {it.new_address:#x}" for it in group)
        yield tell(_describe(group), old=f"{first.old:#x}", new=f"{first.new:#x}", where=where)


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
    - Beside other edits of a function a difference may be one of them: two functions must agree.
    - So they must about what is edited more often than moved: a bit's mask, like any constant; a size that is no
      multiple of 4, which is a text's and no object's; a displacement below zero, which tells of a pointer that was
      moved on before, and not of a member.
    - A variable has one place: where no fewer functions saw it stay than saw it move, those were compared wrongly, with
      a look-alike or beside their edits.
    - A factor, or the size of a copy, that is no multiple of 4 is no object's size, however many agree.
    """
    functions = {it.function for it in group}
    first = group[0]
    is_odd = bool(first.old % 4 or first.new % 4)
    if is_odd and (
        first.kind is Kind.ELEMENT or (first.kind is Kind.SIZE and first.callee.lstrip("_").startswith("mem"))
    ):
        return False
    if first.kind in (Kind.VARIABLE, Kind.THREAD_LOCAL) and staying.get((first.kind, first.old), 0) >= len(functions):
        return False
    is_edit = (
        first.kind is Kind.BITS
        or (first.kind is Kind.SIZE and is_odd)
        or (first.kind in (Kind.MEMBER, Kind.ADDRESS) and min(first.old, first.new) < 0)
    )
    return len(functions) > 1 or (not is_edit and any(it.is_isolated for it in group))


_WORDS = {
    Kind.MEMBER: "a member moved from {old:+#x} to {new:+#x}",
    Kind.ADDRESS: "a member moved from {old:+#x} to {new:+#x}",
    Kind.WIDTH: "a member changed from {old} to {new} bytes",
    Kind.SIZE: "an object changed from {old} to {new} bytes",
    Kind.ELEMENT: "an array's element changed from {old} to {new} bytes",
    Kind.BITS: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.BIT_FIELD: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.VARIABLE: "a variable moved from +{old:#x} to +{new:#x} of the writable data",
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
