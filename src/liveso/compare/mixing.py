"""How functions mix the bytes that they read into one number, as hashes and checksums do."""

from collections.abc import Iterator

from liveso.code import Code, Form, Operation

_MIXES = frozenset({"imul", "mul", "madd", "xor", "eor", "rol", "ror", "shl", "shr", "lsl", "lsr", "crc32"})
_STRONG = frozenset({"imul", "mul", "madd", "rol", "ror", "crc32"})
_LEAST_FACTOR = 17  # smaller ones are sizes of elements
_LONGEST_LOOP = 120  # instructions

Mixing = tuple[tuple[str, int | None], ...]
"""The instructions that mix, in their order, with their constants."""


def mixings(code: Code) -> Iterator[Mixing]:
    """What each loop does that reads memory byte by byte."""
    positions = {address: index for index, address in enumerate(code.addresses)}
    for index, (form, target) in enumerate(zip(code.forms, code.targets, strict=True)):
        start = positions.get(target, index + 1) if target is not None and form.leads_to_code else index + 1
        if form.operation is Operation.CALL or not 0 <= index - start < _LONGEST_LOOP:
            continue
        loop = code.forms[start : index + 1]
        found = tuple((_name(it), it.immediate) for it in loop if _mixes(it))
        if found and any(it.width == 1 and it.written for it in loop):
            yield found


def is_strong(it: Mixing) -> bool:
    """Whether it multiplies or rotates, as hashes do and other loops hardly ever."""
    return any(name in _STRONG and abs(number or _LEAST_FACTOR) >= _LEAST_FACTOR for name, number in it)


def _name(it: Form) -> str:
    return it.outline.partition(" ")[0]


def _mixes(it: Form) -> bool:
    """Whether it mixes, and does not only clear a register."""
    name, _space, operands = it.outline.partition(" ")
    parts = [part.strip() for part in operands.split(",")]
    return name in _MIXES and not (name in ("xor", "eor") and it.immediate is None and len(set(parts)) == 1)
