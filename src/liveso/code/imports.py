"""What an image's code calls in other libraries: PLT stubs and slots, with the names behind them."""

import re
from bisect import bisect_right

import capstone
import numpy as np

from liveso.code.functions import functions
from liveso.elf import Image


def decoder(image: Image) -> capstone.Cs:
    return capstone.Cs(image.machine.capstone_architecture, image.machine.capstone_mode)


def slot_names(image: Image) -> dict[int, str]:
    """The addresses of slots that the dynamic linker fills by name, with that name."""
    table = image.relocations[image.relocations["symbol"] != 0]
    kinds = [image.machine.jump_slot, image.machine.glob_dat]
    rows = table[np.isin(table["type"], kinds)]
    return {offset: image.symbols[index].name for offset, _type, index, _addend in rows.tolist()}


def stub_names(image: Image, slots: dict[int, str]) -> dict[int, str]:
    """The addresses of PLT stubs, with the name behind the slot in `slots` that each jumps through (psABI, "PLT")."""
    found: dict[int, str] = {}
    for section in image.sections:
        if section.name.startswith(".plt") and section.is_code:
            start = None
            for address, size, mnemonic, operands in decoder(image).disasm_lite(
                image.section_bytes(section), section.address
            ):
                slot = _slot(image, address + size, operands)
                if mnemonic.endswith("jmp") and slot in slots:
                    found[address if start is None else start] = slots[slot]
                start = address if mnemonic.startswith("endbr") else None
    return found


def _slot(image: Image, end: int, operands: str) -> int | None:
    match = re.search(rf"\[{image.machine.program_counter} ([+-]) (0x[0-9a-f]+|\d+)\]", operands)
    return end + int(match[2], 0) * (-1 if match[1] == "-" else 1) if match else None


def asks_for_next_definition(image: Image) -> bool:
    """Whether the code calls `dlsym` or `dlvsym` with RTLD_NEXT, -1, as a constant."""
    slots = slot_names(image)
    if not {"dlsym", "dlvsym"} & set(slots.values()):
        return False
    stubs, known = stub_names(image, slots), functions(image)
    starts: list[int] = known["start"].tolist()
    for section in image.sections:
        if section.is_code:
            code = image.section_bytes(section)
            for match in re.finditer(b"|".join(map(re.escape, image.machine.minus_one_passed)), code):
                place = section.address + match.start()
                index = bisect_right(starts, place) - 1
                end = int(known["end"][index]) if index >= 0 else section.end
                if _next_call(image, place, end, slots, stubs) in ("dlsym", "dlvsym"):
                    return True
    return False


def _next_call(image: Image, start: int, end: int, slots: dict[int, str], stubs: dict[int, str]) -> str | None:
    """The name of what the code from `start` on calls first, if it is in another library."""
    for address, size, mnemonic, operands in decoder(image).disasm_lite(
        image.bytes_at(start, max(0, end - start)), start
    ):
        if mnemonic == "call" or (mnemonic == "jmp" and "[" in operands):
            slot = _slot(image, address + size, operands)
            return slots.get(slot) if slot is not None else stubs.get(int(operands, 0) if operands[:2] == "0x" else 0)
        if mnemonic == "jmp" and operands[:2] == "0x" and int(operands, 0) in stubs:
            return stubs[int(operands, 0)]
    return None
