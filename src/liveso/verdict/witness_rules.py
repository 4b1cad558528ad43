"""The witness layer: what the code itself says about the layout of data, where there is no debug information."""

import re
from collections.abc import Callable, Iterator

from liveso.code import Reader, compared_functions, function_names, handed_functions, has_own_code
from liveso.compare.changed_uses import listed
from liveso.compare.evidence import ENOUGH
from liveso.compare.replaced_constants import ConstantReader
from liveso.compare.tail_sizes import MAKERS
from liveso.compare.weighing import counts, grouped
from liveso.compare.witness import CLASS_SIZES, Kind, Witness
from liveso.elf import Image, tables
from liveso.errors import ImageError
from liveso.verdict.dwarf_rules import opens_its_end
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, only_outside, refuse, rule

_SHOWN = 3
_FEW = 40  # changes: where there are more, it is another release, and no reader asks who makes what
_FORGETS = re.compile(
    r"kill|unref|unregister|remove|disconnect|detach|cancel|_run$|_del(_|$|ete)|Del[A-Z]|is_valid", re.I
)
"""Names of functions that look for what was handed to another."""
_RELIES = 6  # functions known by their address, from which a library relies on it: docs/verdict.md, "Function identity"
_NOT_TYPES = (Kind.VARIABLE, Kind.NEW_VARIABLE, Kind.THREAD_LOCAL, Kind.SLOT, Kind.REPLACED, Kind.BITS, Kind.ROOM)
"""What types say nothing about: places, masks, and what is allocated behind a type. A flag that got another bit has the
type that it had."""


@rule("code-comparison")
def code_can_be_compared(pair: Pair) -> Iterator[Difference]:
    """Without debug information and without code that can be compared nothing is known of the heap's objects."""
    if pair.types.old.has_types and pair.types.new.has_types:
        return
    try:
        for image in (pair.old, pair.new):
            if image.segment(tables.PT_GNU_EH_FRAME) is None and has_own_code(image):
                yield refuse(
                    "not judged: a version has no unwind table (.eh_frame_hdr), so its functions cannot be compared"
                )
                return
        evidence = pair.variables.evidence
    except ImageError as error:
        yield refuse(f"not judged: its functions cannot be compared: {error}")
        return
    if not evidence.is_complete:
        yield note("so many functions witness a difference that the rest of the code was not compared")
    elif evidence.size and evidence.compared < ENOUGH * evidence.size:
        yield refuse(
            f"not judged: only {evidence.compared / evidence.size:.0%} of the code could be compared "
            f"({evidence.matched} of {evidence.functions} functions)"
        )


@rule("witness")
def code_agrees_about_data(pair: Pair) -> Iterator[Difference]:
    """The same code with another displacement, place or size tells that the data have another layout.

    Debug information knows better what a displacement means: where no type differs in it, an edit was made. It does not
    say what the bits of a word mean, nor anything of code that was compiled without it.
    """
    try:
        evidence = pair.variables.evidence
    except ImageError:
        return  # code-comparison says it
    groups = [(it, _is_taken(pair, it)) for it in grouped(evidence)]
    taken = [it for it, is_taken in groups if is_taken]
    for group, is_taken in groups:
        if not is_taken:
            if group[0].kind is Kind.ROOM and not any(it.callee for it in group):
                continue  # any sum
            yield _said(note, f"taken for an edit: {_describe(group)}", group)
        elif not _is_of_one_call(pair, group):
            yield _said(refuse, _describe(group) + _made_and_freed(pair, group, taken), group)


@rule("during-call")
def objects_of_a_call_keep_their_layout(pair: Pair) -> Iterator[Difference]:
    """The same about objects that only live while a function of the library runs: on its stack, and handed to no other
    than functions of its own. Such an update is right where no thread is inside the library, if such objects live
    nowhere else: that is known where nothing else changed than what is done with those on stacks."""
    try:
        evidence = pair.variables.evidence
    except ImageError:
        return  # code-comparison says it
    for group in grouped(evidence):
        if _is_taken(pair, group) and _is_of_one_call(pair, group):
            tell = only_outside if pair.changes_only_stacks else refuse
            yield _said(tell, f"only objects that live during one call changed: {_describe(group)}", group)


def _is_taken(pair: Pair, group: list[Witness]) -> bool:
    """Whether witnesses are taken for a change, and not for an edit."""
    is_edit = (
        group[0].kind not in _NOT_TYPES
        and not _grows(group)
        and pair.types.agree
        and all(pair.types.describe(it.old_address, it.new_address) for it in group)
    )
    return counts(group, pair.variables.evidence.staying) and not is_edit and not _is_of_open_end(pair, group)


