"""What code reaches by way of an address that it has formed, left out of its shape: the number is the distance of two
objects, which is another one when something comes between them, and the same one for two others."""

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.mask import FIELD, NOWHERE
from liveso.elf import Image, Section
from liveso.elf.data import constant_span
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.machine import AARCH64, RISCV64

_KEPT = {
    AARCH64.e_machine: (
        (0x1F000000, 0x11000000, 0xFFC003FF),  # ADD, SUB (immediate)
        (0x3B000000, 0x39000000, 0xFFC003FF),  # loads and stores: unsigned offset
        (0x3B200000, 0x38000000, 0xFFE00FFF),  # unscaled, before and behind
        (0x3A000000, 0x28000000, 0xFFC07FFF),  # pairs
    ),
    RISCV64.e_machine: (
        (0x0000707F, 0x00000013, 0x000FFFFF),  # ADDI
        (0x0000007B, 0x00000003, 0x000FFFFF),  # loads
        (0x0000007B, 0x00000023, 0x01FFF07F),  # stores
        (0x0000E003, 0x00000001, 0xFFFFEF83),  # C.ADDI
        *((0x0000E003, kind << 13, 0xFFFFE39F) for kind in (1, 2, 3, 5, 6, 7)),  # compressed loads and stores
    ),
}
"""The bits of an instruction that tell its kind, what they are, and those that are kept, by machine (Arm Architecture
Reference Manual, C4.1; The RISC-V Instruction Set Manual, Volume I, "Instruction Set Listings" and "C Extension")."""
_HALF = 2  # bytes: where instructions may begin


def without_distances(image: Image, section: Section, masked: Table, fields: Table) -> tuple[Table, Table]:
    """The `masked` bytes of a section without such numbers either, and the `fields` with these; those of an address
    that is for nothing else lead nowhere. Raises ImageError as `functions` does."""
    reached = address_parts(image).reached.rows
    inside = (reached["place"] >= section.address) & (reached["place"] < section.address + len(masked) // 4 * 4)
    reached = reached[inside & ~among(reached["place"], fields["place"])]
    _places, first = np.unique(reached["place"], return_index=True)
    reached = reached[first]
    at = ((reached["place"] - section.address) // _HALF).astype("<i8")
    halves = np.append(masked[: len(masked) // _HALF * _HALF].view("<u2"), np.uint16(0))
    words = halves[at] | halves[at + 1].astype("<u4") << 16
    kept = np.full(len(words), 0xFFFFFFFF, "<u4")
    for told, kind, bits in _KEPT[image.machine.e_machine]:
        kept[words & told == kind] &= np.uint32(bits)
    halves[at] &= (kept & 0xFFFF).astype("<u2")
    halves[at + 1] &= (kept >> 16).astype("<u2")
    found = np.zeros(len(reached), FIELD)
    found["place"], found["target"] = reached["place"], reached["target"]
    both = np.sort(np.concatenate([fields, found]), order="place")
    both["target"][among(both["place"], address_parts(image).reached.anchors.astype("<u8"))] = NOWHERE
    return np.concatenate([halves[:-1].view(np.uint8), masked[len(masked) // _HALF * _HALF :]]), both


def at_first_constants(image: Image) -> Table:
    """The places that form the address of a constant by which others are reached: code that is about this one needs no
    distance. Which that is, is another one when something comes before it. Raises ImageError as `functions` does."""
    found, span = address_parts(image), constant_span(image)
    rows = found.rows[found.rows["forms_address"]]
    rows = rows[(rows["target"] >= span.start) & (rows["target"] < span.stop)]
    first = rows["target"][among(rows["place"], found.reached.rows["page"])]
    places: Table = rows["place"][among(rows["target"], first) & ~among(rows["place"], found.reached.rows["page"])]
    return places
