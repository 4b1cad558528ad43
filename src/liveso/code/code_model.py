"""Which code model an image was compiled for (System V ABI, AMD64 supplement, 3.5.1)."""

import numpy as np

from liveso.code.mask import displacements
from liveso.elf import Image, Section, tables
from liveso.elf.data import is_linker_owned
from liveso.elf.sets import among
from liveso.elf.tables import Table

_NEAR = 4096  # bytes from the place whose address is taken, in the same function
# AMD64 Manual 3, 1.4 and "MOV": the last bit of the prefix, or of three of the opcode, are part of a register's number
_REX_W_MASK, _REX_W = 0xFE, 0x48
_MOVABS_MASK, _MOVABS = 0xF8, 0xB8
_LEA, _LEA_PREFIXES = 0x8D, (0x48, 0x4C)
_MOVABS_SIZE = 10  # bytes


def has_large_model(image: Image) -> bool:
    """Whether code forms the address of the global offset table from a place of its own and a distance of eight bytes,
    as it does in the large model: variables are then at such distances from it, and in no displacement."""
    if not image.machine.displacement_size:
        return False
    bases = {it.address for it in image.sections if is_linker_owned(it) and it.name.startswith(".got")}
    if image.has_tag(tables.DT_PLTGOT):
        bases.add(image.tag(tables.DT_PLTGOT))
    return any(
        _adds_distance(image, it, sorted(bases))
        for it in image.sections
        if it.is_code and it.has_bytes and it.size > _MOVABS_SIZE
    )


def _adds_distance(image: Image, section: Section, bases: list[int]) -> bool:
    """Whether a section has a number that leads to one of `bases` from a place near it, of which it forms the
    address."""
    code = image.section_bytes(section)
    content, numbers = np.frombuffer(code, np.uint8), displacements(code)
    prefix, opcode = content[:-1], content[1:]
    at = np.flatnonzero((prefix & _REX_W_MASK == _REX_W) & (opcode & _MOVABS_MASK == _MOVABS))
    at = at[at + _MOVABS_SIZE <= len(code)]
    distances = (numbers[at + 2].astype("<i8") & 0xFFFFFFFF) | numbers[at + 6].astype("<i8") << 32
    for base in bases:
        places = base - distances
        near = places[np.abs(places - (at + section.address)) <= _NEAR]
        if len(near) and among(near, _formed(image, section, content, numbers)).any():
            return True
    return False


def _formed(image: Image, section: Section, content: Table, numbers: Table) -> Table:
    """The addresses that `lea` may form relative to itself."""
    mask, value = image.machine.relative_operand
    is_lea = np.isin(content[:-2], _LEA_PREFIXES) & (content[1:-1] == _LEA) & (content[2:] & mask == value)
    at = np.flatnonzero(is_lea) + 3
    at = at[at < len(numbers)]
    found: Table = numbers[at].astype("<i8") + at + section.address + 4
    return found
