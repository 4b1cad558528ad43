"""Numbers in AArch64 code that look like members' and are none. Where code reaches its own frame by way of an address,
that may be the compiler's doing, and a frame that is laid out otherwise is no change. Nothing is run."""

from pathlib import Path

import pytest

from liveso.code import Reader, functions
from liveso.compare.constant_parts import is_part_of_constant
from liveso.compare.edits import is_compared_number
from liveso.compare.own_frame import is_out_of_reach
from liveso.elf import Image, read_image
from liveso.machine import AARCH64
from liveso.verdict import judge
from tests.corpus.assembled import assembled_for_aarch64

OUT_OF_REACH = {
    "a pair at no multiple of its size": "add x1, sp, #4\n stp xzr, xzr, [x1, #64]",
    "a vector at no multiple of its size": "add x2, sp, #592\n mov x3, #1\n stur q0, [x2, #-40]",
    "a word too far away": "add x5, sp, #20, lsl #12\n add x5, x5, #16\n str x6, [x5, #104]",
    "an address that was copied": "add x1, sp, #4\n mov x2, x1\n stp xzr, xzr, [x2, #64]",
    "a distance in a register": "mov x2, #0x8003\n add x1, sp, x2\n ldrb w0, [x1, #264]",
}
WITHIN_REACH = {
    "an object in the frame": "add x1, sp, #16\n str x2, [x1, #8]",
    "what the stack pointer leads to": "stp xzr, xzr, [sp, #64]",
    "another object": "add x1, x0, #4\n stp xzr, xzr, [x1, #64]",
    "one of several": "add x1, sp, #4\n cbz x0, 1f\n add x1, x0, #4\n1: stp xzr, xzr, [x1, #64]",
    "an element": "add x1, sp, #20, lsl #12\n str x6, [x1, x2]",
    "a frame that was moved": "add x1, sp, #4\n sub sp, sp, #64\n stp xzr, xzr, [x1, #64]",
    "an index that is not known": "ldr x2, [x0]\n add x1, sp, x2\n ldrb w0, [x1, #264]",
    "what the frame holds": "add x1, sp, #4\n ldr x1, [sp, #8]\n stp xzr, xzr, [x1, #64]",
    "what a call left": "add x0, sp, #4\n bl f\n stp xzr, xzr, [x0, #64]",
}


def _image(folder: Path, code: str) -> Image:
    return read_image(assembled_for_aarch64(folder, code, "", "-s").read_bytes())


def _is_out_of_reach(folder: Path, code: str) -> bool:
    """Of the last instruction before the return."""
    image = _image(folder, code)
    read = Reader(image).read(*functions(image)[0].item())
    return is_out_of_reach(image, read, len(read) - 2, AARCH64)


@pytest.mark.parametrize("name", OUT_OF_REACH)
def test_a_word_of_the_frame_that_is_out_of_reach_is_told(tmp_path: Path, name: str) -> None:
    assert _is_out_of_reach(tmp_path, OUT_OF_REACH[name])


@pytest.mark.parametrize("name", WITHIN_REACH)
def test_anything_else_is_not(tmp_path: Path, name: str) -> None:
    assert not _is_out_of_reach(tmp_path, WITHIN_REACH[name])


INDEXES = {
    "a sum that the frame's address is added to": (
        "add x1, x3, #560\n add x3, sp, x1\n mov x1, #0\n str x1, [x3]",
        True,
    ),
    "one that replaces it": ("add x1, x3, #560\n add x1, sp, x1\n str xzr, [x1]", True),
    "one that is stored, too": ("add x1, x3, #560\n str x1, [x0]\n add x1, sp, x1\n str xzr, [x1]", False),
    "one that is compared": ("add x1, x3, #560\n add x2, sp, x1\n cmp x1, x4\n mov x1, #0", False),
    "one that a call may get": ("add x1, x3, #560\n add x2, sp, x1\n bl f", False),
    "one of another object": ("add x1, x3, #560\n add x1, x0, x1\n str xzr, [x1]", False),
}


@pytest.mark.parametrize("name", INDEXES)
def test_a_number_that_is_added_to_an_index_into_the_frame_is_told(tmp_path: Path, name: str) -> None:
    code, is_told = INDEXES[name]
    image = _image(tmp_path, code)
    assert is_out_of_reach(image, Reader(image).read(*functions(image)[0].item()), 0, AARCH64) is is_told


FUNCTION = (
    "sub sp, sp, #288\n add x1, {base}, #4\n ldr x3, [x0, #16]\n ldr x4, [x0, #24]\n stp xzr, xzr, [x1, #{place}]\n"
    " add x3, x3, x4\n str x3, [x0, #32]\n add sp, sp, #288"
)


@pytest.mark.parametrize(("base", "is_refused"), [("sp", False), ("x0", True)])
def test_a_frame_of_another_layout_is_no_change_and_an_object_of_another_one_is(
    tmp_path: Path, base: str, is_refused: bool
) -> None:
    images = [_image(tmp_path, FUNCTION.format(base=base, place=place)) for place in (112, 64)]
    found = {it.rule for it in judge(images[0], images[1]).refusals(None)}
    assert ("witness" in found) is is_refused and "during-call" not in found


NUMBERS = {
    "a sum that is compared with a number": ("add x1, x1, #24\n cmp x1, #510\n cset w0, hi", True),
    "one that is compared with a pointer": ("add x1, x1, #24\n cmp x1, x2\n cset w0, hi", False),
    "one that is compared with none": ("add x1, x1, #24\n cmp x1, #0\n cset w0, eq", False),
    "another one": ("add x1, x1, #24\n cmp x2, #510\n ldr x0, [x1]", False),
    "one that is accessed": ("add x1, x1, #24\n ldr x0, [x1]", False),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_sum_that_is_compared_with_a_small_number_is_no_address(tmp_path: Path, name: str) -> None:
    code, is_number = NUMBERS[name]
    image = _image(tmp_path, code)
    start, end = functions(image)[0].item()
    assert is_compared_number(Reader(image).read(start, end), start) is is_number


@pytest.mark.parametrize(("place", "is_constant"), [("text", True), ("variable", False)])
def test_a_part_of_an_address_is_told_where_the_page_was_kept(tmp_path: Path, place: str, is_constant: bool) -> None:
    code = (
        f"sub sp, sp, #48\n adrp x1, {place}\n str x1, [sp, #16]\n bl f\n cbz x0, 1f\n bl f\n1: ldr x2, [sp, #16]\n"
        f" add x5, x2, :lo12:{place}\n add x6, x0, #16\n add sp, sp, #48"
    )
    rest = '\t.section .rodata\n\t.skip 40\ntext:\t.asciz "text"\n\t.data\n\t.skip 40\nvariable:\t.quad 1\n'
    image = read_image(assembled_for_aarch64(tmp_path, code, rest, "-s").read_bytes())
    start, _end = functions(image)[0].item()
    assert is_part_of_constant(image, start + 7 * 4) is is_constant
    assert not is_part_of_constant(image, start + 8 * 4)
