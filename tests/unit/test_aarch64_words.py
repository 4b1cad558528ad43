"""What the words of AArch64 code do with registers and addresses: words that an assembler made, and their text."""

import numpy as np
import pytest

from liveso.machine import AARCH64, CodeWords, Part
from liveso.machine.aarch64_registers import without_registers
from liveso.machine.aarch64_words import code_words, leaves_highest

REGISTERS: tuple[tuple[int, list[int], list[int], str], ...] = (
    (0x8B030041, [2, 3], [1], "add x1, x2, x3"),
    (0x9B031041, [2, 3, 4], [1], "madd x1, x2, x3, x4"),
    (0xFA4610A0, [5, 6], [], "ccmp x5, x6, #0x0, ne"),
    (0x9A830041, [2, 3], [1], "csel x1, x2, x3, eq"),
    (0xF2800027, [7], [7], "movk x7, #0x1"),
    (0xA8C10861, [3], [1, 2, 3], "ldp x1, x2, [x3], #16"),
    (0xA9010BE1, [1, 2], [], "stp x1, x2, [sp, #16]"),
    (0xF8236841, [1, 2, 3], [], "str x1, [x2, x3]"),
    (0xF8408C41, [2], [1, 2], "ldr x1, [x2, #8]!"),
    (0xC85FFC41, [2], [1], "ldaxr x1, [x2]"),
    (0xC803FC41, [1, 2], [3], "stlxr w3, x1, [x2]"),
    (0xC8E1FC62, [1, 2, 3], [1], "casal x1, x2, [x3]"),
    (0xF8210062, [1, 3], [2], "ldadd x1, x2, [x3]"),
    (0xF8200441, [2], [1], "ldraa x1, [x2]"),
    (0xF9800440, [2], [], "prfm pldl1keep, [x2, #8]"),
    (0x9E660041, [], [1], "fmov x1, d2"),
    (0x9E670041, [2], [], "fmov d1, x2"),
    (0x0E043C41, [], [1], "mov w1, v2.s[0]"),
    (0x4CDF7041, [2], [2], "ld1 {v1.16b}, [x2], #16"),
    (0xD53BD041, [], [1], "mrs x1, tpidr_el0"),
    (0x34000001, [1], [], "cbz w1, ."),
    (0x37180001, [1], [], "tbnz w1, #3, ."),
    (0xD63F0060, [3], [], "blr x3"),
    (0xD4000001, [], [0], "svc #0x0"),
)
START = 0x10000


def _words(*words: int) -> CodeWords:
    return code_words(np.array(words, "<u4").tobytes(), START)


def _numbers(bits: int) -> list[int]:
    return [it for it in range(31) if bits >> it & 1]


@pytest.mark.parametrize(("word", "reads", "writes"), [it[:3] for it in REGISTERS], ids=[it[3] for it in REGISTERS])
def test_a_word_reads_and_writes_the_registers_of_its_instruction(
    word: int, reads: list[int], writes: list[int]
) -> None:
    found = _words(word)
    assert (_numbers(int(found.reads[0])), _numbers(int(found.writes[0]))) == (reads, writes)


DISTANCES: tuple[tuple[int, Part, int, int, int, str], ...] = (
    (0xD1004022, Part.OTHER_SUM, -16, 2, 0, "sub x2, x1, #16"),
    (0x91400422, Part.OTHER_SUM, 4096, 2, 0, "add x2, x1, #1, lsl #12"),
    (0xF85F8022, Part.OTHER_ACCESS, -8, 2, 0, "ldur x2, [x1, #-8]"),
    (0xD9408022, Part.OTHER_ACCESS, 8, 2, 0, "ldapur x2, [x1, #8]"),
    (0xA9410C22, Part.OTHER_ACCESS, 16, 2, 8, "ldp x2, x3, [x1, #16]"),
    (0x29020C22, Part.OTHER_ACCESS, 16, 2, 4, "stp w2, w3, [x1, #16]"),
    (0xAD010C22, Part.OTHER_ACCESS, 32, 2, 16, "stp q2, q3, [x1, #32]"),
    (0xF8410C22, Part.ACCESS_AND_SUM, 16, 1, 0, "ldr x2, [x1, #16]!"),
    (0xF8410422, Part.ACCESS_THEN_SUM, 16, 1, 0, "ldr x2, [x1], #16"),
    (0xA8C10C22, Part.ACCESS_THEN_SUM, 16, 1, 8, "ldp x2, x3, [x1], #16"),
    (0x8B030C22, Part.INDEX, 0, 2, 0, "add x2, x1, x3, lsl #3"),
    (0x8B23CC22, Part.INDEX, 0, 2, 0, "add x2, x1, w3, sxtw #3"),
)


@pytest.mark.parametrize(
    ("word", "part", "number", "result", "second"), [it[:5] for it in DISTANCES], ids=[it[5] for it in DISTANCES]
)
def test_a_word_goes_on_from_an_address(word: int, part: Part, number: int, result: int, second: int) -> None:
    found = _words(word)
    assert (found.part[0], found.base[0], found.result[0]) == (part, 1, result)
    assert part is Part.INDEX or (found.number[0], found.second_at[0]) == (number, second)


