"""AArch64 instructions as capstone writes them.

An address is formed in two steps: ADRP leaves its page in a register, and an ADD or an access adds the low part.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from liveso.code.aarch64_groups import name_descriptor_calls, with_whole_constants
from liveso.code.aarch64_mask import mask
from liveso.code.decode import Decoded, Listing
from liveso.code.factors import name_factors
from liveso.code.form import Form, Operation
from liveso.code.formed_addresses import Found, formed_addresses
from liveso.machine import AARCH64

__all__ = ["forms", "mask", "stubs"]

_MEMORY = re.compile(r"\[([a-z][^\]]*)\](!?)(?:, #(-?(?:0x)?[0-9a-f]+))?")
_OFFSET = re.compile(r", #(-?(?:0x[0-9a-f]+|\d+))$")
_NUMBER = re.compile(r"#(-?(?:0x[0-9a-f]+|\d+))(?![.\w])")
_REGISTER = re.compile(r"\b[wxbhsdqv]\d+\b|\bw(?:zr|sp)\b")
_LAST_ADDRESS = re.compile(r"#(0x[0-9a-f]+|\d+)$")
_WIDTHS = {"b": 1, "h": 2, "w": 4, "x": 8, "s": 4, "d": 8, "q": 16}
_OPERATIONS = {
    **dict.fromkeys(("mov", "movz", "movn", "fmov"), Operation.MOVE),
    **dict.fromkeys(("mul", "madd", "msub", "umull", "smull", "umaddl", "smaddl", "mneg"), Operation.MULTIPLY),
    **dict.fromkeys(("and", "ands", "tst", "orr", "eor", "bic", "lsl", "lsr", "asr", "tbz", "tbnz"), Operation.BITS),
    **dict.fromkeys(("ubfx", "sbfx", "bfi", "bfxil", "ubfiz", "sbfiz"), Operation.BIT_FIELD),
    **dict.fromkeys(("bl", "blr"), Operation.CALL),
    **dict.fromkeys(("b", "br"), Operation.JUMP),
    "ret": Operation.RETURN,
    "adrp": Operation.PAGE,
}
_ONLY_READ = frozenset({"cmp", "cmn", "tst", "ccmp", "ccmn", "fcmp", "fcmpe", "fccmp", "prfm", "msr"})
_PADDING = ("nop", "bti", "hint", "paciasp", "autiasp", "udf")
_STACK_REGISTERS = (AARCH64.stack_pointer, AARCH64.frame_pointer)


def forms(_code: bytes, instructions: Listing, last_calls: frozenset[int]) -> Iterator[tuple[int, Form, int | None]]:
    """The address and form of each instruction of a function, and the address that it goes to or that a pair forms
    with it."""
    found = [
        Found(address, *(_branch(mnemonic, operands) or (_form(mnemonic, operands), None)))
        for address, _size, mnemonic, operands in instructions
        if mnemonic not in _PADDING
    ]
    found = with_whole_constants(found)
    name_descriptor_calls(found)
    targets = formed_addresses(found, AARCH64, _STACK_REGISTERS, last_calls)
    name_factors(found)
    for it, target in zip(found, targets, strict=True):
        yield it.address, it.form, it.held if it.form.leads_to_code else target


def _branch(mnemonic: str, operands: str) -> tuple[Form, int] | None:
    """The form of an instruction that holds an address of code, and that address."""
    is_branch = mnemonic in ("b", "bl", "cbz", "cbnz", "tbz", "tbnz", "adrp", "adr") or mnemonic.startswith("b.")
    match = _LAST_ADDRESS.search(operands) if is_branch else None
    if match is None:
        return None
    operation, immediate = _OPERATIONS.get(mnemonic, Operation.OTHER), None
    text = _wholes(operands[: match.start()])
    if mnemonic in ("tbz", "tbnz"):
        bit = _NUMBER.search(text)
        immediate = 1 << int(bit[1], 0) if bit else None
        text = text.split(",")[0]
    written = (text.split(",")[0],) if mnemonic in ("adrp", "adr") else ()
    leads = operation is not Operation.PAGE
    form = Form(operation, f"{mnemonic} {text}", immediate=immediate, written=written, leads_to_code=leads)
    return form, int(match[1], 0)


@lru_cache(1 << 17)
def _form(mnemonic: str, operands: str) -> Form:
    operation = _OPERATIONS.get(mnemonic, Operation.OTHER)
    memory = _MEMORY.search(operands)
    if memory:
        return _access(mnemonic, operands, memory)
    parts = [it.strip() for it in operands.split(",")]
    numbers = [int(it, 0) for it in _NUMBER.findall(operands)]
    text = _wholes(_NUMBER.sub("N", operands))
    written = (_wholes(parts[0]).partition(".")[0],) if parts[0] and mnemonic not in _ONLY_READ else ()
    if operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
        written = ()
    if mnemonic in ("add", "sub") and len(numbers) in (1, 2) and len(parts) in (3, 4) and parts[2].startswith("#"):
        amount = numbers[0] << (numbers[1] if len(numbers) == 2 else 0)
        width = AARCH64.word if parts[0][0] == "x" or parts[0] == "sp" else AARCH64.word // 2
        base = _wholes(parts[1])
        return Form(
            Operation.ADDRESS,
            f"add {''.join(written)}, {base}, N",
            base,
            amount if mnemonic == "add" else -amount,
            width,
            written=written,
        )
    immediate = numbers[0] if numbers else None
    if mnemonic == "movk" and len(numbers) == 2:
        immediate = numbers[0] << numbers[1]
    if operation is Operation.BIT_FIELD and len(numbers) == 2:
        immediate = ((1 << numbers[1]) - 1) << numbers[0]
    source = _wholes(parts[1]) if operation is Operation.MOVE and not numbers and len(parts) == 2 else ""
    return Form(operation, f"{mnemonic} {text}", immediate=immediate, written=written, source=source)


def _access(mnemonic: str, operands: str, memory: re.Match[str]) -> Form:
    registers = [it.strip() for it in operands[: memory.start()].split(",") if it.strip()]
    offset = _OFFSET.search(memory[1])
    terms = memory[1][: offset.start()] if offset else memory[1]
    displacement = int(offset[1], 0) if offset else 0
    is_store = mnemonic.startswith("st") or mnemonic == "prfm"
    base = _wholes(terms.split(",")[0].strip())
    written = () if is_store else tuple(_wholes(it) for it in registers)
    if memory[2] or memory[3]:
        written += (base,)
    # the two encodings of an offset, scaled and not, are one form
    name = mnemonic.replace("ldur", "ldr").replace("stur", "str")
    is_move = name.startswith(("ldr", "str")) and len(registers) == 1
    return Form(
        Operation.MOVE if is_move else Operation.OTHER,
        f"{name} {_wholes(', '.join(registers))}, [{_wholes(terms)}]{memory[2]}",
        base,
        displacement,
        _width(name, registers),
        int(memory[3], 0) if memory[3] else None,
        written=written,
        source=_wholes(registers[0]) if is_move and is_store else "",
        is_store=is_store,
        is_signed=True if name.startswith("ldrs") else False if name in ("ldrb", "ldrh") else None,
    )


def _width(name: str, registers: list[str]) -> int:
    if name.endswith("sw"):
        return 4
    if name.startswith(("ldr", "str", "ldar", "stlr", "ldxr", "stxr", "ldaxr")) and name[-1] in "bh":
        return _WIDTHS[name[-1]]
    return _WIDTHS.get(registers[-1][0], 0) if registers else 0


def _wholes(text: str) -> str:
    return _REGISTER.sub(lambda match: AARCH64.register_parts.get(match[0], match[0]), text)


def stubs(instructions: Iterable[Decoded]) -> Iterator[tuple[int, int]]:
    """The address of each PLT stub, and of the slot that it jumps through: `adrp x16; ldr x17, [x16, …]` (AArch64 ELF,
    "Procedure linkage table")."""
    start, previous, page = 0, "", 0
    for address, _size, mnemonic, operands in instructions:
        if mnemonic == "adrp":
            start = address - 4 if previous == "bti" else address
            page = int(operands.rpartition("#")[2], 0)
        elif mnemonic == "ldr" and previous == "adrp" and operands.startswith("x17, [x16"):
            offset = _OFFSET.search(operands.rstrip("]"))
            yield start, page + (int(offset[1], 0) if offset else 0)
        previous = mnemonic
