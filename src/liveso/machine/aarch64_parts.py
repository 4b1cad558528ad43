"""Addresses in the instructions of AArch64 (Arm Architecture Reference Manual, C4.1.2 and C4.1.4)."""

import numpy as np

from liveso.machine.aarch64_jump import AARCH64_JUMP
from liveso.machine.aarch64_words import pair_scale
from liveso.machine.part_encoding import Detour, Detours, Encoded, PartEncoding
from liveso.machine.words import Words, has_bits

_PAGE_BITS = 12


def _page_of(place: int) -> int:
    return place >> _PAGE_BITS << _PAGE_BITS


def _page(words: Words, distances: Words) -> Encoded:
    """ADRP: 21 bits of pages."""
    number = distances.astype("<i8") >> _PAGE_BITS
    fits = has_bits(words, 0x9F000000, 0x90000000) & (distances % (1 << _PAGE_BITS) == 0) & _is_signed(number, 21)
    return _relative(words, number, fits), fits


def _low(words: Words, numbers: Words) -> Encoded:
    """ADD of a number that is not shifted, and accesses with an unsigned offset, which counts in their size."""
    numbers = numbers.astype("<i8")
    is_sum, is_access = has_bits(words, 0x7FC00000, 0x11000000), has_bits(words, 0x3B000000, 0x39000000)
    scale = np.where(has_bits(words, 0xFF800000, 0x3D800000), 4, words >> 30).astype("<i8") * is_access
    fits = (is_sum | is_access) & (numbers >= 0) & (numbers >> scale < 1 << 12) & (numbers & ((1 << scale) - 1) == 0)
    return _filled(words, 10, 12, numbers >> scale, fits), fits


def _whole(words: Words, distances: Words) -> Encoded:
    """ADR: 21 bits; accesses of literals: 19 bits of words."""
    distances = distances.astype("<i8")
    is_address, is_literal = has_bits(words, 0x9F000000, 0x10000000), has_bits(words, 0x3B000000, 0x18000000)
    fits = (is_address | (is_literal & (distances & 3 == 0))) & _is_signed(distances, 21)
    literals = _filled(words, 5, 19, distances >> 2, fits)
    return np.where(is_address, _relative(words, distances, fits), literals).astype("<u4"), fits


def _step(words: Words, numbers: Words) -> Encoded:
    """As `_low`; else accesses with an offset that is not scaled (C4.1.4), which have the same operands, and ADD or SUB
    of a number (C4.1.2)."""
    numbers = numbers.astype("<i8")
    is_near = has_bits(words, 0x3B200C00, 0x38000000)
    scaled = np.where(is_near, words & np.uint32(0xFFE003FF) | np.uint32(1 << 24), words).astype("<u4")
    scaled = np.where(is_near, scaled & np.uint32(~(0xFFF << 10) & 0xFFFFFFFF), scaled).astype("<u4")
    found, fits = _low(scaled, numbers)
    is_access = is_near | has_bits(words, 0x3B000000, 0x39000000)
    near = np.where(is_near, words, words & np.uint32(0xFEC003FF)).astype("<u4")
    fits_near = is_access & ~fits & _is_signed(numbers, 9)
    found = np.where(fits_near, _filled(near, 12, 9, numbers, fits_near), found)
    is_sum = has_bits(words, 0x1FC00000, 0x11000000)
    fits_sum = is_sum & (abs(numbers) < 1 << 12)
    sums = np.where(numbers < 0, words | np.uint32(1 << 30), words & np.uint32(0xBFFFFFFF)).astype("<u4")
    found = np.where(fits_sum, _filled(sums, 10, 12, abs(numbers), fits_sum), found)
    pair, scale = has_bits(words, 0x3B800000, 0x29000000), pair_scale(words)
    fits_pair = pair & (numbers & ((1 << scale) - 1) == 0) & _is_signed(numbers >> scale, 7)
    found = np.where(fits_pair, _filled(words, 15, 7, numbers >> scale, fits_pair), found)
    fits = fits | fits_near | fits_sum | fits_pair
    return np.where(fits, found, words).astype("<u4"), fits


