"""Vector instructions that are newer than the decoder: code goes on behind them, and what they refer to is found."""

import re
import subprocess
from pathlib import Path

import pytest

from liveso.code import Reader, data_references, functions
from liveso.elf import read_image
from liveso.machine.x86_64_vectors import vector_instruction

INSTRUCTIONS = {
    "AVX-IFMA": [
        "{vex} vpmadd52luq (%rsi), %ymm1, %ymm2",
        "{vex} vpmadd52huq 0x20(%rsi,%rdx,8), %ymm1, %ymm12",
        "{vex} vpmadd52luq state(%rip), %ymm1, %ymm2",
        "{vex} vpmadd52luq 0x12345(%rsp), %ymm1, %ymm2",
        "{vex} vpmadd52luq %ymm9, %ymm10, %ymm11",
    ],
    "AVX-VNNI-INT8": ["vpdpbssd %ymm1, %ymm2, %ymm3", "vpdpbuud state(%rip), %xmm2, %xmm13"],
    "AVX-NE-CONVERT": ["vbcstnebf162ps 6(%rdi), %ymm1", "vcvtneeph2ps state+16(%rip), %ymm1"],
    "AVX512-FP16": [
        "vaddph %zmm1, %zmm2, %zmm3",
        "vaddph 64(%rsi), %zmm2, %zmm3{%k1}",
        "vmulph state(%rip), %zmm2, %zmm18",
        "vcmpph $3, 0x1000(%rsi,%rdi,4), %zmm2, %k2",
        "vfmadd132ph (,%rdi,4), %zmm2, %zmm3",
    ],
}


def library(folder: Path, lines: list[str]) -> Path:
    text = "\n".join(f"\t{line}\n\tmovq state+8(%rip), %rax" for line in lines)
    source, output = folder / "code.s", folder / "libcode.so"
    source.write_text(
        "\t.text\n\t.globl run\n\t.type run, @function\nrun:\n\t.cfi_startproc\n\tendbr64\n"
        f"{text}\n\tret\n\t.cfi_endproc\n"
        "\t.size run, .-run\n\t.data\n\t.p2align 6\nstate:\n\t.zero 64\n\t.section .note.GNU-stack\n"
    )
    subprocess.run(["gcc", "-shared", "-nostdlib", str(source), "-o", str(output)], check=True)
    return output


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_no_reference_behind_them_is_lost(tmp_path: Path, name: str) -> None:
    lines = INSTRUCTIONS[name]
    image = read_image(library(tmp_path, lines).read_bytes())
    found = data_references(image)
    assert not found.undecoded and not found.doubtful
    state = found.table["target"].min() // 64 * 64
    expected = [target for line in lines for target in (*_referred(line), 8)]
    assert (found.table["target"] - state).astype(int).tolist() == expected
    (function,) = functions(image).tolist()
    assert Reader(image).read(*function).forms[-1].outline.startswith("ret")


def _referred(line: str) -> list[int]:
    found = re.search(r"state(?:\+(\d+))?\(%rip\)", line)
    return [int(found[1] or 0)] if found else []


def test_they_are_as_long_as_an_assembler_makes_them(tmp_path: Path) -> None:
    lines = [line for some in INSTRUCTIONS.values() for line in some]
    path = library(tmp_path, lines)
    image = read_image(path.read_bytes())
    listed = subprocess.run(
        ["objdump", "-d", "--wide", "--no-addresses", "--disassemble=run", str(path)], check=True, capture_output=True
    ).stdout.decode()
    sizes = [len(row.split("\t")[1].split()) for row in listed.splitlines() if "\t" in row]
    (start, end) = functions(image)[0].item()
    code, at, checked = image.bytes_at(start, end - start), 0, 0
    for size in sizes:
        known = vector_instruction(code, at)
        if known is not None:
            assert known[0] == size, code[at : at + size].hex()
            checked += 1
        at += size
    assert checked == len(lines)


@pytest.mark.parametrize("code", ["c4e275b4", "c4e275b484", "62f5", "c5", "c4e27af6c1", "c4e279e0c1", "4889c0"])
def test_others_and_parts_of_them_stay_unknown(code: str) -> None:
    assert vector_instruction(bytes.fromhex(code), 0) is None
