"""How RISC-V's instructions are given other addresses: what is put in is what the decoder finds there."""

import numpy as np
import pytest

from liveso.machine import RISCV64
from liveso.machine.riscv64_jump import RISCV64_JUMP
from liveso.machine.riscv64_parts import RISCV64_PARTS as PARTS
from liveso.machine.riscv64_words import code_words

ADDI, LD, FLD, SD, FSD, AUIPC, C_LD = (
    0x00010093,  # addi ra, sp, 0
    0x00013083,  # ld ra, 0(sp)
    0x00053507,  # fld fa0, 0(a0)
    0x00113023,  # sd ra, 0(sp)
    0x00A53027,  # fsd fa0, 0(a0)
    0x00000517,  # auipc a0, 0
    0x61086108,  # two of c.ld a0, 0(a0)
)


def _one(encode: object, word: int, number: int) -> tuple[int, bool]:
    words, fits = encode(np.array([word], "<u4"), np.array([number], "<i8"))  # type: ignore[operator]
    return int(words[0]), bool(fits[0])


def _number(word: int, at: int = 0) -> int:
    return int(code_words(word.to_bytes(4, "little"), at).number[0])


@pytest.mark.parametrize("word", [ADDI, LD, FLD, SD, FSD])
def test_the_rest_of_an_address_is_put_in_as_far_as_it_can_be(word: int) -> None:
    for number in (-2048, -1, 1, 33, 2047):
        after, fits = _one(PARTS.low, word, number)
        assert fits and _number(after) == number
        assert _one(PARTS.low, after, 0) == (word, True)
    for number in (-2049, 2048):
        assert _one(PARTS.low, word, number) == (word, False)


def test_a_page_counts_from_its_instruction() -> None:
    for distance in (0, 0x1000, -0x1000, 0x7FFFF000, -0x80000000):
        after, fits = _one(PARTS.page, AUIPC, distance)
        assert fits and _number(after, 0x12346) == 0x12346 + distance
    assert not _one(PARTS.page, AUIPC, 0x80000000)[1] and not _one(PARTS.page, AUIPC, 0x800)[1]


@pytest.mark.parametrize("word", [C_LD, 0x00B50533, 0x00000537])
def test_nothing_is_put_into_what_has_no_part_of_an_address(word: int) -> None:
    assert not _one(PARTS.low, word, 8)[1] and not _one(PARTS.whole, word, 8)[1]
    assert not _one(PARTS.page, word, 0x1000)[1]


@pytest.mark.parametrize("address", [0x20000, 0x207FF, 0x20800, 0x1F7FF, 0x12345678])
def test_from_the_page_for_an_address_the_rest_reaches_it(address: int) -> None:
    place = 0x10042
    page = PARTS.page_for(place, address)
    assert (page - place) % PARTS.page_size == 0 and address - page in PARTS.reach


@pytest.mark.parametrize("distance", [8, -8, 0x7FF, 0x800, 0xFFF, -0x801, 0x7FFFF000, -0x80000000, 0x7FFFF7FE])
def test_an_entry_jump_leads_where_it_is_to(distance: int) -> None:
    content = RISCV64_JUMP.encode(np.array([distance], "<i8"))[0].tobytes()
    assert len(content) == RISCV64_JUMP.size == RISCV64.jump_size
    assert RISCV64_JUMP.decode(content) == distance
    found = code_words(content, 0x40000000)
    assert found.target.tolist() == [-1, 0x40000000 + distance] and not found.goes_on[1]


def test_what_is_no_jump_leads_nowhere() -> None:
    assert RISCV64_JUMP.decode(bytes(8)) is None
    assert RISCV64_JUMP.decode(RISCV64_JUMP.encode(np.array([8], "<i8"))[0].tobytes()[4:] * 2) is None
