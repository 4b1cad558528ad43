"""RISC-V instructions are told in the words of AArch64, and what takes several of them as one."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from liveso.code.clobbers import Clobbers
from liveso.code.decode import decode
from liveso.code.form import Form, Operation
from liveso.code.functions import functions
from liveso.code.mask import NOWHERE
from liveso.code.riscv64 import forms, mask, stubs
from liveso.elf import Image, read_image
from liveso.machine import RISCV64

TOOLS = "riscv64-linux-gnu-"
START = 0x1000
Told = list[tuple[int, Form, int | None]]

GROUPS = {
    "an access": ("ld a0, 8(a1)", ["ldr a0, [a1]"]),
    "a number without its sign": ("lhu a0, 2(a1)", ["ldrh a0, [a1]"]),
    "a store of zero": ("sw zero, 4(a0)", ["str zero, [a0]"]),
    "a constant": ("li a0, 0x12345678", ["mov a0, N"]),
    "a large constant": ("li a0, 0x1234567800", ["mov a0, N"]),
    "a comparison with a constant": ("li a5, 5\n beq a4, a5, 1f\n1:", ["cmp a4, N", "b.eq "]),
    "the constant first": ("li a5, 6\n bltu a5, a0, 1f\n1:", ["cmp a0, N", "b.hi "]),
    "a comparison of two": ("blt a1, a4, 1f\n1:", ["cmp a1, a4", "b.lt "]),
    "with zero": ("blez a1, 1f\n1:", ["cmp a1, N", "b.le "]),
    "a branch by zero": ("beqz a5, 1f\n1:", ["cbz a5"]),
    "whether two differ": ("xor a0, a0, a1\n snez a0, a0", ["cmp a0, a1", "cset a0, ne"]),
    "whether it is ten": ("addi a0, a0, -10\n seqz a0, a0", ["cmp a0, N", "cset a0, eq"]),
    "whether it is not less": ("slti a0, a0, 10\n xori a0, a0, 1", ["cmp a0, N", "cset a0, ge"]),
    "whether it is less, for a branch": ("sltiu a5, a0, 9\n bnez a5, 1f\n1:", ["cmp a0, N", "b.lo "]),
    "16 bits": ("slli a0, a0, 48\n srli a0, a0, 48", ["uxth a0, a0"]),
    "16 bits with their sign": ("slliw a0, a1, 16\n sraiw a0, a0, 16", ["sxth a0, a1"]),
    "a field": ("slli a0, a0, 50\n srli a0, a0, 60", ["ubfx a0, a0, N"]),
    "a bit": ("andi a5, a1, 16\n bnez a5, 1f\n1:", ["tbnz a1"]),
    "a bit far up": ("slli a5, a1, 40\n bltz a5, 1f\n1:", ["tbnz a1"]),
    "two bits": ("andi a5, a1, 24\n bnez a5, 1f\n1:", ["tst a1, N", "b.ne "]),
    "a mask of more than 12 bits": ("li a5, 0xff00ff\n and a0, a0, a5", ["and a0, a0, N"]),
    "a large displacement": ("lui a5, 1\n add a5, a0, a5\n ld a0, 8(a5)", ["add a5, a0, N", "ldr a0, [a5]"]),
    "an element": ("slli a1, a1, 3\n add a1, a1, a0\n ld a0, 0(a1)", ["ldr a0, [a0, a1, lsl #3]"]),
    "two members at once": (
        "slli a2, a2, 32\n slli a1, a1, 32\n srli a1, a1, 32\n or a1, a1, a2\n sd a1, 8(a0)",
        ["str a1, [a0]", "str a2, [a0]"],
    ),
    "padding": ("nop\n c.nop\n unimp", []),
    "a sum of 32 bits with its sign": ("addiw a0, a0, 1\n sext.w a0, a0", ["add a0, a0, N"]),
    "a comparison of fractions": ("flt.d a5, fa0, fa1\n beqz a5, 1f\n1:", ["fcmp fa0, fa1", "b.pl "]),
}
NUMBERS = {
    "li a0, 0x12345678": 0x12345678,
    "li a0, -1": -1,
    "lui a0, 0x80000": -0x80000000,
    "li a0, 0x1234567800": 0x1234567800,
    "li a5, 5\n bne a5, a4, 1f\n1:": 5,
    "slli a0, a0, 50\n srli a0, a0, 60": 0b1111 << 10,
    "slli a5, a1, 40\n bgez a5, 1f\n1:": 1 << 23,
    "addi a0, a0, -10\n seqz a0, a0": 10,
    "slli a0, a0, 32\n srli a0, a0, 29": 3,
}


def assembled(folder: Path, text: str, extensions: str = "rv64gc") -> bytes:
    source, output, binary = folder / "code.s", folder / "code.o", folder / "code.bin"
    source.write_text(f" {text}\n")
    subprocess.run([f"{TOOLS}as", "-mno-relax", f"-march={extensions}", str(source), "-o", str(output)], check=True)
    subprocess.run([f"{TOOLS}objcopy", "-O", "binary", "-j", ".text", str(output), str(binary)], check=True)
    return binary.read_bytes()


def told(folder: Path, text: str, extensions: str = "rv64gc") -> Told:
    content = assembled(folder, text, extensions)
    return list(forms(content, decode(RISCV64, content, START), frozenset()))


@pytest.mark.parametrize(("text", "outlines"), GROUPS.values(), ids=GROUPS)
def test_what_takes_several_instructions_is_told_as_one(tmp_path: Path, text: str, outlines: list[str]) -> None:
    found = told(tmp_path, f"{text}\n ret")
    assert [form.outline for _at, form, _target in found] == [*outlines, "ret "]
    addresses = [at for at, _form, _target in found]
    assert addresses == sorted(set(addresses))


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_its_number_is_that_of_all_of_them(tmp_path: Path, text: str, number: int) -> None:
    assert told(tmp_path, f"{text}\n ret")[0][1].immediate == number


@pytest.mark.parametrize(
    "text", ["ld a0, 8(a1)", "li a0, 5", "mv a0, a1", "addi a0, a0, 3", "and a0, a0, a1", "sw a0, 4(a1)"]
)
def test_a_compressed_instruction_has_the_form_of_the_whole_one(tmp_path: Path, text: str) -> None:
    compressed, whole = (told(tmp_path, text, it) for it in ("rv64gc", "rv64g"))
    assert compressed[0][1] == whole[0][1]


def test_a_constant_stays_where_it_is_also_stored(tmp_path: Path) -> None:
    found = told(tmp_path, "li a5, 5\n beq a4, a5, 1f\n sw a5, 0(a0)\n1: ret")
    assert [form.outline for _at, form, _target in found] == ["mov a5, N", "cmp a4, N", "b.eq ", "str a5, [a0]", "ret "]


def test_a_counter_is_no_constant(tmp_path: Path) -> None:
    found = told(tmp_path, "li a5, 0\n1: addi a5, a5, 1\n bne a5, a4, 1b\n ret")
    outlines = ["mov a5, N", "add a5, a5, N", "cmp a5, a4", "b.ne ", "ret "]
    assert [form.outline for _at, form, _target in found] == outlines


def test_a_branch_to_what_is_left_out_leads_to_what_follows(tmp_path: Path) -> None:
    found = told(tmp_path, "beqz a0, 1f\n ret\n1: li a5, 5\n bne a4, a5, 2f\n2: ret")
    leading = found[0]
    assert leading[2] == next(at for at, form, _target in found if form.outline == "cmp a4, N")


def test_addresses_are_followed_from_their_page(tmp_path: Path) -> None:
    text = "auipc a5, 1\n addi a5, a5, -16\n lw a0, 4(a5)\n auipc a4, 2\n sd a0, 8(a4)\n ret"
    _page, formed, loaded, _other, stored, _end = told(tmp_path, text)
    assert formed[1].operation is Operation.ADDRESS
    assert (formed[2], loaded[2]) == (START + 0xFF0, START + 0xFF4)
    assert stored[2] == stored[0] - 4 + 0x2008


def test_far_and_near_calls_are_alike(tmp_path: Path) -> None:
    far = told(tmp_path, "auipc ra, 1\n jalr ra, 8(ra)\n auipc t1, 2\n jr 16(t1)")
    assert [(form.outline, form.operation, target) for _at, form, target in far] == [
        ("bl ", Operation.CALL, START + 0x1008),
        ("b ", Operation.JUMP, START + 8 + 0x2010),
    ]
    ((_at, near, target),) = told(tmp_path, "jal ra, .")
    assert (near, target) == (far[0][1], START)


def test_stubs_lead_to_their_slots(tmp_path: Path) -> None:
    content = assembled(tmp_path, "auipc t3, 2\n ld t3, -1896(t3)\n jalr t1, t3\n nop\n" * 2, "rv64g")
    found = list(stubs(decode(RISCV64, content, START)))
    assert found == [(START, START + 0x2000 - 1896), (START + 16, START + 16 + 0x2000 - 1896)]


def linked(folder: Path, text: str) -> Image:
    source, output = folder / "code.s", folder / "code.so"
    source.write_text(f".globl f\n.type f, %function\nf: .cfi_startproc\n{text}\n.cfi_endproc\n.size f, .-f\n")
    subprocess.run([f"{TOOLS}gcc", "-shared", "-nostdlib", "-mno-relax", str(source), "-o", str(output)], check=True)
    return read_image(output.read_bytes())


def test_what_the_linker_fills_in_is_left_out(tmp_path: Path) -> None:
    text = """
 c.li a3, 1
 lla a5, place
 lla a4, place
 lw a0, 8(a4)
 c.ld a2, 8(a1)
1: auipc a4, %pcrel_hi(place)
 sd a0, %pcrel_lo(1b)(a4)
 call g
 bnez a0, 1b
 ret
 .data
 .zero {}
place: .zero 64
 .text
g: ret"""
    images = [linked(tmp_path, text.format(size)) for size in (8, 4000)]
    found = []
    for image in images:
        section = next(it for it in image.sections if it.name == ".text")
        masked, fields = mask(image, section, functions(image))
        assert masked.tobytes() != image.section_bytes(section)
        found.append((masked.tobytes(), fields))
    assert found[0][0] == found[1][0]
    targets = [np.array(fields["target"][fields["target"] != NOWHERE]) for _masked, fields in found]
    assert set((targets[1] - targets[0]).tolist()) <= {0, 3992}
    assert len(targets[0]) >= 4


def test_the_registers_that_a_function_changes_are_told(tmp_path: Path) -> None:
    image = linked(tmp_path, " addi a5, a0, 1\n fadd.d fa1, fa0, fa0\n sd a5, 0(a1)\n c.mv t0, a5\n ret")
    start = int(functions(image)["start"][0])
    assert Clobbers(image).most(start) == frozenset({"a5", "fa1", "t0"})