def _grows(group: list[Witness]) -> bool:
    """Whether an allocator is asked for more, which a type need not show: what is behind an object belongs to it, and
    of a class whose virtual functions are another library's, compilers describe nothing. `delete` is told the same."""
    is_more = all(it.kind is Kind.SIZE and it.new > it.old and it.callee in MAKERS | CLASS_SIZES.keys() for it in group)
    return is_more and any(it.callee in MAKERS for it in group)


def _is_of_open_end(pair: Pair, group: list[Witness]) -> bool:
    """Whether an allocator is asked for less because of a structure whose array at the end has no length any more, and
    nothing else differs in the types."""
    if not all(it.kind is Kind.SIZE and it.new < it.old and it.callee in MAKERS for it in group):
        return False
    if not (pair.types.old.knows_all and pair.types.new.knows_all):
        return False
    less = [before.size - after.size for _name, before, after in pair.types.changed]
    is_all = all(opens_its_end(pair, *it) for it in pair.types.changed)
    return is_all and group[0].old - group[0].new <= max(less, default=0)


def _is_of_one_call(pair: Pair, group: list[Witness]) -> bool:
    return pair.lifetimes.is_of_one_call(group)


def _said(tell: Callable[..., Difference], text: str, group: list[Witness]) -> Difference:
    first = group[0]
    where = tuple(f"{it.function}: {it.old_address:#x}, now {it.new_address:#x}" for it in group)
    return tell(text, old=f"{first.old:#x}", new=f"{first.new:#x}", where=where)


def _made_and_freed(pair: Pair, group: list[Witness], taken: list[list[Witness]]) -> str:
    found = pair.lifetimes.lifetime(group, taken) if len(taken) <= _FEW else None
    return f"; such objects are made by {listed(found.makers)} and freed by {listed(found.freers)}" if found else ""


@rule("initialiser")
def initialisers_have_run(pair: Pair) -> Iterator[Difference]:
    """A prepared copy runs none: what a new or changed one would set up is missing, and new code may count on it."""
    try:
        found = pair.variables.evidence.initialisers
    except ImageError:
        return  # code-comparison says it
    names = {address: name for name, address in function_names(pair.new).items()}
    for address in found:
        name = names.get(address, "an initialiser without a name")
        yield refuse(f"{name}, at {address:#x}, is a new or changed initialiser, and does not run in an update")


def _namer(image: Image) -> Callable[[int], str]:
    """What functions are called for people, by address."""
    names = {address: name.partition("@")[0] for name, address in function_names(image).items()}
    return lambda address: names.get(address, f"the function at {address:#x}")


@rule("function-identity")
def functions_are_known_again(pair: Pair) -> Iterator[Difference]:
    """A function that keeps its home equals what was stored before; of another one, pointers that objects hold go on
    leading to the old version, and do not equal the new version's address. What depends on a few such comparisons is
    mostly little (docs/verdict.md)."""
    try:
        found = compared_functions(pair.new)
        if not found.comparisons:
            return
        kept = compared_functions(pair.old).kept
        matching = pair.code.matching
    except ImageError:
        return  # code-comparison says it
    old, new = (it.functions["start"].tolist() for it in (matching.old, matching.new))
    known = {new[j] for i, j in matching.pairs if old[i] in kept}  # of others, nobody can have stored the address
    known -= _with_home(pair)
    taken = [it for it in found.comparisons if it.function in known]
    if not taken:
        return
    name = _namer(pair.new)
    compared = sorted({name(it.function) for it in taken}, key=lambda it: (it.startswith("the function"), it))
    more = f" (and {len(compared) - 1} more)" if len(compared) > 1 else ""
    tell, few = (refuse, "") if len(compared) >= _RELIES else (note, "; so few are only noted")
    yield tell(
        f"its code compares pointers that the process keeps with the address of {compared[0]}{more}: those that were "
        f"stored before the update would not equal it any more{few}",
        where=tuple(f"{name(it.inside)}: {it.place:#x}, {name(it.function)}" for it in taken),
    )