def _relative(words: Words, numbers: Words, fits: Words) -> Words:
    """The two lowest bits of a number are apart from the other ones."""
    return _filled(_filled(words, 29, 2, numbers, fits), 5, 19, numbers >> 2, fits)


def _filled(words: Words, low: int, bits: int, numbers: Words, fits: Words) -> Words:
    mask = (1 << bits) - 1
    filled = (words.astype("<i8") & ~(mask << low)) | ((numbers & mask) << low)
    return np.where(fits, filled, words).astype("<u4")


def _is_signed(numbers: Words, bits: int) -> Words:
    found: Words = (numbers >= -(1 << (bits - 1))) & (numbers < 1 << (bits - 1))
    return found


def _detour(it: Detour) -> tuple[int, ...] | None:
    """The address is formed in the register that the sum goes to, or in the one that the instruction has its address
    in, which gets its value back then, if it is not loaded."""
    words: list[int] = []
    base, results = it.word >> 5 & 31, _general_registers(it.word)
    if it.value is None or it.word & 0xFFC00000 == 0x91000000:
        is_sum = it.value is not None or it.word & 0x9F000000 == 0x10000000  # ADD, ADR
        is_formed = is_sum and it.word & 31 != 31 and _form(words, it.word & 31, it.address, it.start)
        return _left(words, it) if is_formed else None
    zeroed, fits = _step(np.array([it.word], "<u4"), np.zeros(1, "<i8"))
    is_load = _is_load(it.word)
    if not fits[0] or base == 31 or (base in results and not is_load):
        return None
    is_formed = _form(words, base, it.address, it.start)
    words.append(int(zeroed[0]))
    if base not in results:
        is_formed &= _form(words, base, it.value, it.start)
    return _left(words, it) if is_formed else None


def _is_pair(word: int) -> bool:
    return word & 0x3B800000 == 0x29000000


def _is_load(word: int) -> bool:
    """Whether an access loads: by a bit of its own where it is of two registers, else by two of which one is set."""
    return bool(word >> 22 & 1 if _is_pair(word) else word >> 22 & 3)


def _general_registers(word: int) -> set[int]:
    """The general registers that an access loads or stores (C4.1.4): not vector registers, nor what PRFM has there."""
    if word >> 26 & 1 or word & 0xFFC00000 == 0xF9800000 or word & 0xFFE00C00 == 0xF8800000:
        return set()
    return {word & 31, word >> 10 & 31} if _is_pair(word) else {word & 31}


def _form(words: list[int], register: int, address: int, start: int) -> bool:
    """ADRP and ADD."""
    here = start + 4 * len(words)
    distance = (address >> _PAGE_BITS << _PAGE_BITS) - (here >> _PAGE_BITS << _PAGE_BITS)
    page, fits = _page(np.array([0x90000000 | register], "<u4"), np.array([distance], "<i8"))
    low = 0x91000000 | (address & ((1 << _PAGE_BITS) - 1)) << 10 | register << 5 | register
    words += [int(page[0]), low]
    return bool(fits[0])


def _left(words: list[int], it: Detour) -> tuple[int, ...] | None:
    back = _leave(it.start + 4 * len(words), it.end)
    return None if back is None else (*words, back)


def _leave(start: int, end: int) -> int | None:
    """B"""
    if end - start not in AARCH64_JUMP.reach:
        return None
    return int(AARCH64_JUMP.encode(np.array([end - start], "<i8")).view("<u4")[0, 0])


AARCH64_PARTS = PartEncoding(
    page_size=1 << _PAGE_BITS,
    from_page=_page_of,
    reach=range(1 << _PAGE_BITS),
    page=_page,
    low=_low,
    whole=_whole,
    step=_step,
    detours=Detours(24, _detour, _leave),
)
