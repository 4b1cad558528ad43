"""Where an array begins whose element 0 code has the address of, as the use of its index shows."""

import subprocess
from pathlib import Path

import pytest

from liveso.code.decode import decode
from liveso.code.first_use import first_use
from liveso.machine import X86_64

pytestmark = pytest.mark.own_machine

LOOP = """
    lea table(%rip), %r12
    {before}
    mov ${start}, %ebx
1:  mov {access}, %rdi
    call visit
    {count}
    cmp $24, %rbx
    {end} 1b
    {after}
    ret
"""
USUAL = {"before": "", "start": "1", "access": "(%r12,%rbx,8)", "count": "add $1, %rbx", "end": "jne", "after": ""}


def first(folder: Path, **changes: str) -> int | None:
    """What is found in a loop that differs from the usual one."""
    source = ".globl f\nf:\n" + LOOP.format(**USUAL | changes)
    subprocess.run(["as", "-o", folder / "it.o", "-"], input=source, text=True, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "it.o", folder / "it"], check=True)
    return first_use(X86_64, decode(X86_64, (folder / "it").read_bytes(), 0), 0)


@pytest.mark.parametrize(
    ("changes", "offset"),
    [
        ({}, 8),
        ({"start": "3"}, 24),
        ({"access": "-8(%r12,%rbx,8)", "start": "3"}, 16),
        ({"access": "(%r12,%rbx,4)", "start": "5"}, 20),
        ({"count": "inc %rbx"}, 8),
        ({"before": "test %rdi, %rdi\n je 2f", "after": "2:"}, 8),
        ({"before": "push %rbx", "after": "pop %rbx\n pop %r12"}, 8),
    ],
    ids=["from one", "from three", "with a displacement", "of four bytes", "inc", "a way around the loop", "saved"],
)
def test_the_index_tells_where_the_array_begins(tmp_path: Path, changes: dict[str, str], offset: int) -> None:
    assert first(tmp_path, **changes) == offset


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "0"},
        {"count": "sub $1, %rbx"},
        {"count": "add %rsi, %rbx"},
        {"count": "mov %rax, %rbx"},
        {"count": "mov %r12, %rsi\n add $1, %rbx"},
        {"count": "mov (%r12), %rsi\n add $1, %rbx"},
        {"count": "lea table2(%rip), %r12\n add $1, %rbx"},
        {"before": "test %rdi, %rdi\n jne 1f"},
        {"after": "jmp *%rax"},
    ],
    ids=[
        "from zero",
        "counts down",
        "counts by what is not known",
        "is set again",
        "the address is handed on",
        "the first one is used",
        "the base is set again",
        "a way past the start",
        "a way that is not known",
    ],
)
def test_what_may_be_used_otherwise_tells_nothing(tmp_path: Path, changes: dict[str, str]) -> None:
    assert first(tmp_path, **changes) is None
