"""What AArch64 code takes several instructions for, and where they say one thing together."""

import re
from dataclasses import replace

from liveso.code.form import Form, Operation
from liveso.code.formed_addresses import Found
from liveso.machine import AARCH64

_REGISTERS = re.compile(r"\b[xv]\d+\b")
_PART = 16  # bits that MOVK has of a constant


def with_whole_constants(found: list[Found]) -> list[Found]:
    """A constant that takes several instructions, MOV of its lowest part and MOVK of others, is what the first of them
    leaves: how many there are is for no other reason than how large it is."""
    led_to = {it.held for it in found if it.form.leads_to_code}
    loading: dict[str, Found] = {}
    kept: list[Found] = []
    for it in found:
        form = it.form
        if it.address in led_to:
            loading.clear()
        if form.outline.startswith("movk ") and form.written[0] in loading:
            first = loading[form.written[0]]
            assert form.immediate is not None and first.form.immediate is not None
            shift = max(form.immediate.bit_length() - 1, 0) // _PART * _PART
            rest = first.form.immediate & ~(((1 << _PART) - 1) << shift)
            first.form = replace(first.form, immediate=rest | form.immediate)
            continue
        kept.append(it)
        for register in _REGISTERS.findall(form.outline.partition(" ")[2]) if loading else ():
            loading.pop(register, None)
        if form.leads_to_code or form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
            loading.clear()
        elif form.operation is Operation.MOVE and form.immediate is not None and "[" not in form.outline:
            loading[form.written[0]] = it
    return kept


def name_descriptor_calls(found: list[Found]) -> None:
    """What asks a TLS descriptor where a variable is changes its result only (ELF for the Arm 64-bit Architecture, "TLS
    descriptors"): the function from the descriptor, whose address goes to x0, is called in one piece."""
    for load, argument, call in zip(found, found[1:], found[2:], strict=False):
        form, given = load.form, argument.form
        is_pair = given.operation is Operation.ADDRESS and (given.base, given.displacement) == (
            form.base,
            form.displacement,
        )
        asks = call.form.operation is Operation.CALL and call.form.outline == f"blr {''.join(form.written)}"
        if asks and is_pair and form.operation is Operation.MOVE and given.written == (AARCH64.result_register,):
            call.form = Form(Operation.OTHER, "tlsdesc x0", written=(AARCH64.result_register, "x30"))
