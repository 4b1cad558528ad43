"""Words of a function's own frame that its stack pointer does not reach.

Where an instruction has no room for the distance, a compiler forms an address near by first, from the stack pointer and
a constant: `add x2, sp, #592; stur q0, [x2, #-40]`. It chooses these two as they fit, and a frame that is laid out
otherwise leaves another distance between them. That is no more a member than what the stack pointer itself leads to.
"""

import numpy as np

from liveso.code import Code, Operation, frame_registers
from liveso.elf import Image
from liveso.machine import Machine

_WORD = 4  # bytes of an instruction
_AS_FAR = 64  # instructions back


def is_out_of_reach(image: Image, code: Code, at: int, machine: Machine) -> bool:
    """Whether the instruction at an index of a function accesses its own frame, by way of an address that was formed
    before, on the one way to it, from the frame's register because that does not reach so far."""
    offset = _in_frame(code, at, frame_registers(code, machine)) if machine.parts is not None else None
    if machine.parts is None or offset is None:
        return False
    word = np.frombuffer(image.bytes_at(code.addresses[at], _WORD), "<u4")
    _words, reaches = machine.parts.step(word, np.array([offset], "<i8"))
    return not reaches[0]


def _in_frame(code: Code, at: int, own: set[str]) -> int | None:
    """How far from one of its frame's `own` registers an instruction accesses memory, where the register for addresses
    was formed from that; None where it was not, or that is not known."""
    form = code.forms[at]
    register, offset = form.base, form.displacement
    if (
        register in own
        or form.operation is Operation.ADDRESS
        or offset is None
        or "," in form.outline.partition("[")[2]
    ):
        return None
    targets = {it for it, other in zip(code.targets, code.forms, strict=True) if other.leads_to_code}
    written: set[str] = set()
    for before in range(at - 1, max(-1, at - _AS_FAR), -1):
        form = code.forms[before]
        if code.addresses[before + 1] in targets or form.leads_to_code:
            return None
        if form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
            return None
        if register in form.written:
            is_sum = form.operation is Operation.ADDRESS and form.written == (register,)
            if not is_sum or form.displacement is None:
                return None
            register, offset = form.base, offset + form.displacement
            if register in own:
                return None if register in written else offset
        written.update(form.written)
    return None