def test_parts_of_addresses_count_from_their_places_and_in_bytes() -> None:
    page, whole, added, loaded, vector = 0xB0000008, 0x10000048, 0x91004100, 0xF9400901, 0x3DC00500
    found = _words(page, whole, added, loaded, vector)  # adrp x8; adr x8, +8; add x0, x8; ldr x1, [x8]; ldr q0, [x8]
    assert found.part.tolist() == [Part.PAGE, Part.WHOLE, Part.SUM, Part.ACCESS, Part.ACCESS]
    assert found.number.tolist() == [START + 0x1000, START + 4 + 8, 16, 16, 16]
    assert found.base[2:].tolist() == [8, 8, 8]


@pytest.mark.parametrize(
    ("word", "target", "goes_on", "calls", "jumps"),
    [
        (0x94000002, START + 8, True, True, False),  # bl
        (0x17FFFFFF, START - 4, False, False, False),  # b
        (0x54000040, START + 8, True, False, False),  # b.eq
        (0xD61F0200, -1, False, False, True),  # br x16
        (0xD63F0200, -1, True, True, False),  # blr x16
        (0xD65F03C0, -1, False, False, False),  # ret
        (0xD4200020, -1, False, False, False),  # brk
    ],
)
def test_control_goes_on_as_branches_say(word: int, target: int, goes_on: bool, calls: bool, jumps: bool) -> None:
    found = _words(word)
    assert (int(found.target[0]), bool(found.goes_on[0]), bool(found.calls[0]), bool(found.jumps[0])) == (
        target,
        goes_on,
        calls,
        jumps,
    )


def test_only_one_sequence_calls_for_a_descriptor() -> None:
    load, argument, call = 0xF9400802, 0x91004000, 0xD63F0040  # ldr x2, [x0, #16]; add x0, x0, #16; blr x2
    other_argument, other_call = 0x91008000, 0xD63F0060
    assert _words(load, argument, call).asks_descriptor.tolist() == [False, False, True]
    assert not _words(load, other_argument, call).asks_descriptor.any()
    assert not _words(load, argument, other_call).asks_descriptor.any()


def test_damaged_code_is_read_to_its_end() -> None:
    assert AARCH64.code_words is not None
    for size in (0, 1, 4, 7, 8):
        assert len(AARCH64.code_words(b"\xff" * size, START).part) == size // 4


def test_a_number_in_a_register_is_told_by_both_of_its_highest_parts() -> None:
    high, low, nop = 0xF2EA8A60, 0xF2CAAA40, 0xD503201F  # movk x0, #0x5453, lsl #48; movk x0, #0x5552, lsl #32
    half = frozenset({0x54535552})
    for words, is_left in (
        ((low, high), True),
        ((high, nop, low), True),
        ((high, nop), False),
        ((low, *[nop] * 20, high), False),
    ):
        assert leaves_highest(np.array(words, "<u4").tobytes(), half) == is_left


ALIKE = (
    (0xF9400801, 0xF9400A62, "ldr x1, [x0, #16]", "ldr x2, [x19, #16]"),
    (0xA9010BE1, 0xA90153F3, "stp x1, x2, [sp, #16]", "stp x19, x20, [sp, #16]"),
    (0xF8236841, 0xF8256A67, "str x1, [x2, x3]", "str x7, [x19, x5]"),
    (0x8B030041, 0x8B0500E6, "add x1, x2, x3", "add x6, x7, x5"),
    (0x91004001, 0x91004273, "add x1, x0, #16", "add x19, x19, #16"),
    (0x52800782, 0x52800780, "mov w2, #60", "mov w0, #60"),
    (0x35000041, 0x35000053, "cbnz w1, .+8", "cbnz w19, .+8"),
    (0x1E602801, 0x1E602863, "fadd d1, d0, d0", "fadd d3, d3, d0"),
)
OTHER = (
    (0xF9400801, 0xF9400C01, "ldr x1, [x0, #16]", "ldr x1, [x0, #24]"),
    (0xF9400801, 0xF9000801, "ldr x1, [x0, #16]", "str x1, [x0, #16]"),
    (0xF9400801, 0xB9401001, "ldr x1, [x0, #16]", "ldr w1, [x0, #16]"),
    (0x52800782, 0x52800802, "mov w2, #60", "mov w2, #64"),
    (0x52800782, 0x528007A2, "mov w2, #60", "mov w2, #61"),
    (0x91004001, 0xD1004001, "add x1, x0, #16", "sub x1, x0, #16"),
    (0x54000041, 0x54000040, "b.ne .+8", "b.eq .+8"),
)


@pytest.mark.parametrize(
    ("one", "other", "is_alike"), [(*it[:2], True) for it in ALIKE] + [(*it[:2], False) for it in OTHER]
)
def test_what_a_word_does_is_told_without_its_registers(one: int, other: int, is_alike: bool) -> None:
    found = without_registers(np.array([one, other], "<u4"))
    assert (found[0] == found[1]) == is_alike
