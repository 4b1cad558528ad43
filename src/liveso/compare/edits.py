"""Edits that look like a change of layout: other masks of a text's bytes, and other ends of loops."""

from bisect import bisect_left

from liveso.code import Code, Operation
from liveso.code.operations import REGISTER, TESTS, parts
from liveso.code.use import How, Use

_LEAST_ADDRESS = 4096
_INPUT_WIDTHS = (1, 2)  # bytes of a character


def masked_inputs(code: Code, found: list[Use]) -> frozenset[int]:
    """The addresses of instructions that mask bytes which were loaded by themselves and are not written: those of a
    text. A test of one byte in memory may be for a flag of a larger word."""
    written = {(it.spot.kind, it.spot.offset) for it in found if it.changes}
    return frozenset(
        it.address
        for it in found
        if it.how in (How.MASK, How.SHIFT)
        and it.spot.width in _INPUT_WIDTHS
        and (it.spot.kind == "element" or not _tests_memory(code, it.address))
        and it.spot.kind in ("object", "element")
        and (it.spot.kind, it.spot.offset) not in written
    )


def _tests_memory(code: Code, address: int) -> bool:
    """Whether the instruction at an address masks what lies in memory, itself or together with the one before, which
    loads it for that."""
    index = bisect_left(code.addresses, address)
    form = code.forms[index]
    if "[" in form.outline or not index:
        return "[" in form.outline
    name, operands = parts(form.outline)
    before = code.forms[index - 1]
    return name in TESTS and "[" in before.outline and before.written == operands[:1]


def is_compared_end(code: Code, address: int) -> bool:
    """Whether an instruction forms an address only to compare with it: the end of an array, which another number of
    rounds makes another one."""
    index = bisect_left(code.addresses, address)
    form = code.forms[index]
    if len(form.written) != 1:
        return False
    register = form.written[0]
    users = [it for it in code.forms if it is not form and register in REGISTER.findall(it.outline)]
    users = [it for it in users if it.written != (register,) or it.base == register or it.source == register]
    is_compared = any(it.outline.startswith("cmp ") for it in users)
    return is_compared and all(it.outline.startswith(("cmp ", "push ", "pop ")) for it in users)


def is_compared_number(code: Code, address: int) -> bool:
    """Whether an instruction forms a sum that the next one compares with a small number other than zero, which is done
    with no address: no page is mapped at the lowest ones."""
    index = bisect_left(code.addresses, address)
    form = code.forms[index]
    if form.operation is not Operation.ADDRESS or len(form.written) != 1 or index + 1 >= len(code.forms):
        return False
    (register,), asking = form.written, code.forms[index + 1]
    name, operands = parts(asking.outline)
    is_small = asking.immediate is not None and 0 < asking.immediate < _LEAST_ADDRESS
    return name == "cmp" and operands[:1] == (register,) and len(operands) == 2 and is_small
