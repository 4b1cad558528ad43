"""How RISC-V's instructions are given other addresses: what is put in is what the decoder finds there."""

import numpy as np
import pytest

from liveso.machine import RISCV64
from liveso.machine.part_encoding import Detour
from liveso.machine.riscv64_jump import RISCV64_JUMP
from liveso.machine.riscv64_parts import RISCV64_PARTS as PARTS
from liveso.machine.riscv64_words import code_words

ADDI, LD, FLD, SD, FSD, AUIPC, C_LD = (
    0x00110093,  # addi ra, sp, 1
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
        assert _one(PARTS.low, after, _number(word)) == (word, True)
    for number in (-2049, 2048):
        assert _one(PARTS.low, word, number) == (word, False)


def test_a_page_counts_from_its_instruction() -> None:
    for distance in (0, 0x1000, -0x1000, 0x7FFFF000, -0x80000000):
        after, fits = _one(PARTS.page, AUIPC, distance)
        assert fits and _number(after, 0x12346) == 0x12346 + distance
    assert not _one(PARTS.page, AUIPC, 0x80000000)[1] and not _one(PARTS.page, AUIPC, 0x800)[1]


C_LW, C_SW, C_SD, C_FLD, C_ADDI = 0x4108, 0xC10C, 0xE10C, 0x2108, 0x0505  # each with a0, and followed by another


@pytest.mark.parametrize(
    ("word", "numbers", "others"),
    [
        (C_LW, (0, 4, 64, 124), (128, 2, -4)),
        (C_SW, (0, 4, 64, 124), (128, 2, -4)),
        (C_LD & 0xFFFF, (0, 8, 64, 248), (256, 4, -8)),
        (C_SD, (0, 8, 128, 248), (256, 4)),
        (C_FLD, (0, 8, 192), (256, 12)),
        (C_ADDI, (-32, -1, 1, 31), (0, 32, -33)),
    ],
)
def test_a_compressed_instruction_goes_on_as_far_as_it_can(
    word: int, numbers: tuple[int, ...], others: tuple[int, ...]
) -> None:
    for number in numbers:
        after, fits = _one(PARTS.step, word | 0x6108_0000, number)
        assert fits and after >> 16 == 0x6108 and _number(after & 0xFFFF) == number
        before, now = (code_words((it & 0xFFFF).to_bytes(2, "little"), 0) for it in (word, after))
        assert now.base[0] == before.base[0] and now.is_store[0] == before.is_store[0]
    for number in others:
        assert _one(PARTS.step, word | 0x6108_0000, number) == (word | 0x6108_0000, False)


VALUE, ADDRESS, START, END = 0x40012344, 0x40055558, 0x40060000, 0x40030042


@pytest.mark.parametrize("word", [ADDI, LD, FLD, SD, FSD])
def test_a_detour_does_the_same_elsewhere_and_leaves_the_register_for_addresses_as_it_was(word: int) -> None:
    assert PARTS.detours
    words = PARTS.detours.code(Detour(word, VALUE, ADDRESS, START, END))
    assert words and 4 * len(words) <= PARTS.detours.size
    found = code_words(b"".join(it.to_bytes(4, "little") for it in words), START)
    assert found.number[0] + found.number[1] == ADDRESS and found.result[0] == found.base[1]
    assert found.target[-1] == END and not found.goes_on[-1] and not found.calls[-1]
    before = code_words(word.to_bytes(4, "little"), 0)
    assert found.part[1] == before.part[0] and found.is_store[1] == before.is_store[0]
    if len(words) == 5:
        assert found.number[2] + found.number[3] == VALUE and found.result[3] == before.base[0] == found.base[1]
    else:
        assert found.result[1] == before.result[0] == found.result[0]


def test_what_has_no_detour() -> None:
    assert PARTS.detours
    stores_own = 0x00213023  # sd sp, 0(sp)
    for it in (
        Detour(stores_own, VALUE, ADDRESS, START, END),
        Detour(C_LD, VALUE, ADDRESS, START, END),
        Detour(AUIPC, None, ADDRESS, START, END),
        Detour(LD, VALUE, ADDRESS + (1 << 33), START, END),
        Detour(LD, VALUE, ADDRESS, START, END + (1 << 21)),
    ):
        assert PARTS.detours.code(it) is None
    assert PARTS.detours.leave(START, START + (1 << 20)) is None


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
