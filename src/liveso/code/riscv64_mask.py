"""What the linker fills in of RISC-V code, by the encoding (The RISC-V Instruction Set Manual, Volume I, "Instruction
Set Listings" and "C Extension")."""

from collections.abc import Iterator

import numpy as np

from liveso.code.mask import FIELD, NOWHERE
from liveso.elf import Image, Section
from liveso.elf.tables import Table

_FARTHEST = 2048  # instructions between the two of a pair
_AUIPC, _JAL, _JALR = 0x17, 0x6F, 0x67
_ADDI = 0x13  # with zero in the bits 12 to 14
_LOADS, _STORES = (0x03, 0x07), (0x23, 0x27)  # of general registers, and of others
_FREED = 0xF003FCE2  # ra, t0 to t2, a0 to a7, t3 to t6
_WHOLE = 0xFFFFFFFF


def mask(image: Image, section: Section, functions: Table) -> tuple[Table, Table]:
    """The bytes of a section without what the linker fills in, and a FIELD for each such place."""
    content = np.frombuffer(image.section_bytes(section), np.uint8)
    halves = content[: len(content) // 2 * 2].view("<u2").copy()
    known = functions["start"].astype("<i8")
    at = np.flatnonzero(_starts(halves, known - section.address))
    words = _words(halves, at)
    places = at * 2 + section.address
    owner = np.searchsorted(known, places, "right")
    targets = np.full(len(words), NOWHERE, "<i8")
    kept = np.full(len(words), _WHOLE, "<u4")

    jumps = np.flatnonzero(words & 0x7F == _JAL)
    leads_to = places[jumps] + _jump_distance(words[jumps])
    is_other = (words[jumps] >> 7 & 31 != 0) | (np.searchsorted(known, leads_to, "right") != owner[jumps])
    targets[jumps[is_other]], kept[jumps[is_other]] = leads_to[is_other], 0xFFF

    short = np.flatnonzero(words & 0xFFFFE003 == 0xA001)  # C.J, as relaxed tail calls are
    leads_to = places[short] + _short_distance(words[short])
    is_other = np.searchsorted(known, leads_to, "right") != owner[short]
    targets[short[is_other]], kept[short[is_other]] = leads_to[is_other], 0xFFFFE003

    pages = np.flatnonzero(words & 0x7F == _AUIPC)
    bases = places[pages] + (words[pages] & 0xFFFFF000).view("<i4").astype("<i8")
    kept[pages] = 0xFFF
    for low, base in _low_parts(words, owner, pages, bases):
        word = words[low]
        is_store = np.isin(word & 0x7F, _STORES)
        number = np.where(is_store, (word >> 20 & 0xFE0) | (word >> 7 & 31), word >> 20)
        targets[low] = base + _signed(number, 12)
        kept[low] = np.where(is_store, 0x01FFF07F, 0x000FFFFF)

    is_field = kept != _WHOLE
    halves[at] &= (kept & 0xFFFF).astype("<u2")
    is_long = words & 3 == 3
    halves[at[is_long] + 1] &= (kept[is_long] >> 16).astype("<u2")
    fields = np.zeros(int(is_field.sum()), FIELD)
    fields["place"] = places[is_field]
    fields["target"] = targets[is_field]
    return np.concatenate([halves.view(np.uint8), content[len(halves) * 2 :]]), fields


def _starts(halves: Table, entries: Table) -> Table:
    """Which halfwords begin an instruction. One does where a function does, and behind one that begins none of four
    bytes: of several that look like such a beginning, every other one is."""
    count = np.arange(len(halves))
    is_long = halves & 3 == 3
    is_first = np.ones(len(halves), np.bool_)
    is_first[1:] = ~is_long[:-1]
    inside = entries[(entries >= 0) & (entries < len(halves) * 2)] // 2
    is_first[inside] = True
    first = np.maximum.accumulate(np.where(is_first, count, 0))
    found: Table = (count - first) % 2 == 0
    if len(found) and is_long[-1]:
        found[-1] = False  # cut off
    return found


def _words(halves: Table, at: Table) -> Table:
    """The instructions that begin at some halfwords; those of two bytes have zeros above."""
    low = halves[at].astype("<u4")
    following = np.append(halves, np.zeros(1, "<u2"))[at + 1].astype("<u4")
    found: Table = np.where(low & 3 == 3, low | following << 16, low)
    return found


def _low_parts(words: Table, owner: Table, pages: Table, bases: Table) -> Iterator[tuple[Table, Table]]:
    """The instructions that add the low part to what AUIPC leaves, with that: those behind it, in the order of the
    addresses, that use its register before it is written again. All are followed at once."""
    register = words[pages] >> 7 & 31
    is_part = np.isin(words & 0x7F, (*_LOADS, *_STORES, _JALR)) | (words & 0x707F == _ADDI)
    written = _written(words)
    for distance in range(1, _FARTHEST):
        at = pages + distance
        going = at < len(words)
        pages, bases, register, at = pages[going], bases[going], register[going], at[going]
        going = owner[at] == owner[pages]
        pages, bases, register, at = pages[going], bases[going], register[going], at[going]
        if not len(at):
            return
        uses = is_part[at] & (words[at] >> 15 & 31 == register)
        if uses.any():
            yield at[uses], bases[uses]
        going = written[at] >> register & 1 == 0
        pages, bases, register = pages[going], bases[going], register[going]


def _written(words: Table) -> Table:
    """The general registers that each instruction writes, as bits; a call all that its callee may."""
    opcode, rd = words & 0x7F, words >> 7 & 31
    long = words & 3 == 3
    is_float = (opcode == 0x07) | np.isin(opcode, (0x43, 0x47, 0x4B, 0x4F))
    # comparisons of numbers with a fraction, and what is made of them, are left in general registers
    is_float |= (opcode == 0x53) & ~np.isin(words >> 27, (0x14, 0x18, 0x1C))
    writes = long & ~is_float & ~np.isin(opcode, (*_STORES, 0x63, 0x0F))
    kind, quadrant = words >> 13 & 7, words & 3
    whole = (quadrant == 1) & (kind < 4)
    whole |= (quadrant == 2) & np.isin(kind, (0, 2, 3))
    moves = (quadrant == 2) & (kind == 4) & (words >> 2 & 31 != 0)
    writes |= ~long & (whole | moves)
    found = np.where(writes, np.uint32(1) << rd, np.uint32(0))
    short = (quadrant == 0) & np.isin(kind, (0, 2, 3))
    found = np.where(short, np.uint32(1) << (words >> 2 & 7) + 8, found)
    found = np.where((quadrant == 1) & (kind == 4), np.uint32(1) << (words >> 7 & 7) + 8, found)
    calls = long & np.isin(opcode, (_JAL, _JALR)) & (rd == 1)
    calls |= (quadrant == 2) & (kind == 4) & (words >> 12 & 1 == 1) & (words >> 2 & 31 == 0) & (rd != 0)
    result: Table = np.where(calls, np.uint32(_FREED), found).astype("<u4") & np.uint32(0xFFFFFFFE)
    return result


def _jump_distance(words: Table) -> Table:
    """The immediate of JAL."""
    number = words >> 11 & 0x100000 | words & 0xFF000 | words >> 9 & 0x800 | words >> 20 & 0x7FE
    return _signed(number, 21)


def _short_distance(words: Table) -> Table:
    """The immediate of C.J: 11|4|9:8|10|6|7|3:1|5."""
    number = words >> 1 & 0x800 | words >> 7 & 0x10 | words >> 1 & 0x300 | words << 2 & 0x400
    number = number | words >> 1 & 0x40 | words << 1 & 0x80 | words >> 2 & 0xE | words << 3 & 0x20
    return _signed(number, 12)


def _signed(numbers: Table, bits: int) -> Table:
    found: Table = numbers.astype("<i8")
    found[found >> (bits - 1) == 1] -= 1 << bits
    return found
