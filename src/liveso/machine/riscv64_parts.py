"""Addresses in the instructions of RISC-V (The RISC-V Instruction Set Manual, Volume I, "RV32/64G Instruction Set
Listings", and "C" Extension for Compressed Instructions). Linkers fill none in compressed ones, which go on from an
address that is in a register already."""

import numpy as np

from liveso.machine.part_encoding import Detour, Detours, Encoded, PartEncoding
from liveso.machine.riscv64_jump import upper
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


def _step(words: Words, numbers: Words) -> Encoded:
    """As `_low`; else the compressed C.ADDI, and accesses of words and double words. What follows those in the word
    stays."""
    found, fits = _low(words, numbers)
    numbers = numbers.astype("<i8")
    adds = has_bits(words, 0xE003, 0x0001) & ((words >> 7 & 31) != 0)
    fits_sum = adds & (numbers != 0) & (numbers >= -32) & (numbers < 32)
    found = _filled(found, 0xFFFFEF83, (numbers >> 5 & 1) << 12 | (numbers & 31) << 2, fits_sum)
    is_word = has_bits(words, 0x6003, 0x4000)
    is_double = has_bits(words, 0x6003, 0x6000) | has_bits(words, 0x6003, 0x2000)
    fits_word = is_word & (numbers >= 0) & (numbers < 128) & (numbers & 3 == 0)
    low_bits = (numbers >> 2 & 1) << 6 | (numbers >> 6 & 1) << 5
    found = _filled(found, 0xFFFFE39F, (numbers >> 3 & 7) << 10 | low_bits, fits_word)
    fits_double = is_double & (numbers >= 0) & (numbers < 256) & (numbers & 7 == 0)
    found = _filled(found, 0xFFFFE39F, (numbers >> 3 & 7) << 10 | (numbers >> 6 & 3) << 5, fits_double)
    return found, fits | fits_sum | fits_word | fits_double


def _nowhere(words: Words, _distances: Words) -> Encoded:
    """No instruction has all of an address."""
    return words, words != words


def _detour(it: Detour) -> tuple[int, ...] | None:
    """The address is formed in the register that the sum or what is loaded goes to, or in the one that the instruction
    has its address in, which gets its value back then. A compressed instruction has no room for what leads there."""
    opcode, kind, rd, base = it.word & 0x7F, it.word >> 12 & 7, it.word >> 7 & 31, it.word >> 15 & 31
    if it.value is None or base == 0:
        return None
    if rd and (opcode == 0x03 or (opcode == 0x13 and kind == 0)):
        return _left(_reaching(it.word & ~(31 << 15) | rd << 15, rd, it.address, it.start), it)
    if opcode in (0x07, 0x27) or (opcode == 0x23 and it.word >> 20 & 31 != base):
        words = _reaching(it.word, base, it.address, it.start)
        back = _reaching(0x13 | base << 7 | base << 15, base, it.value, it.start + 4 * len(words))
        return _left(words + back, it)
    return None


def _reaching(word: int, register: int, address: int, start: int) -> list[int]:
    """AUIPC, and the word that goes on from what that leaves in a register; nothing where it is too far."""
    distance = upper(address - start)
    page, fits = _page(np.array([0x17 | register << 7], "<u4"), np.array([distance], "<i8"))
    low, _fits = _low(np.array([word], "<u4"), np.array([address - start - distance], "<i8"))
    return [int(page[0]), int(low[0])] if fits[0] else []


def _left(words: list[int], it: Detour) -> tuple[int, ...] | None:
    back = _leave(it.start + 4 * len(words), it.end)
    return (*words, back) if back is not None and len(words) in (2, 4) else None


def _leave(start: int, end: int) -> int | None:
    """JAL, which leaves no address behind."""
    distance = end - start
    if not -(1 << 20) <= distance < 1 << 20:
        return None
    placed = (distance >> 12 & 255) << 12 | (distance >> 11 & 1) << 20 | (distance >> 1 & 1023) << 21
    return 0x6F | placed | (distance >> 20 & 1) << 31


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
    step=_step,
    detours=Detours(24, _detour, _leave),
)
