"""What is found out about members from code for AArch64, in the ways in which compilers write it there: assembled, so
that each is there for certain. Nothing is run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.code import Reader, functions
from liveso.code.use import How
from liveso.code.uses import uses
from liveso.elf import read_image
from tests.corpus.assembled import assembled_for_aarch64

Found = tuple[How, int, int, int | None]
"""What is done with a member of an object: its offset and width in bytes, and the constant."""

Done = Callable[[str], set[Found]]

FORMS: dict[str, tuple[str, set[Found]]] = {
    "a constant in two parts": (
        "mov w1, #9\n movk w1, #4, lsl #16\n str w1, [x0, #4]",
        {(How.STORE, 4, 4, 0x40009)},
    ),
    "a constant in parts with others between": (
        "mov x1, #1\n mov x2, #5\n movk x1, #4, lsl #32\n str x1, [x0, #8]",
        {(How.STORE, 8, 4, 1), (How.STORE, 12, 4, 4)},
    ),
    "a factor in two parts": (
        "ldr x1, [x0, #8]\n mov x2, #16960\n movk x2, #15, lsl #16\n mul x0, x1, x2",
        {(How.FACTOR, 8, 8, 1000000)},
    ),
    "a factor and a summand": (
        "ldp w1, w2, [x0]\n mov w3, #4099\n madd w0, w1, w3, w2",
        {(How.FACTOR, 0, 4, 4099)},
    ),
    "a factor made of shifts and sums": (
        "ldr x2, [x0, #8]\n lsl x0, x2, #5\n sub x0, x0, x2\n add x0, x2, x0, lsl #2\n lsl x0, x0, #3",
        {(How.FACTOR, 8, 8, 1000)},
    ),
    "a factor made by the operand of a comparison": (
        "ldr x2, [x0, #8]\n add x0, x2, x2, lsl #1\n cmp x1, x0, lsl #2\n cset x0, gt",
        {(How.FACTOR, 8, 8, 12)},
    ),
    "a comparison that selects a successor": (
        "ldr w1, [x0]\n cmp w1, #15\n csinc w0, wzr, w1, eq",
        {(How.EQUAL, 0, 4, 15)},
    ),
    "a count down that is compared": (
        "ldr x1, [x0, #16]\n subs x1, x1, #1\n str x1, [x0, #16]\n b.gt 1f\n mov x0, #0\n1:",
        {(How.ORDER, 16, 8, 1), (How.ADD, 16, 8, -1)},
    ),
    "a count around a call for a TLS descriptor": (
        "mov x9, x0\n ldr w4, [x9, #16]\n adrp x0, :tlsdesc:local\n ldr x5, [x0, #:tlsdesc_lo12:local]\n"
        " add x0, x0, :tlsdesc_lo12:local\n .tlsdesccall local\n blr x5\n add w4, w4, #1\n str w4, [x9, #16]\n"
        ' .section .tbss, "awT", %nobits\nlocal: .skip 8\n .text',
        {(How.ADD, 16, 4, 1)},
    ),
    "two counts at once": (
        "ldr d1, [x0, #16]\n movi v0.2s, #1\n add v0.2s, v1.2s, v0.2s\n str d0, [x0, #16]",
        {(How.ADD, 16, 4, 1), (How.ADD, 20, 4, 1)},
    ),
    "a mask and a count at once": (
        "mov w9, #1\n ldr q0, [x0, #8]\n dup v1.2d, x9\n mov v2.16b, v1.16b\n add v1.2d, v0.2d, v1.2d\n"
        " mov v2.d[0], x1\n orr v0.16b, v0.16b, v2.16b\n mov v0.d[1], v1.d[1]\n str q0, [x0, #8]",
        {(How.ADD, 16, 8, 1)},
    ),
}


@pytest.fixture
def done(tmp_path: Path) -> Done:
    def done(code: str) -> set[Found]:
        image = read_image(assembled_for_aarch64(tmp_path, code, "").read_bytes())
        start, end = functions(image)[0].item()
        found = uses(image, Reader(image).read(start, end))
        return {(it.how, it.spot.offset, it.spot.width, it.constant) for it in found if it.spot.kind == "object"}

    return done


@pytest.mark.parametrize("name", FORMS)
def test_each_way_to_write_it_says_the_same(done: Done, name: str) -> None:
    code, expected = FORMS[name]
    assert expected <= done(code)


def test_the_parts_of_a_factor_are_not_told(done: Done) -> None:
    found = done(FORMS["a factor made of shifts and sums"][0])
    assert {it[3] for it in found if it[0] in (How.FACTOR, How.SHIFT)} == {1000}


def test_how_far_an_operand_is_shifted_is_no_constant(done: Done) -> None:
    found = done("ldr w2, [x0]\n add x4, x1, w2, sxtw #3\n str x0, [x4, #16]\n sub w1, w1, w2, asr #31")
    assert {it[3] for it in found} == {None}
    assert 19 not in {it[1] for it in found}


def test_an_address_in_a_slot_is_no_number(tmp_path: Path) -> None:
    code = "adrp x3, :got:own\n ldr x3, [x3, :got_lo12:own]\n str x3, [x0, #8]"
    rest = "\t.hidden own\n\t.globl own\n\t.type own, %function\nown:\tret\n"
    image = read_image(assembled_for_aarch64(tmp_path, code, rest, "-Wl,-z,now", "-Wl,--no-relax").read_bytes())
    assert image.machine.relative in image.relocations["type"]
    found = [it for it in uses(image, Reader(image).read(*functions(image)[0].item())) if it.how is How.STORE]
    assert [(it.spot.offset, it.constant) for it in found] == [(8, None)]
