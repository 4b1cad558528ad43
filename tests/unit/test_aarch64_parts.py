"""How AArch64's instructions are given other addresses: what is put in is what the decoder finds there."""

import numpy as np
import pytest

from liveso.machine import AARCH64, Part
from liveso.machine.aarch64_jump import AARCH64_JUMP
from liveso.machine.aarch64_parts import AARCH64_PARTS as PARTS
from liveso.machine.aarch64_words import code_words
from liveso.machine.part_encoding import Detour

assert PARTS.detours is not None
DETOURS, PAGE = PARTS.detours, 4096
ADD, LDR, LDRB, LDR_Q, LDUR, LDP, LDP_D = (
    0x91000041,  # add x1, x2, #0
    0xF9400041,  # ldr x1, [x2]
    0x39400041,  # ldrb w1, [x2]
    0x3DC00041,  # ldr q1, [x2]
    0xF8400041,  # ldur x1, [x2]
    0xA9400C41,  # ldp x1, x3, [x2]
    0x6D400C41,  # ldp d1, d3, [x2]
)
STR, LDR_OWN, STR_OWN, PRFM, STR_D = (
    0xF9000041,  # str x1, [x2]
    0xF9400042,  # ldr x2, [x2]
    0xF9000042,  # str x2, [x2]
    0xF9800042,  # prfm pstl2keep, [x2]: what says so stands where others have a register
    0xFD000042,  # str d2, [x2]
)


def _one(encode: object, word: int, number: int) -> tuple[int, bool]:
    words, fits = encode(np.array([word], "<u4"), np.array([number], "<i8"))  # type: ignore[operator]
    return int(words[0]), bool(fits[0])


def _number(word: int, at: int = 0) -> int:
    return int(code_words(word.to_bytes(4, "little"), at).number[0])


@pytest.mark.parametrize(
    ("word", "most", "step"), [(ADD, 4095, 1), (LDR, 32760, 8), (LDRB, 4095, 1), (LDR_Q, 65520, 16)]
)
def test_the_rest_of_an_address_is_put_in_as_far_as_it_can_be(word: int, most: int, step: int) -> None:
    for number in (0, step, most // 2 // step * step, most):
        after, fits = _one(PARTS.low, word, number)
        assert fits and _number(after) == number
    for number in (-step, most + step, *([1] if step > 1 else [])):
        assert _one(PARTS.low, word, number) == (word, False)


@pytest.mark.parametrize(
    ("word", "numbers"),
    [
        (ADD, (0, 4095, -1, -4095)),
        (LDR, (0, 32760, 3, -256, 255)),
        (LDUR, (8, 32760, -256)),
        (LDRB, (4095, -256)),
        (LDP, (-512, 504)),
        (LDP_D, (-512, 0, 504)),
        (LDR_Q, (65520, -256, 7)),
    ],
)
def test_code_goes_on_from_an_address_also_in_ways_that_linkers_do_not_fill_in(
    word: int, numbers: tuple[int, ...]
) -> None:
    for number in numbers:
        after, fits = _one(PARTS.step, word, number)
        found = code_words(after.to_bytes(4, "little"), 0)
        assert fits and found.number[0] == number and found.base[0] == 2
        assert found.part[0] in (Part.SUM, Part.OTHER_SUM, Part.ACCESS, Part.OTHER_ACCESS)
        assert found.writes[0] == code_words(word.to_bytes(4, "little"), 0).writes[0]
    assert not _one(PARTS.step, word, 1 << 20)[1] and not _one(PARTS.step, word, -4096)[1]


def test_pages_and_whole_addresses() -> None:
    adrp, adr, literal = 0x90000003, 0x10000003, 0x58000003
    for distance in (0, PAGE, -PAGE, (1 << 32) - PAGE, -(1 << 32)):
        after, fits = _one(PARTS.page, adrp, distance)
        assert fits and _number(after, 1 << 40) == (1 << 40) + distance
    assert not _one(PARTS.page, adrp, 1 << 32)[1] and not _one(PARTS.page, adr, PAGE)[1]
    for word, distances in ((adr, (1, -1, (1 << 20) - 1, -(1 << 20))), (literal, (4, (1 << 20) - 4))):
        for distance in distances:
            after, fits = _one(PARTS.whole, word, distance)
            assert fits and _number(after, 1 << 40) == (1 << 40) + distance
        assert not _one(PARTS.whole, word, 1 << 20)[1]
    assert not _one(PARTS.whole, literal, 2)[1]


VALUE, ADDRESS, START, END = 0x5500_1234_5670, 0x5500_2345_6789, 0x5500_1300_0000, 0x5500_1200_0104


@pytest.mark.parametrize("word", [ADD, LDR, LDRB, LDR_Q, LDP, LDP_D, STR, LDR_OWN, PRFM, STR_D])
def test_a_detour_does_the_same_elsewhere_and_leaves_the_register_for_addresses_as_it_was(word: int) -> None:
    words = DETOURS.code(Detour(word, VALUE, ADDRESS, START, END))
    assert words is not None and 4 * len(words) <= DETOURS.size
    registers, accessed = {2: VALUE}, []
    found = code_words(np.array(words, "<u4").tobytes(), START)
    for at in range(len(words) - 1):
        part, base, result, number = (int(it[at]) for it in (found.part, found.base, found.result, found.number))
        if part == Part.PAGE:
            registers[result] = number
        elif part == Part.SUM:
            registers[result] = registers[base] + number
        else:
            accessed.append(registers[base] + number)
    if word == ADD:
        assert registers[1] == ADDRESS and not accessed and registers[2] == VALUE
    else:
        assert accessed == [ADDRESS] and (word == LDR_OWN or registers[2] == VALUE)
    assert found.target[-1] == END and not found.calls[-1]


def test_what_stores_the_register_for_addresses_gets_no_detour_nor_what_the_page_does_not_reach() -> None:
    assert DETOURS.code(Detour(STR_OWN, VALUE, ADDRESS, START, END)) is None
    assert DETOURS.code(Detour(LDR, VALUE, ADDRESS + (1 << 33), START, END)) is None
    assert DETOURS.code(Detour(LDR, VALUE, ADDRESS, START, END + (1 << 28))) is None
    assert DETOURS.code(Detour(0x58000003, None, ADDRESS, START, END)) is None  # a literal has no such register
    adr = DETOURS.code(Detour(0x10000003, None, ADDRESS, START, END))
    assert adr is not None and len(adr) == 3


def test_jumps_and_islands_tell_where_they_lead() -> None:
    for distance in (4, -4, (1 << 27) - 4, -(1 << 27)):
        assert distance in AARCH64_JUMP.reach
        content = AARCH64_JUMP.encode(np.array([distance], "<i8"))[0].tobytes()
        assert AARCH64_JUMP.decode(content) == distance
    assert 1 << 27 not in AARCH64_JUMP.reach
    assert AARCH64_JUMP.decode((0xD65F03C0).to_bytes(4, "little")) is None  # ret
    assert AARCH64_JUMP.island is not None and AARCH64_JUMP.led_on is not None
    words = AARCH64_JUMP.island(np.array([ADDRESS], "<u8"))[0].tolist()
    assert AARCH64_JUMP.led_on(words) == ADDRESS and AARCH64_JUMP.led_on([0, ADDRESS]) is None
    assert AARCH64.jump_size == 4
