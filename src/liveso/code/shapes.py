"""The shapes of an image's functions: their bytes without what the linker fills in, so that a function which only lies
elsewhere has the same shape. No instruction is decoded for it."""

from dataclasses import dataclass

import numpy as np

from liveso.code.functions import functions
from liveso.elf import Image, Section, tables
from liveso.elf.tables import Table

FIELD = np.dtype([("place", "<u8"), ("target", "<i8")])


@dataclass(frozen=True)
class Shapes:
    """`functions` has the start and end of each function; `shapes` a hash of each one's shape, in the same order.

    `fields` are the places of displacements that were left out of the shapes, sorted, with the address each leads to: a
    few are other bytes that only look like one.
    """

    functions: Table
    shapes: list[int]
    fields: Table

    def fields_of(self, index: int) -> Table:
        """The fields inside the function `index`."""
        start, end = self.functions[index]
        low, high = np.searchsorted(self.fields["place"], [start, end])
        found: Table = self.fields[low:high]
        return found


def shapes(image: Image) -> Shapes:
    """The shapes of all functions with an unwind entry. Raises ImageError as `functions` does."""
    known = functions(image)
    starts, ends = known["start"], known["end"]
    hashes, kept, fields = [], np.zeros(len(known), np.bool_), []
    for section in image.sections:
        if not (section.is_code and section.has_bytes and section.size) or section.name.startswith(".plt"):
            continue
        masked, found = _mask(image, section)
        fields.append(found)
        inside = (starts >= section.address) & (ends <= section.end)
        kept |= inside
        content = masked.tobytes()
        for start, end in known[inside].tolist():
            hashes.append(hash(content[start - section.address : end - section.address]))
    # sections come in the order of their addresses, as the functions do
    return Shapes(known[kept], hashes, np.concatenate([*fields, np.zeros(0, FIELD)]))


def displacements(code: bytes) -> Table:
    """The four bytes at every offset of `code`, as a number with sign."""
    content = np.frombuffer(code, np.uint8)
    count = max(0, len(content) - 3)
    numbers = np.zeros(count, "<u4")
    for byte in range(4):
        numbers |= content[byte : byte + count].astype("<u4") << np.uint32(8 * byte)
    return numbers.view("<i4")


def _mask(image: Image, section: Section) -> tuple[Table, Table]:
    """The bytes of a section with zeros for displacements, and those."""
    content = np.frombuffer(image.section_bytes(section), np.uint8)
    targets = displacements(content.tobytes()).astype("<i8")
    targets += np.arange(section.address + 4, section.address + 4 + len(targets), dtype="<i8")
    is_field = np.zeros(len(targets) + 4, np.bool_)
    leads_to_code = np.zeros(len(targets), np.bool_)
    for other in image.sections:
        if other.is_code:
            leads_to_code |= (targets >= other.address) & (targets < other.end)
    for opcode in image.machine.branch_opcodes:
        places = np.flatnonzero(content == opcode[-1]) + 1
        if len(opcode) == 2:
            places = places[places >= 2]
            places = places[content[places - 2] == opcode[0]]
        places = places[places < len(targets)]
        is_field[places[leads_to_code[places]]] = True
    mask, value = image.machine.relative_operand
    opcodes = np.zeros(256, np.bool_)
    opcodes[list(image.machine.operand_opcodes)] = True
    places = np.flatnonzero((content[1:] & mask == value) & opcodes[content[:-1]]) + 2
    places = places[places < len(targets)]
    loads = image.segments[image.segments["type"] == tables.PT_LOAD]
    end = int((loads["address"] + loads["memory_size"]).max())
    is_field[places[(targets[places] >= 0) & (targets[places] < end)]] = True
    found = np.flatnonzero(is_field)
    fields = np.zeros(len(found), FIELD)
    fields["place"] = found + section.address
    fields["target"] = targets[found]
    masked = content.copy()
    for byte in range(4):
        masked[found + byte] = 0
    return masked, fields
