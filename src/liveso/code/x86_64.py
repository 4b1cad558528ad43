"""x86-64 instructions as capstone writes them (Intel syntax)."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from liveso.code.decode import Decoded, Listing
from liveso.code.form import Form, Operation
from liveso.code.mask import FIELD, displacements
from liveso.elf import Image, Section
from liveso.elf.tables import Table
from liveso.machine import X86_64

_MEMORY = re.compile(r"(?:(\w+) ptr )?(?:(\w\w):)?\[([^\]]*)\]")
_RELATIVE = re.compile(rf"\[{X86_64.program_counter} ([+-]) (0x[0-9a-f]+|\d+)\]")
_LAST_TERM = re.compile(r"(?:([+-]) |^)(0x[0-9a-f]+|\d+)$")
_SCALE = re.compile(r"\*([1248])\b")
_NUMBER = re.compile(r"(?<![\w.])-?(?:0x[0-9a-f]+|\d+)(?![\w.])")
_REGISTER = re.compile(r"[a-z][a-z0-9]+")
_WIDTHS = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "tbyte": 10, "xmmword": 16, "ymmword": 32, "zmmword": 64}
_OPERATIONS = {
    **dict.fromkeys(("mov", "movabs", "movzx", "movsx", "movsxd"), Operation.MOVE),
    "lea": Operation.ADDRESS,
    "imul": Operation.MULTIPLY,
    **dict.fromkeys(("test", "and", "or", "bt", "bts", "btr", "shl", "sal", "shr", "sar"), Operation.BITS),
    "call": Operation.CALL,
    "jmp": Operation.JUMP,
    "ret": Operation.RETURN,
}
_SIGNED = {"movsx": True, "movsxd": True, "movzx": False}
_BYTES = ("l", "h", "b")
"""What the names of registers of one byte end with."""
_ONLY_READ = frozenset({"cmp", "test", "push", "bt", "call", "ucomiss", "ucomisd", "comiss", "comisd"})
_PADDING = ("nop", "endbr", "int3")
_NOTHING = Form(Operation.OTHER, "")
_OTHER_BRANCHES = ("loop", "xbegin")
"""Whose text depends on where they lie, too."""
_BRANCHES = frozenset(
    {bytes((opcode,)) for opcode in (*range(0x70, 0x80), 0xE8, 0xE9, 0xEB)}
    | {bytes((0x0F, opcode)) for opcode in range(0x80, 0x90)}
)
"""The opcodes of branches without a prefix, which the distance follows (AMD64 Manual 3, A.1)."""
_LAST_ADDRESS = (1 << 64) - 1

_TWO_BYTES = 0x0F
"""What an opcode of two bytes begins with."""

_known: dict[bytes, Form] = {}
"""The forms of instructions by their bytes: a few thousand make up most of all code."""
_MOST = 1 << 17
_known_branches: dict[bytes, Form] = {}
"""The forms of branches by their opcodes."""


def forms(code: bytes, instructions: Listing, _last_calls: frozenset[int]) -> list[tuple[int, Form, int | None]]:
    """The address and form of each instruction, and the address that it goes to, or of the memory that it refers to
    relative to itself."""
    addresses, ends = instructions.addresses.tolist(), instructions.ends.tolist()
    start = addresses[0] if addresses else 0
    contents = [code[address - start : end - start] for address, end in zip(addresses, ends, strict=True)]
    found = list(map(_known.get, contents))
    targets: list[int | None] = [None] * len(found)
    for index, form in enumerate(found):
        if form is None:
            content, end = contents[index], ends[index]
            opcode = _opcode(content)
            found[index] = branch = _known_branches.get(opcode)
            if branch is not None:
                distance = int.from_bytes(content[len(opcode) :], "little", signed=True)
                targets[index] = end + distance & _LAST_ADDRESS
            else:
                found[index], targets[index] = _read(content, *instructions.text(index), end)
    return [
        (address, form, target)
        for address, form, target in zip(addresses, found, targets, strict=True)
        if form is not None and form is not _NOTHING
    ]


def _opcode(content: bytes) -> bytes:
    return content[:2] if content[0] == _TWO_BYTES else content[:1]


def _read(content: bytes, mnemonic: str, operands: str, end: int) -> tuple[Form, int | None]:
    """The form of an instruction that ends at `end`, and the address that it names."""
    if mnemonic.startswith(_PADDING):
        return _remembered(content, _NOTHING), None
    match = _RELATIVE.search(operands) if X86_64.program_counter in operands else None
    if match:
        text = f"{operands[: match.start()]}[{X86_64.program_counter}]{operands[match.end() :]}"
        return _form(mnemonic, text), end + int(match[2], 0) * (-1 if match[1] == "-" else 1)
    if operands.startswith("0x") and (mnemonic.endswith("call") or "j" in mnemonic):
        name = mnemonic.removeprefix("bnd ").removeprefix("notrack ")
        form = Form(_OPERATIONS.get(name, Operation.OTHER), f"{name} ", leads_to_code=True)
        opcode = _opcode(content)
        if opcode in _BRANCHES:
            _known_branches[opcode] = form
        return form, int(operands, 0)
    form = _form(mnemonic, operands)
    return form if mnemonic.startswith(_OTHER_BRANCHES) else _remembered(content, form), None


def _remembered(content: bytes, form: Form) -> Form:
    if len(_known) >= _MOST:
        _known.clear()
    _known[content] = form
    return form


@lru_cache(1 << 17)
def _form(mnemonic: str, operands: str) -> Form:
    operation = _OPERATIONS.get(mnemonic.removeprefix("bnd ").removeprefix("notrack "), Operation.OTHER)
    name = "mov" if operation is Operation.MOVE else mnemonic.removeprefix("bnd ").removeprefix("notrack ")
    base, displacement, width, scale, text = "", None, 0, 0, operands
    memory = _MEMORY.search(operands)
    if memory:
        last = _LAST_TERM.search(memory[3])
        displacement = int(last[2], 0) * (-1 if last[1] == "-" else 1) if last else 0
        terms = memory[3][: last.start()].strip() if last else memory[3]
        if terms == X86_64.program_counter:
            displacement = None
        index = _SCALE.search(terms)
        if index:
            scale, terms = int(index[1]), f"{terms[: index.start()]}*S{terms[index.end() :]}"
        base, terms = _whole(terms.split(" ")[0]), _wholes(terms)
        width = _WIDTHS.get(memory[1] or "", 0)
        if operation is Operation.ADDRESS:
            result = operands.split(",")[0]
            width = X86_64.word if _whole(result) == result else X86_64.word // 2
        text = f"{operands[: memory.start()]}{memory[2] or ''}[{terms}]{operands[memory.end() :]}"
    immediate = None
    number = _NUMBER.search(text, text.rfind("]") + 1)
    if number:
        immediate = int(number[0], 0)
        text = text[: number.start()] + "N" + text[number.end() :]
    text = _wholes(text)
    first, _comma, second = (part.strip() for part in text.partition(","))
    is_store = "[" in first and name not in _ONLY_READ
    writes = first and "[" not in first and name not in _ONLY_READ and name[0] != "j"
    source = second if operation is Operation.MOVE and "[" not in second and immediate is None else ""
    written = (first,) if writes else ()
    is_signed = _SIGNED.get(mnemonic)
    if not memory and operation is Operation.MOVE:
        moved = operands.rpartition(", ")[2]
        if mnemonic == "mov" and operands == f"{moved}, {moved}":
            is_signed = False  # it fills the upper half of a register with zeros, and does nothing else
        if is_signed is not None:
            width = 4 if mnemonic in ("mov", "movsxd") else 1 if moved.endswith(_BYTES) else 2
    return Form(
        operation,
        f"{name} {text}",
        base,
        displacement,
        width,
        immediate,
        False,
        written,
        source,
        is_store,
        scale,
        is_signed,
    )


def _whole(register: str) -> str:
    return X86_64.register_parts.get(register, register)


@lru_cache(1 << 14)
def _wholes(text: str) -> str:
    return _REGISTER.sub(lambda match: _whole(match[0]), text)


def stubs(instructions: Iterable[Decoded]) -> Iterator[tuple[int, int]]:
    """The address of each PLT stub, and of the slot that it jumps through (psABI, "Procedure Linkage Table")."""
    start = None
    for address, size, mnemonic, operands in instructions:
        match = _RELATIVE.search(operands)
        if mnemonic.endswith("jmp") and match:
            slot = address + size + int(match[2], 0) * (-1 if match[1] == "-" else 1)
            yield address if start is None else start, slot
        start = address if mnemonic.startswith("endbr") else None


def mask(image: Image, section: Section, _functions: Table) -> tuple[Table, Table]:
    """The bytes of a section with zeros for what the linker fills in, and a FIELD for each such place."""
    content = np.frombuffer(image.section_bytes(section), np.uint8)
    numbers = displacements(content.tobytes())
    is_field = np.zeros(len(numbers) + 4, np.bool_)

    def targets(places: Table) -> Table:
        found: Table = numbers[places] + places
        found += section.address + 4
        return found

    for opcode in X86_64.branch_opcodes:
        places = np.flatnonzero(content == opcode[-1]) + 1
        if len(opcode) == 2:
            places = places[places >= 2]
            places = places[content[places - 2] == opcode[0]]
        places = places[places < len(numbers)]
        is_field[places[image.are_code(targets(places))]] = True
    mask, value = X86_64.relative_operand
    opcodes = np.zeros(256, np.bool_)
    opcodes[list(X86_64.operand_opcodes)] = True
    places = np.flatnonzero((content[1:] & mask == value) & opcodes[content[:-1]]) + 2
    places = places[places < len(numbers)]
    leads = targets(places)
    is_field[places[(leads >= 0) & (leads < image.size_in_memory)]] = True
    found = np.flatnonzero(is_field)
    fields = np.zeros(len(found), FIELD)
    fields["place"] = found + section.address
    fields["target"] = targets(found)
    masked = content.copy()
    for byte in range(4):
        masked[found + byte] = 0
    return masked, fields
