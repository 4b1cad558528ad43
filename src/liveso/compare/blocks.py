"""What straight-line code of a function accesses, counted from what its registers held where the line begins.

Compilers are free to add a constant to a register first and leave it out of the displacement: `n - 2, +8` is
`n - 1, +0`. Between two branches this can be told apart from a member that moved.
"""

from collections import Counter
from dataclasses import dataclass, field

from liveso.code import Code, Form, Operation
from liveso.code.operations import ADDS, parts, summand, terms
from liveso.code.origins import clobbers
from liveso.machine import Machine


@dataclass(frozen=True, slots=True)
class Term:
    """A register's value that is not told further: as the instruction `root` left it, by what two versions share of its
    form, or as it was at the start of the line (`register`). `factor` is what it is multiplied by."""

    register: str
    root: tuple[object, ...]
    factor: int


@dataclass(slots=True)
class Line:
    """Code between two places that branches lead to or from: the places that each instruction accesses, by its index,
    as `(terms, bytes)`, and the constants that it stores."""

    accesses: dict[int, tuple[frozenset[Term], int]] = field(default_factory=dict)
    stored: Counter[tuple[frozenset[Term], int, int]] = field(default_factory=Counter)


def line_at(code: Code, index: int, machine: Machine) -> Line:
    """The line that the instruction with an index belongs to."""
    targets = {it for it, form in zip(code.targets, code.forms, strict=True) if form.leads_to_code}
    start = index
    while start and not _ends(code.forms[start - 1]) and code.addresses[start] not in targets:
        start -= 1
    line = Line()
    held: dict[str, tuple[Term, int]] = {}
    for at in range(start, len(code)):
        form = code.forms[at]
        if at > index and code.addresses[at] in targets:
            break
        if form.base and form.displacement is not None and form.operation is not Operation.ADDRESS:
            _note(line, at, form, held)
        _follow(form, held, machine)
        if _ends(form):
            break
    return line


def _ends(form: Form) -> bool:
    return form.leads_to_code or form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN)


def _value(register: str, held: dict[str, tuple[Term, int]]) -> tuple[Term, int]:
    return held.get(register, (Term(register, (), 1), 0))


def _note(line: Line, at: int, form: Form, held: dict[str, tuple[Term, int]]) -> None:
    place = _sum(form, held)
    if place is None:
        return
    line.accesses[at] = place
    if form.is_store and form.operation is Operation.MOVE and form.immediate is not None:
        terms, start = place
        for byte, value in enumerate((form.immediate & ((1 << 8 * form.width) - 1)).to_bytes(form.width, "little")):
            line.stored[terms, start + byte, value] += 1


def _sum(form: Form, held: dict[str, tuple[Term, int]]) -> tuple[frozenset[Term], int] | None:
    """The terms of an address, and the constants in it; None where it has an unusual form."""
    known = terms(form)
    if known is None:
        return None
    found: list[Term] = []
    total = form.displacement or 0
    for register, factor in known:
        term, constant = _value(register, held)
        found.append(Term(term.register, term.root, term.factor * factor))
        total += factor * constant
    return (frozenset(found), total) if len(set(found)) == len(found) else None


def _follow(form: Form, held: dict[str, tuple[Term, int]], machine: Machine) -> None:
    """Take note of what an instruction leaves in registers."""
    name, operands = parts(form.outline)
    if clobbers(form, machine):
        held.clear()
        return
    if name in machine.reading or not form.written:
        if name not in machine.reading and form.operation is Operation.OTHER and not form.is_store:
            held.clear()  # it may write registers that it does not name
        return
    (register,) = form.written[:1]
    if name in ADDS and form.immediate is not None and operands[-1] == "N" and "[" not in form.outline:
        term, constant = _value(operands[-2], held)
        held[register] = (term, constant + summand(name, form.immediate))
        return
    if form.operation is Operation.MOVE and form.source and "[" not in form.outline:
        held[register] = _value(form.source, held)
        return
    if form.operation is Operation.ADDRESS and form.base and "*" not in form.outline and "+" not in form.outline:
        term, constant = _value(form.base, held)
        held[register] = (term, constant + (form.displacement or 0))
        return
    step = _step(form)
    moved = _value(form.base, held)
    for written in form.written:
        held[written] = (Term("", (name, form.immediate, form.displacement, form.width, form.scale), 1), 0)

    if step is not None:
        held[form.base] = moved[0], moved[1] + step


def _step(form: Form) -> int | None:
    """How far an access moves on the register that it is told by (AArch64: pre- and post-index); None for others."""
    moved = form.written if form.is_store else form.written[1:]
    if form.base not in moved or "[" not in form.outline:
        return None
    return form.displacement if form.outline.endswith("!") else form.immediate


def line_of(code: Code, address: int, machine: Machine) -> tuple[Line, int]:
    """The line of the instruction at an address, and its index."""
    index = code.index_at(address)
    assert index is not None
    return line_at(code, index, machine), index
