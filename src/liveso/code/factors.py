"""Constants that are loaded to multiply with them."""

import re
from collections.abc import Iterable
from dataclasses import replace

from liveso.code.form import Operation
from liveso.code.formed_addresses import Found

_REGISTERS = re.compile(r"\b[a-z]+\d+\b")


def name_factors(found: Iterable[Found]) -> None:
    """A constant that is only loaded to multiply with it is a factor, as it is in machines whose multiplication has a
    constant operand."""
    constants: dict[str, Found] = {}
    for it in found:
        form = it.form
        if form.operation is Operation.MULTIPLY:
            for register in _REGISTERS.findall(form.outline.partition(",")[2]):
                if register in constants:
                    loading = constants[register]
                    loading.form = replace(loading.form, operation=Operation.MULTIPLY)
        for register in form.written:
            constants.pop(register, None)
            if form.operation is Operation.MOVE and form.immediate is not None:
                constants[register] = it
