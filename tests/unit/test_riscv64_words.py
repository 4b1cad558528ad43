"""What the instructions of RISC-V code do with registers and addresses: words that an assembler made of text."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from liveso.code.decode import decode
from liveso.machine import RISCV64, CodeWords, Part
from liveso.machine.riscv64_words import adds_words, code_words, extended_words, instructions, reached_behind

START = 0x10000
COMPRESSED = """
    addi a0, sp, 64; addi a5, sp, 1020; fld fa0, 16(a1); lw a3, 4(a0); lw a5, 124(s1); ld a4, 248(a2)
    fsd fa5, 8(a0); sw a0, 64(a1); sd s0, 192(s1)
    nop; addi a0, a0, -32; addi t6, t6, 31; addiw s2, s2, -1; sext.w a0, a0; li a7, -32; li t0, 31; lui s3, 0xfffe1
    addi sp, sp, -512; addi sp, sp, 496; srli a0, a0, 63; srai s0, s0, 1; andi a5, a5, -1; andi a5, a5, 21
    sub a0, a0, a1; xor a5, a5, s0; or a2, a2, a3; and s1, s1, a4; subw a0, a0, a1; addw a4, a4, a5
    slli t1, t1, 48; fld ft0, 504(sp); lw ra, 252(sp); ld s11, 8(sp); jr t0; mv a0, s11; jalr a5; add t3, t3, s10
    fsd fs0, 256(sp); sw a0, 188(sp); sd ra, 504(sp); ret; ebreak
