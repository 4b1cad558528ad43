"""Pointers that go on through bytes."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

from liveso.code.form import Form, Operation
from liveso.code.instructions import Code
from liveso.code.operations import ADDS, parts

_SMALL_STEP = 4  # bytes: what goes on in such steps leads through bytes, and not from object to object


def advancing_places(code: Code, stack: set[str]) -> dict[str, list[range]]:
    """The registers and words of the stack that hold pointers which go on in small steps, with the instructions, by
    their indexes, between which they do: a loop, or from the step to where the register is overwritten. `stack` are the
    registers that the stack is addressed by."""
    forms, found = code.forms, dict[str, list[range]]()
    stepped = [(index, place) for index, form in enumerate(forms) if (place := _stepped(form))]
    stepped += [
        (index, stack_word(after))
        for index, (form, after) in enumerate(pairwise(forms))
        if _is_step(form) and after.is_store and after.base in stack and after.source == form.written[0]
    ]
    if not stepped:
        return found
    around = loops(code)
    led, written = dict[str, list[int]](), dict[str, list[int]]()
    for index, form in enumerate(forms):
        if form.base and form.operation is not Operation.ADDRESS:
            led.setdefault(form.base, []).append(index)
            if form.base in stack and form.written:
                led.setdefault(stack_word(form), []).append(index)
        for register in form.written:
            written.setdefault(register, []).append(index)
    for index, place in stepped:
        writers = written.get(place, [])
        at = bisect_right(writers, index)
        after = range(index, writers[at] if at < len(writers) else index)
        inside = [it for it in (*(loop for loop in around if index in loop), after) if _any_in(led.get(place, []), it)]
        if inside:
            found.setdefault(place, []).extend(inside)
    return found


def loops(code: Code) -> list[range]:
    """The instructions from where a branch leads back to, up to that branch."""
    addresses, found = code.addresses, []
    for index, (form, target) in enumerate(zip(code.forms, code.targets, strict=True)):
        if form.leads_to_code and target is not None and form.operation is not Operation.CALL:
            start = bisect_left(addresses, target, 0, index + 1)
            if start <= index and addresses[start] == target:
                found.append(range(start, index + 1))
    return found


def _stepped(form: Form) -> str:
    """The register, or the word of the stack, that an instruction moves on by a few bytes; empty if it does none."""
    name, operands = parts(form.outline)
    if form.operation is Operation.ADDRESS:
        return form.base if _is_step(form) and form.written == (form.base,) else ""
    step = 1 if name in ("inc", "dec") else form.immediate
    if step is None or not 0 < abs(step) <= _SMALL_STEP:
        return ""
    if name in ADDS and operands:
        return stack_word(form) if "[" in operands[0] else operands[0]
    moves_on = name.startswith(("ld", "st")) and form.base in form.written  # AArch64
    return form.base if moves_on else ""


def _is_step(form: Form) -> bool:
    """Whether an instruction forms the address of what lies a few bytes from where a register leads."""
    is_plain = form.operation is Operation.ADDRESS and "+" not in form.outline and "*" not in form.outline
    return is_plain and len(form.written) == 1 and 0 < abs(form.displacement or 0) <= _SMALL_STEP


def _any_in(ordered: list[int], places: range) -> bool:
    """Whether some of the numbers lie in a range."""
    at = bisect_left(ordered, places.start)
    return at < len(ordered) and ordered[at] < places.stop


def stack_word(form: Form) -> str:
    """The name of a word of the stack, where an instruction accesses one."""
    return f"[{form.base} {form.displacement}]"
