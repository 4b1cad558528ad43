"""What the linker fills in of RISC-V code, by the encoding (The RISC-V Instruction Set Manual, Volume I, "Instruction
Set Listings" and "C Extension")."""

import numpy as np

from liveso.code.mask import FIELD, NOWHERE, low_parts
from liveso.elf import Image, Section
from liveso.elf.tables import Table
from liveso.machine import RISCV64, Part
from liveso.machine.riscv64_words import code_words, instructions

_AUIPC, _JAL, _JALR, _STORES = 0x17, 0x6F, 0x67, (0x23, 0x27)
_PARTS = (Part.SUM, Part.ACCESS)
_WHOLE = 0xFFFFFFFF


def mask(image: Image, section: Section, functions: Table) -> tuple[Table, Table]:
    """The bytes of a section without what the linker fills in, and a FIELD for each such place."""
    code = image.section_bytes(section)
    content = np.frombuffer(code, np.uint8)
    at, words, sizes = instructions(code)
    found = code_words(code, section.address)
    opcode, is_long = words & 0x7F, sizes == 4
    known = functions["start"].astype("<i8")
    owner = np.searchsorted(known, found.place, "right")
    targets = np.full(len(words), NOWHERE, "<i8")
    kept = np.full(len(words), _WHOLE, "<u4")

    jumps = np.flatnonzero(opcode == _JAL)  # also C.J, as relaxed tail calls are
    is_other = found.calls[jumps] | (np.searchsorted(known, found.target[jumps], "right") != owner[jumps])
    jumps = jumps[is_other]
    targets[jumps], kept[jumps] = found.target[jumps], np.where(is_long[jumps], 0xFFF, 0xE003)

    far = np.flatnonzero((opcode == _JALR) & (found.target >= 0))
    targets[far], kept[far] = found.target[far], 0x000FFFFF

    kept[opcode == _AUIPC] = 0xFFF
    pages = np.flatnonzero(found.part == Part.PAGE)
    written = np.where(found.calls, np.uint32(RISCV64.freed_registers), found.writes)
    is_part = np.isin(found.part, _PARTS) & is_long
    for low, base in low_parts(
        owner,
        pages,
        found.number[pages],
        found.result[pages],
        uses=lambda at, register: is_part[at] & (found.base[at] == register),
        writes=lambda at, register: written[at] >> register & 1 == 1,
    ):
        targets[low] = base + found.number[low]
        kept[low] = np.where(np.isin(opcode[low], _STORES), 0x01FFF07F, 0x000FFFFF)

    is_field = kept != _WHOLE
    halves = np.append(content[: len(content) // 2 * 2].view("<u2"), np.uint16(0))
    halves[at // 2] &= (kept & 0xFFFF).astype("<u2")
    halves[at[is_long] // 2 + 1] &= (kept[is_long] >> 16).astype("<u2")
    fields = np.zeros(int(is_field.sum()), FIELD)
    fields["place"], fields["target"] = found.place[is_field], targets[is_field]
    return np.concatenate([halves[:-1].view(np.uint8), content[len(content) // 2 * 2 :]]), fields