"""
"""Each kind of compressed instruction, but for branches."""


def _assembled(folder: Path, text: str, *options: str) -> bytes:
    source, result, content = folder / "code.s", folder / "code.o", folder / "code.bin"
    source.write_text("\n".join((".option norelax", *options, *text.split(";"))) + "\n")
    subprocess.run(["riscv64-linux-gnu-as", "-march=rv64g", "-o", str(result), str(source)], check=True)
    subprocess.run(["riscv64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", result, content], check=True)
    return content.read_bytes()


def test_a_compressed_instruction_is_read_as_the_whole_one_that_it_stands_for(tmp_path: Path) -> None:
    at, words, sizes = instructions(_assembled(tmp_path, COMPRESSED, ".option rvc"))
    _at, whole, whole_sizes = instructions(_assembled(tmp_path, COMPRESSED))
    assert set(sizes.tolist()) == {2} and set(whole_sizes.tolist()) == {4}
    assert at.tolist() == list(range(0, 2 * len(whole), 2))
    # some have two encodings: a copy is an addition in one, and a sum with nothing in the other
    for number, (one, other) in enumerate(zip(words.tolist(), whole.tolist(), strict=True)):
        it = code_words(one.to_bytes(4, "little"), 0), code_words(other.to_bytes(4, "little"), 0)
        seen = [(x.part[0], x.result[0], x.reads[0], x.writes[0], x.number[0], x.target[0]) for x in it]
        assert seen[0] == seen[1], (number, hex(one), hex(other))


BRANCHES = "beqz a0, 1f; bnez s1, 1f; j 1f; nop; 1: nop"


def test_a_compressed_branch_leads_where_its_whole_one_does(tmp_path: Path) -> None:
    content = _assembled(tmp_path, BRANCHES.replace("1f;", "1f\n;").replace("1:", "1:\n"), ".option rvc")
    found = code_words(content, START)
    assert found.size[:5].tolist() == [2, 2, 2, 2, 2]  # behind it, there may be padding
    assert found.target[:5].tolist() == [START + 8, START + 8, START + 8, -1, -1]
    assert found.goes_on[:5].tolist() == [True, True, False, True, True]
    assert found.numbers(found.target[:5]).tolist() == [4, 4, 4, -1, -1]


REGISTERS: tuple[tuple[str, list[int], list[int]], ...] = (
    ("add a1, a2, a3", [12, 13], [11]),
    ("sd a1, 8(a2)", [11, 12], []),
    ("ld a1, 8(a2)", [12], [11]),
    ("lui a1, 5", [], [11]),
    ("auipc a1, 5", [], [11]),
    ("beq a1, a2, .", [11, 12], []),
    ("jalr a1", [11], [1]),
    ("ret", [1], []),
    ("amoadd.d a0, a1, (a2)", [11, 12], [10]),
    ("lr.d a0, (a2)", [12], [10]),
    ("fld fa0, 8(a2)", [12], []),
    ("fsd fa0, 8(a2)", [12], []),
    ("fcvt.d.l fa0, a1", [11], []),
    ("fcvt.l.d a1, fa0", [], [11]),
    ("fmv.x.d a1, fa0", [], [11]),
    ("fmv.d.x fa0, a1", [11], []),
    ("feq.d a1, fa0, fa1", [], [11]),
    ("fadd.d fa0, fa1, fa2", [], []),
    ("fmadd.d fa0, fa1, fa2, fa3", [], []),
    ("csrr a1, cycle", [], [11]),
    ("ecall", list(range(10, 18)), [10]),
    ("fence", [], []),
)


def _numbers(bits: int) -> list[int]:
    return [it for it in range(32) if bits >> it & 1]


@pytest.mark.parametrize(("text", "reads", "writes"), REGISTERS, ids=[it[0] for it in REGISTERS])
def test_an_instruction_reads_and_writes_its_registers(
    tmp_path: Path, text: str, reads: list[int], writes: list[int]
) -> None:
    found = code_words(_assembled(tmp_path, text), START)
    # lr.d has no second register, and its field for it is x0
    assert (_numbers(int(found.reads[0])), _numbers(int(found.writes[0]))) == (reads, writes)


def _found(tmp_path: Path, text: str) -> CodeWords:
    return code_words(_assembled(tmp_path, text), START)


def test_the_parts_of_an_address(tmp_path: Path) -> None:
    text = "auipc a0, 2; addi a0, a0, -8; auipc a1, 0xfffff; sd a2, 16(a1); mv a3, a0; add a4, a3, a2"
    found = _found(tmp_path, text)
    assert found.part.tolist() == [Part.PAGE, Part.SUM, Part.PAGE, Part.ACCESS, Part.COPY, Part.INDEX]
    assert found.number.tolist() == [START + 0x2000, -8, START + 8 - 0x1000, 16, 0, 0]
    assert [found.base[it] for it in (1, 3, 4, 5)] == [10, 11, 10, 13]


def test_a_sum_with_nothing_is_the_low_part_of_an_address_only_behind_its_page(tmp_path: Path) -> None:
    found = _found(tmp_path, "auipc a0, 2; addi a0, a0, 0; addi a1, a0, 0")
    assert found.part.tolist() == [Part.PAGE, Part.SUM, Part.COPY]


def test_what_calls_and_branches_far_has_its_target_and_leaves_no_page(tmp_path: Path) -> None:
    found = _found(tmp_path, "auipc ra, 2; jalr -4(ra); auipc t1, 1; jr 8(t1); jr a5; jalr t1, t3; ret")
    assert found.target.tolist() == [-1, START + 0x2000 - 4, -1, START + 8 + 0x1000 + 8, -1, -1, -1]
    assert found.part.tolist()[:4] == [Part.NONE] * 4
    assert found.calls.tolist() == [False, True, False, False, False, False, False]
    assert found.jumps.tolist() == [False, False, False, False, True, True, False]
    assert found.goes_on.tolist() == [True, True, True, False, False, False, False]


def test_words_of_the_frame_are_told_by_stack_and_frame_pointer(tmp_path: Path) -> None:
    text = "sd s1, 24(sp); ld s1, -40(s0); lw a0, 8(sp); sw a0, -20(s0); fsd fa0, 8(sp); addi sp, sp, 32"
    found = _found(tmp_path, text)
    assert found.frame_base.tolist() == [2, 8, 2, 8, 2, 0]
    assert found.frame_offset.tolist()[:5] == [24, -40, 8, -20, 8]
    assert found.frame_size.tolist()[:5] == [8, 8, 4, 4, 8]
    assert found.first.tolist() == [9, 9, 255, 255, 255, 255]
    assert found.is_store.tolist() == [True, False, False, True, True, False]
    assert found.moves_stack.tolist() == [False] * 5 + [True]
    assert RISCV64.stack_number == 2 and RISCV64.frame_number == 8


@pytest.mark.parametrize(
    ("text", "compares"),
    [
        ("beq a0, a1, .", [True]),
        ("bltu a0, a1, .", [True]),
        ("bne a0, zero, .", [False]),
        ("sub a0, a0, a1; seqz a0, a0", [True, False]),
        ("xor a0, a0, a1; snez a0, a0", [True, False]),
        ("sub a0, a0, a1; add a0, a0, a2", [False, False]),
        ("sltu a0, a1, a2", [True]),
    ],
)
def test_comparisons_of_two_registers(tmp_path: Path, text: str, compares: list[bool]) -> None:
    assert _found(tmp_path, text).compares.tolist() == compares


def test_a_jump_table_is_told_by_what_is_loaded_and_added(tmp_path: Path) -> None:
    text = "addi a4, a4, 8; slli a5, a1, 2; add a5, a5, a4; lw a5, 0(a5); add a5, a5, a4; jr a5"
    content = _assembled(tmp_path, text)
    assert adds_words(content) and extended_words(content).tolist() == [12]
    assert not adds_words(_assembled(tmp_path, "addi a4, a4, 8; lw a5, 0(a4); add a5, a5, a3"))


def test_data_between_instructions_do_not_hide_those_behind_a_short_one() -> None:
    halves = np.array([0x0013, 0x0000, 0x4501, 0xFFFF, 0x4505, 0x8082], "<u2")
    found = code_words(halves.tobytes(), START)
    assert found.place.tolist() == [START, START + 4, START + 6, START + 10]
    assert found.is_known.tolist() == [True, True, False, True]


def test_code_is_read_on_behind_an_instruction_that_is_not_known() -> None:
    vector, zba, ret = 0x9E003057, 0x20C5A533, 0x8082  # vmv.v.i; sh1add a0, a1, a2
    content = vector.to_bytes(4, "little") + zba.to_bytes(4, "little") + ret.to_bytes(2, "little")
    assert [(address, size) for address, size, _name, _operands in decode(RISCV64, content, START)] == [
        (START, 4),
        (START + 4, 4),
        (START + 8, 2),
    ]
    assert len(decode(RISCV64, content[:8] + b"\x1f\x00\x00\x00", START)) == 2


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("addi a0, a0, 8; call f; lw a1, 0(a0)", 0),
        ("addi a0, a0, 8; call f; mv s1, a0; sd a1, 24(a0); call g; ld a2, 40(s1); ld a3, 80(a0)", 80),
        ("addi a0, a0, 8; call f; mv s1, a0; call g; ld a2, 40(s1); ld a3, 80(a1)", 40),
        ("ld a5, 8(a5); add a5, a5, tp; lw a4, 12(a5); li a5, 3; lw a4, 64(a5)", 12),
    ],
)
def test_how_far_code_gets_behind_a_thread_local_variable(tmp_path: Path, text: str, behind: int) -> None:
    content = _assembled(tmp_path, text.replace("call f", "auipc ra, 0; jalr 64(ra)").replace("call g", "jal ra, .+64"))
    assert reached_behind(content) == behind
