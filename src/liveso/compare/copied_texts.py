"""Texts that code copies by itself, word by word: where one ends is no place of a member."""

from liveso.code import Code, Form, Operation
from liveso.compare.texts import first_text
from liveso.compare.witness import Kind, Witness
from liveso.elf import Image


def is_end_of_copied_text(it: Witness, codes: tuple[Code, Code], images: tuple[Image, Image]) -> bool:
    """Whether both versions of a function store the last bytes of a constant text behind its first ones, as far on as
    these lie in the text."""
    sides = zip(codes, images, (it.old_address, it.new_address), strict=True)
    return it.kind is Kind.MEMBER and all(_stores_end(code, image, address) for code, image, address in sides)


def _stores_end(code: Code, image: Image, address: int) -> bool:
    index = code.index_at(address)
    if index is None:
        return False
    form = code.forms[index]
    read_at = _loaded_from(code, index, form) if form.is_store and "+" not in form.outline else None
    if read_at is None or form.displacement is None or not form.width:
        return False
    start = read_at - form.displacement
    size = form.displacement + form.width
    is_begun = any(
        other.is_store and other.base == form.base and not other.displacement and _loaded_from(code, at, other) == start
        for at, other in enumerate(code.forms)
        if other.source and "+" not in other.outline
    )
    return is_begun and len(first_text(image.bytes_at(start, size + 1))) == size


def _loaded_from(code: Code, index: int, form: Form) -> int | None:
    """The constant that the instruction at `index` stores: its address."""
    for at in range(index - 1, -1, -1):
        before = code.forms[at]
        if form.source in before.written:
            place = code[at].place
            is_load = before.operation is Operation.MOVE and "[" in before.outline and before.width == form.width
            return code.targets[at] if is_load and place is not None and place.kind == "constant" else None
        if before.leads_to_code or before.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
            break
    return None
