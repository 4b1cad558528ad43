"""Addresses in the instructions of RISC-V (The RISC-V Instruction Set Manual, Volume I, "RV32/64G Instruction Set
Listings"). Only whole instructions hold a part of one: linkers fill none in compressed ones."""

from liveso.machine.part_encoding import Encoded, PartEncoding
from liveso.machine.words import Words, has_bits

_PAGE_BITS = 12
_REACH = range(-(1 << 11), 1 << 11)


def _itself(place: int) -> int:
    return place


def _page(words: Words, distances: Words) -> Encoded:
    """AUIPC: 20 bits of pages, which count from the instruction."""
    number = distances.astype("<i8") >> _PAGE_BITS
    fits = has_bits(words, 0x7F, 0x17) & (distances % (1 << _PAGE_BITS) == 0)
    fits &= (number >= -(1 << 19)) & (number < 1 << 19)
    return _filled(words, 0xFFF, number << _PAGE_BITS, fits), fits


def _low(words: Words, numbers: Words) -> Encoded:
    """ADDI, loads, and stores, whose number is in two pieces."""
    numbers = numbers.astype("<i8")
    adds = has_bits(words, 0x707F, 0x13)
    loads = has_bits(words, 0x7F, 0x03) | has_bits(words, 0x7F, 0x07)
    stores = has_bits(words, 0x7F, 0x23) | has_bits(words, 0x7F, 0x27)
    fits = (adds | loads | stores) & (numbers >= _REACH.start) & (numbers < _REACH.stop)
    found = _filled(words, 0x000FFFFF, numbers << 20, fits & ~stores)
    return _filled(found, 0x01FFF07F, (numbers >> 5) << 25 | (numbers & 31) << 7, fits & stores), fits


def _nowhere(words: Words, _distances: Words) -> Encoded:
    """No instruction has all of an address."""
    return words, words != words


def _filled(words: Words, kept: int, bits: Words, fits: Words) -> Words:
    filled = ((words & kept) | (bits & ~kept & 0xFFFFFFFF)).astype("<u4")
    words = words.copy()
    words[fits] = filled[fits]
    return words


RISCV64_PARTS = PartEncoding(
    page_size=1 << _PAGE_BITS,
    from_page=_itself,
    reach=_REACH,
    page=_page,
    low=_low,
    whole=_nowhere,
    step=_low,
)
