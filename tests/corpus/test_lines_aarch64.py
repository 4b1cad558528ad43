"""What AArch64 code may write in several ways without a member or variable having moved. Nothing is run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.code import Code, Reader, functions
from liveso.code.origin import Leads
from liveso.code.origins import Origins
from liveso.compare.blocks import line_at
from liveso.compare.choices import choices
from liveso.elf import read_image
from liveso.machine import AARCH64
from tests.corpus.assembled import assembled_for_aarch64

DATA = """
	.data
one:	.quad 1
two:	.quad 2
"""
Read = Callable[[str], Code]

SAME_PLACE = {
    "a sum before": ("ldr x2, [x0, #16]", "add x1, x0, #8\n ldr x2, [x1, #8]"),
    "a difference before": ("ldr x2, [x0, #-8]", "sub x1, x0, #16\n ldr x2, [x1, #8]"),
    "an index": ("add x1, x1, #1\n ldr x2, [x0, x1, lsl #3]", "add x0, x0, #8\n ldr x2, [x0, x1, lsl #3]"),
    "an access before that moves on": ("ldr x3, [x0]\n ldr x2, [x0, #16]", "ldr x3, [x0], #8\n ldr x2, [x0, #8]"),
    "one that moves on first": ("ldr x3, [x0, #8]\n ldr x2, [x0, #16]", "ldr x3, [x0, #8]!\n ldr x2, [x0, #8]"),
}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(code: str) -> Code:
        image = read_image(assembled_for_aarch64(tmp_path, code, DATA).read_bytes())
        return Reader(image).read(*functions(image)[0].item())

    return read


@pytest.mark.parametrize("name", SAME_PLACE)
def test_a_place_is_the_same_however_it_is_written(read: Read, name: str) -> None:
    codes = [read(it) for it in SAME_PLACE[name]]
    places = [line_at(code, len(code) - 2, AARCH64).accesses[len(code) - 2] for code in codes]
    assert places[0] == places[1]


def test_another_place_is_another_one(read: Read) -> None:
    codes = [read(it) for it in ("ldr x2, [x0, #16]", "add x1, x0, #16\n ldr x2, [x1, #8]")]
    places = [line_at(code, len(code) - 2, AARCH64).accesses[len(code) - 2] for code in codes]
    assert places[0] != places[1]


CHOICE = "adrp x1, one\n add x1, x1, :lo12:one\n adrp x2, two\n add x2, x2, :lo12:two\n cmp x0, #0\n csel x0, {}"


def test_a_choice_is_the_same_in_either_order(read: Read) -> None:
    one, other, opposite = (
        choices(read(CHOICE.format(it)), AARCH64)[0] for it in ("x1, x2, eq", "x2, x1, ne", "x2, x1, eq")
    )
    assert len(one) == 1
    assert one == other != opposite


def test_a_register_leads_to_what_it_was_computed_from(read: Read) -> None:
    code = read("mul x3, x1, x1\n add x4, x0, #8\n add x5, sp, #16\n ldr x6, [x4]\n ldr x6, [x5]")
    known = Origins(code, AARCH64)
    argument, frame = (known.base_at(code.addresses[index]) for index in (3, 4))
    assert argument is not None and (argument.leads, argument.number, argument.shift) == (Leads.ARGUMENT, 0, 8)
    assert frame is not None and frame.leads is Leads.FRAME


def test_what_a_function_gives_back_is_no_other_origin(read: Read) -> None:
    """A jump to an address in a register hides the ways: what all instructions agree on is left."""
    code = read(
        "stp x19, x20, [sp, #-16]!\n mov x19, x0\n cbz x1, 1f\n br x1\n1: ldr x2, [x19, #8]\n"
        " mov x1, x2\n ldp x19, x20, [sp], #16"
    )
    base = Origins(code, AARCH64).base_at(code.addresses[4])
    assert base is not None and (base.leads, base.number) == (Leads.ARGUMENT, 0)
