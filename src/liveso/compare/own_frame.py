"""Words of a function's own frame that its stack pointer does not reach.

Where an instruction has no room for the distance, a compiler forms an address near by first, from the stack pointer and
a constant: `add x2, sp, #592; stur q0, [x2, #-40]`. It chooses these two as they fit, and a frame that is laid out
otherwise leaves another distance between them. That is no more a member than what the stack pointer itself leads to.
"""

from collections.abc import Iterator

import numpy as np

from liveso.code import Code, Form, Operation, frame_registers
from liveso.code.operations import REGISTER, parts
from liveso.elf import Image
from liveso.machine import Machine

_WORD = 4  # bytes of an instruction
_AS_FAR = 64  # instructions


def is_out_of_reach(image: Image, code: Code, at: int, machine: Machine) -> bool:
    """Whether the instruction at an index of a function accesses its own frame, by way of an address that was formed
    before, on the one way to it, from the frame's register because that does not reach so far; or adds a number to an
    index into the frame, to which that register is added then."""
    if machine.parts is None:
        return False
    own = frame_registers(code, machine)
    if code.forms[at].operation is Operation.ADDRESS:
        return _is_added_to(code, at, own)
    offset = _in_frame(code, at, own)
    if offset is None:
        return False
    word = np.frombuffer(image.bytes_at(code.addresses[at], _WORD), "<u4")
    _words, reaches = machine.parts.step(word, np.array([offset], "<i8"))
    return not reaches[0]


def _in_frame(code: Code, at: int, own: set[str]) -> int | None:
    """How far from one of its frame's `own` registers an instruction accesses memory, where the register for addresses
    was formed from that; None where it was not, or that is not known."""
    form = code.forms[at]
    register, offset = form.base, form.displacement
    if register in own or offset is None or "," in form.outline.partition("[")[2]:
        return None
    index, written = "", set[str]()
    for form in _before(code, at):
        if index and index in form.written:
            is_constant = form.operation is Operation.MOVE and form.immediate is not None and len(form.written) == 1
            return offset + form.immediate if is_constant and form.immediate is not None else None
        if not index and register in form.written:
            name, operands = parts(form.outline)
            if form.written != (register,):
                return None
            if form.operation is Operation.MOVE and form.source and "[" not in form.outline:
                register = form.source
            elif form.operation is Operation.ADDRESS and form.displacement is not None:
                register, offset = form.base, offset + form.displacement
            elif name == "add" and len(operands) == 3 and form.immediate is None and operands[1] in own:
                register, index = operands[1], operands[2]  # a distance that takes a register of its own
            else:
                return None
            if register in own:
                if register in written:
                    return None
                if not index:
                    return offset
        written.update(form.written)
    return None


def _before(code: Code, at: int) -> Iterator[Form]:
    """The instructions before the one at an index, backwards, while there is one way to it, without calls."""
    targets = {it for it, form in zip(code.targets, code.forms, strict=True) if form.leads_to_code}
    for before in range(at - 1, max(-1, at - _AS_FAR), -1):
        if code.addresses[before + 1] in targets or _ends(code.forms[before]):
            return
        yield code.forms[before]


def _is_added_to(code: Code, at: int, own: set[str]) -> bool:
    """Whether what an instruction leaves in a register is added to one of the `own` registers, and nothing else is done
    with it before another value comes there."""
    (register,) = code.forms[at].written[:1] or ("",)
    if not register or register in own or code.forms[at].base in own:
        return False
    is_added = False
    for form in code.forms[at + 1 : at + _AS_FAR]:
        name, operands = parts(form.outline)
        if _ends(form):
            return False
        if name == "add" and len(operands) == 3 and operands[1] in own and operands[2] == register:
            is_added = True
        elif register in REGISTER.findall(form.outline.partition(" ")[2]) and (
            register not in form.written or register in REGISTER.findall(form.outline.partition(",")[2])
        ):
            return False
        if register in form.written:
            return is_added
    return False


def _ends(form: Form) -> bool:
    return form.leads_to_code or form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN)
