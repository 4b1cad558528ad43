"""Which of two variables a function takes under which condition: compilers write `c ? &a : &b` in either order."""

from collections import Counter
from dataclasses import dataclass

from liveso.code import Code, Operation, Place
from liveso.code.operations import parts
from liveso.machine import Machine


@dataclass(frozen=True, slots=True)
class Choice:
    """`then` is taken, and not `other`, where the comparison `asked` comes out as `condition` says."""

    asked: tuple[object, ...]
    condition: str
    then: Place
    other: Place


def choices(code: Code, machine: Machine) -> tuple[Counter[Choice], frozenset[int]]:
    """The choices between two variables, and the addresses of the instructions that form their addresses for nothing
    else."""
    found: Counter[Choice] = Counter()
    formed: dict[str, tuple[int, Place]] = {}
    asked: tuple[object, ...] = ()
    addresses: set[int] = set()
    for index, form in enumerate(code.forms):
        name, operands = parts(form.outline)
        match = machine.selects.match(name)
        if name in machine.asking:
            asked = (name, form.immediate, form.displacement, form.width)
        elif match and (chosen := _chosen(match[match.lastindex or 0], operands)) and formed.keys() >= {*chosen[1:]}:
            (at, kept), (other_at, taken) = (formed[it] for it in chosen[1:])
            condition = machine.opposites.get(chosen[0], chosen[0])
            is_opposite = chosen[0] in machine.opposites
            found[Choice(asked, condition, *((kept, taken) if is_opposite else (taken, kept)))] += 1
            addresses |= {at, other_at}
            asked = ()
        if form.leads_to_code or form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
            formed.clear()
            asked = ()
        place = code[index].place if form.operation is Operation.ADDRESS and code.targets[index] is not None else None
        for register in form.written:
            formed.pop(register, None)
            if place is not None:
                formed[register] = (code.addresses[index], place)
    return found, frozenset(addresses)


def _chosen(name: str, operands: tuple[str, ...]) -> tuple[str, str, str] | None:
    """The condition of a selection, what is left where it does not hold, and where it does."""
    if len(operands) == 2:  # the first of both is there already
        return name, operands[0], operands[1]
    return (operands[3], operands[2], operands[1]) if len(operands) == 4 else None
