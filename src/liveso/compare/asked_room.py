"""Memory whose end is known at run time only: code asks for room there before it fills it.

An interpreter's stack is an example: `if (end - top < 62) top = grow(stack, top, 62)`. What lies behind 62 elements
that were pushed has no fixed place in any object, and is elsewhere where the library pushes 85.
"""

from liveso.code import Code, Operation
from liveso.code.operations import parts
from liveso.compare.witness import Kind, Witness
from liveso.machine import Machine

_SUBTRACTS, _COMPARES = ("sub", "subs"), ("cmp", "subs")


def is_behind_asked_room(it: Witness, codes: tuple[Code, Code], machine: Machine) -> bool:
    """Whether both versions of a function form the address of an element, by an index of their own, as far on as they
    asked for room: the distance between two pointers that it loads is compared with that many bytes, give or take one
    element, and a function is given their number, which changed as the address did."""
    if it.kind is not Kind.ADDRESS:
        return False
    indexes = codes[0].index_at(it.old_address), codes[1].index_at(it.new_address)
    scales = [0 if at is None else code.forms[at].scale for code, at in zip(codes, indexes, strict=True)]
    scale, more = scales[0], it.new - it.old
    if scales[0] != scales[1] or scale < 2 or more % scale:
        return False
    old, new = (_compared_distances(code) for code in codes)
    is_asked = any(abs(size - it.old) <= scale and size + more in new for size in old)
    counts = [_given(code, machine) for code in codes]
    return is_asked and any(count + more // scale in counts[1] - counts[0] for count in counts[0] - counts[1])


def _compared_distances(code: Code) -> set[int]:
    """The numbers of bytes that the distance between two pointers is compared with."""
    found: set[int] = set()
    for index, form in enumerate(code.forms):
        name, operands = parts(form.outline)
        if name in _COMPARES and form.immediate is not None and len(operands) > 1 and "[" not in form.outline:
            at = _writer(code, index, operands[-2])
            if at is not None and _is_distance(code, at):
                found.add(form.immediate)
    return found


def _is_distance(code: Code, index: int) -> bool:
    """Whether an instruction takes one word of memory from another."""
    name, operands = parts(code.forms[index].outline)
    if name not in _SUBTRACTS or code.forms[index].immediate is not None or len(operands) < 2:
        return False
    if operands[-1].startswith("["):  # it loads the second itself
        return _is_loaded(code, index, operands[-2])
    return all(_is_loaded(code, index, it) for it in operands[-2:])


def _is_loaded(code: Code, index: int, register: str) -> bool:
    at = _writer(code, index, register)
    return at is not None and code.forms[at].operation is Operation.MOVE and "[" in code.forms[at].outline


def _writer(code: Code, index: int, register: str) -> int | None:
    """The last instruction before the one at `index` that writes a register, in the order of addresses."""
    return next((at for at in range(index - 1, -1, -1) if register in code.forms[at].written), None)


def _given(code: Code, machine: Machine) -> set[int]:
    """The constants that are put into the arguments' registers."""
    return {
        form.immediate
        for form in code.forms
        if form.operation is Operation.MOVE
        and form.immediate is not None
        and not machine.kept_registers.issuperset(form.written)
        and set(form.written) <= set(machine.argument_registers)
    }