@rule("constant-identity")
def constants_are_known_again(pair: Pair) -> Iterator[Difference]:
    """Code compares a pointer that the process keeps with the address of a constant (`if (it->text != empty)`), which
    is another one in the new version, or may be: what was stored before the update is taken for something else."""
    try:
        found = pair.same.constants.compared.unclear
    except ImageError:
        return  # code-comparison says it
    name = _namer(pair.new)
    for it in found:
        yield refuse(
            f"{name(it.inside)} compares a pointer with the address of a constant, at {it.address:#x}, which has "
            "another content in the old version, or no counterpart there that is certain",
            where=(f"{name(it.inside)}: {it.place:#x}",),
        )


def _with_home(pair: Pair) -> frozenset[int]:
    """The functions of the new version whose address stays that of the old version's."""
    try:
        return frozenset(it.new for it in pair.same.functions if it.place is not None)
    except ImageError:
        return frozenset()  # code-comparison says it


_WORDS = {
    Kind.MEMBER: "a member moved from {old:+#x} to {new:+#x}",
    Kind.ADDRESS: "a member moved from {old:+#x} to {new:+#x}",
    Kind.WIDTH: "a member changed from {old} to {new} bytes",
    Kind.SIZE: "an object changed from {old} to {new} bytes",
    Kind.ROOM: "what is allocated beside an array of any length changed from {old} to {new} bytes",
    Kind.ELEMENT: "an array's element changed from {old} to {new} bytes",
    Kind.BITS: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.SHIFT: "a bit field moved (shifted by {old}, now by {new})",
    Kind.BIT_FIELD: "a bit field moved (mask {old:#x}, now {new:#x})",
    Kind.VARIABLE: "a variable moved from +{old:#x} to +{new:#x} of the writable data",
    Kind.NEW_VARIABLE: "a variable, at +{old:#x} of the writable data, is replaced by a new one, at +{new:#x}",
    Kind.REPLACED: "a function of other parameters stands in its slot, {old}, of a table that objects made before keep",
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


@rule("handed-function")
def functions_are_found_again(pair: Pair) -> Iterator[Difference]:
    """Another library keeps the address of a function, and looks for it when it is to forget it: where the function has
    no home, what the old version handed over is not found by the new one's address, and is called when its object is
    gone."""
    try:
        matched = {j for _i, j in pair.code.matching.pairs}
        at_home = _with_home(pair)
        found = handed_functions(pair.new, pair.code.matching.new)
    except ImageError:
        return  # code-comparison says it
    indexes = {start: j for j, start in enumerate(pair.code.matching.new.functions["start"].tolist())}
    names = {address: name for name, address in function_names(pair.new).items()}
    for address, callees in sorted(found.items()):
        forgetting = sorted(it for it in callees if _FORGETS.search(it))
        others = sorted(callees - set(forgetting))
        if forgetting and others and indexes.get(address) in matched and address not in at_home:
            name = names.get(address, f"the function at {address:#x}")
            yield refuse(
                f"it hands the address of {name} to {others[0]} and to {forgetting[0]}, which would not find again "
                "what was handed over before the update",
                where=tuple(sorted(callees)),
            )


@rule("replaced-constant")
def constants_stay_constant(pair: Pair) -> Iterator[Difference]:
    """A function that used a constant uses a new variable now, a hash's seed for example, or the other way round: what
    was computed before the update, and is kept in objects, does not equal what is computed after it."""
    try:
        old_places, new_places = pair.variables.references_to_gone, pair.variables.references_to_new
        if not (old_places or new_places):
            return
        reader = ConstantReader((Reader(pair.old), Reader(pair.new)), pair.code.matching)
        given_up, taken_up = list(reader.replaced(1, new_places)), list(reader.replaced(0, old_places))
    except ImageError:
        return  # code-comparison says it
    name = _namer(pair.new)
    lost = "what was computed with it before the update, and is kept, would not be found again"
    for it in given_up:
        yield refuse(
            f"{name(it.with_variable)} uses a new variable where it used {it.constant:#x}: {lost}",
            where=(f"{name(it.with_variable)}: {it.with_constant:#x}, now {it.with_variable:#x}",),
        )
    for it in taken_up:
        yield refuse(
            f"{name(it.with_constant)} uses {it.constant:#x} where it used a variable that is gone: {lost}",
            where=(f"{name(it.with_constant)}: {it.with_variable:#x}, now {it.with_constant:#x}",),
        )


RULES = (
    code_can_be_compared,
    code_agrees_about_data,
    objects_of_a_call_keep_their_layout,
    initialisers_have_run,
    functions_are_known_again,
    functions_are_found_again,
    constants_are_known_again,
    constants_stay_constant,
)
