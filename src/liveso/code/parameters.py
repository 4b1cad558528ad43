"""Which parameters a function takes, as its instructions tell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from liveso.code.form import Operation
from liveso.code.instructions import Instruction
from liveso.machine import Machine

_REGISTER = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Registers of arguments that a function reads before it writes to them, and those that still hold what the caller
    put there when it calls another function, which may be the one that reads them."""

    read: frozenset[str]
    passed_on: frozenset[str]


def parameters(instructions: Iterable[Instruction], machine: Machine) -> Parameters:
    """Go through a function in the order of addresses. A register that is both read and written by one instruction
    counts as passed on: some of these do not depend on what it held (as `xor` of a register with itself)."""
    untouched = set(machine.argument_registers)
    read: set[str] = set()
    passed_on: set[str] = set()
    for it in instructions:
        form = it.form
        mentioned = untouched.intersection(_REGISTER.findall(form.outline))
        read |= mentioned.difference(form.written) | (untouched & {form.base, form.source})
        if it.is_call:
            passed_on |= untouched
        elif form.operation is not Operation.MOVE:
            passed_on |= mentioned
        untouched.difference_update(form.written)
    return Parameters(frozenset(read), frozenset(passed_on))
