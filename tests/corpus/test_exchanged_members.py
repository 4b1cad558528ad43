"""Members that exchanged their places, where one function shows both and others one of them, as clang 19 compiles it:
what is around them was edited, so that no instruction is the other's."""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import Weight, judge

FUNCTION = """
	.globl {name}
	.type {name}, @function
{name}: .cfi_startproc
{code}
	ret
	.cfi_endproc
	.size {name}, .-{name}
"""
SAME = {f"same_{number}": f"lea {number}(%rdi,%rsi,{1 << number}), %rax\n add %rdx, %rax" for number in range(4)}
SETS = "mov %rsi, {key}(%rdi)\n mov %rdx, {value}(%rdi)\n incl 16(%rdi)"
CHECKS = "test %rdi, %rdi\n sete %al\n test %rsi, %rsi\n sete %cl\n or %al, %cl\n jne 1f\n"
IS = "push %rax\n mov {key}(%rdi), %rdi\n call strcmp@plt\n pop %rcx"
IS_CHECKED = (
    "xor %eax, %eax\n mov {key}(%rdi), %rdi\n test %rdi, %rdi\n je 1f\n push %rax\n call strcmp@plt\n pop %rcx\n1:"
)
LENGTH = "push %rbx\n mov %rdi, %rbx\n mov {value}(%rdi), %rdi\n call strlen@plt\n add 24(%rbx), %rax\n pop %rbx"
LENGTH_CHECKED = (
    "test %rdi, %rdi\n je 1f\n push %rbx\n mov {value}(%rdi), %rax\n mov %rdi, %rbx\n mov %rax, %rdi\n"
    " call strlen@plt\n mov %rax, %rcx\n mov 24(%rbx), %rax\n add %rcx, %rax\n pop %rbx\n1:"
)


def image(folder: Path, functions: dict[str, str], key: int, value: int) -> Image:
    source, path = folder / "code.s", folder / "library.so"
    codes = {name: code.format(key=key, value=value) for name, code in functions.items()} | SAME
    source.write_text("\t.text\n" + "".join(FUNCTION.format(name=name, code=code) for name, code in codes.items()))
    subprocess.run(["gcc", "-shared", "-s", str(source), "-o", str(path)], check=True)
    return read_image(path.read_bytes())


@pytest.mark.parametrize(
    ("others", "weight"),
    [
        ({"pair_is": (IS, IS_CHECKED)}, Weight.REFUSES),
        ({"pair_length": (LENGTH, LENGTH_CHECKED)}, Weight.REFUSES),
        ({"pair_is": (IS, IS_CHECKED), "pair_length": (LENGTH, LENGTH_CHECKED)}, Weight.REFUSES),
        ({}, Weight.NOTE),
    ],
    ids=["compared", "measured", "both", "nothing else"],
)
def test_a_function_that_uses_one_of_both_agrees(
    tmp_path: Path, others: dict[str, tuple[str, str]], weight: Weight
) -> None:
    old = {"pair_set": SETS} | {name: before for name, (before, _after) in others.items()}
    new = {"pair_set": CHECKS + SETS + "\n1:"} | {name: after for name, (_before, after) in others.items()}
    verdict = judge(image(tmp_path, old, 0, 8), image(tmp_path, new, 8, 0))
    (found,) = [it for it in verdict.findings if it.rule == "exchanged-members"]
    assert found.weight is weight


def test_a_function_that_goes_on_with_its_member_does_not_agree(tmp_path: Path) -> None:
    old = image(tmp_path, {"pair_set": SETS, "pair_is": IS}, 0, 8)
    kept = {"pair_set": CHECKS + SETS.format(key=8, value=0) + "\n1:", "pair_is": IS_CHECKED}
    (found,) = [it for it in judge(old, image(tmp_path, kept, 0, 8)).findings if it.rule == "exchanged-members"]
    assert found.weight is Weight.NOTE
