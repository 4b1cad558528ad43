"""What the linker fills in of AArch64 code, by the encoding (Arm Architecture Reference Manual, C4.1)."""

import numpy as np

from liveso.code.mask import FIELD, NOWHERE, low_parts
from liveso.elf import Image, Section
from liveso.elf.tables import Table


def mask(image: Image, section: Section, functions: Table) -> tuple[Table, Table]:
    """The words of a section without what the linker fills in, and a FIELD for each such place."""
    content = np.frombuffer(image.section_bytes(section), np.uint8)
    words = content[: len(content) // 4 * 4].view("<u4").copy()
    places = np.arange(len(words), dtype="<i8") * 4 + section.address
    targets = np.full(len(words), NOWHERE, "<i8")
    kept = np.full(len(words), 0xFFFFFFFF, "<u4")

    branches = np.flatnonzero(words & 0x7C000000 == 0x14000000)
    targets[branches] = places[branches] + _signed(words[branches] & 0x03FFFFFF, 26) * 4
    kept[branches] = 0xFC000000

    pages = np.flatnonzero(words & 0x9F000000 == 0x90000000)
    halves = words[pages].astype("<i8")
    numbers = _signed((halves >> 29 & 3) | (halves >> 5 & 0x7FFFF) << 2, 21)
    bases = (places[pages] & ~0xFFF) + numbers * 4096
    kept[pages] = 0x9F00001F

    owner = np.searchsorted(functions["start"].astype("<i8"), places, "right")
    for at, page in low_parts(
        owner,
        pages,
        bases,
        words[pages] & 31,
        uses=lambda at, register: _uses(words[at], register),
        writes=lambda at, register: _writes(words[at], register),
    ):
        scale = _scale(words[at])
        targets[at] = page + ((words[at].astype("<i8") >> 10 & 0xFFF) << scale)
        kept[at] = 0xFFC003FF
    masked = words & kept
    is_field = kept != 0xFFFFFFFF
    fields = np.zeros(int(is_field.sum()), FIELD)
    fields["place"] = places[is_field]
    fields["target"] = targets[is_field]
    return np.concatenate([masked.view(np.uint8), content[len(words) * 4 :]]), fields


def _uses(word: Table, register: Table) -> Table:
    """Whether an instruction adds a number to a register, or accesses what lies at the sum."""
    is_add = word & 0xFFC00000 == 0x91000000
    is_access = word & 0x3B000000 == 0x39000000
    found: Table = (is_add | is_access) & (word >> 5 & 31 == register)
    return found


def _writes(word: Table, register: Table) -> Table:
    """Whether an instruction writes to a register: its first one, unless it is a store, a branch or a comparison."""
    is_memory = word & 0x0A000000 == 0x08000000
    is_load = word & 0x00400000 != 0
    is_pair = word & 0x3A000000 == 0x28000000
    is_branch = word & 0x1C000000 == 0x14000000
    is_call = (word & 0xFC000000 == 0x94000000) | (word & 0xFFFFFC1F == 0xD63F0000)
    is_vector = word & 0x04000000 != 0
    first = (word & 31 == register) & (~is_memory | (is_load & ~is_vector)) & ~is_branch
    second = is_pair & is_load & ~is_vector & (word >> 10 & 31 == register)
    found: Table = first | second | (is_call & (register < 19))
    return found


def _scale(word: Table) -> Table:
    """By how many bits the offset of an access is shifted; 0 for ADD."""
    found: Table = (word >> 30).astype("<i8")
    found[(word & 0x04800000 == 0x04800000) & (word >> 30 == 0)] = 4  # a vector register's 16 bytes
    found[word & 0xFFC00000 == 0x91000000] = 0
    return found


def _signed(numbers: Table, bits: int) -> Table:
    found: Table = numbers.astype("<i8")
    found[found >> (bits - 1) == 1] -= 1 << bits
    return found
