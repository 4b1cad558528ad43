"""Which of two variables a function takes under which condition: compilers write `c ? &a : &b` in either order."""

import re
from collections import Counter
from dataclasses import dataclass

from liveso.code import Code, Operation, Place
from liveso.code.operations import parts

_CHOICE = re.compile(r"cmov(n?[a-z]{1,2})$")
# AMD64 Manual 3, "CMOVcc": each condition and its opposite
_OPPOSITES = {"ne": "e", "nz": "e", "ns": "s", "no": "o", "np": "p", "ae": "b", "nb": "b", "nc": "b", "a": "be"}
_OPPOSITES |= {"nbe": "be", "ge": "l", "nl": "l", "g": "le", "nle": "le"}
_ASKING = ("cmp", "test")


@dataclass(frozen=True, slots=True)
class Choice:
    """`then` is taken, and not `other`, where the comparison `asked` comes out as `condition` says."""

    asked: tuple[object, ...]
    condition: str
    then: Place
    other: Place


def choices(code: Code) -> tuple[Counter[Choice], frozenset[int]]:
    """The choices between two variables, and the addresses of the instructions that form their addresses for nothing
    else."""
    found: Counter[Choice] = Counter()
    formed: dict[str, tuple[int, Place]] = {}
    asked: tuple[object, ...] = ()
    addresses: set[int] = set()
    for index, form in enumerate(code.forms):
        name, operands = parts(form.outline)
        match = _CHOICE.match(name)
        if name in _ASKING:
            asked = (name, form.immediate, form.displacement, form.width)
        elif match and len(operands) == 2 and all(it in formed for it in operands):
            (at, kept), (other_at, taken) = (formed[it] for it in operands)
            condition, is_opposite = _OPPOSITES.get(match[1], match[1]), match[1] in _OPPOSITES
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
