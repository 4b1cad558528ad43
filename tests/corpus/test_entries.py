"""Where a jump can be written at the entry of a function, and where not."""

import numpy as np
import pytest

from liveso.code import entries, function_names
from liveso.elf import read_image
from tests.corpus.libraries import Build


def asm(name: str, *lines: str, align: int = 16) -> str:
    body = "".join(f"{line}\\n" for line in lines)
    head = f".text\\n.balign {align}\\n.globl {name}\\n.type {name}, @function\\n{name}:\\n.cfi_startproc\\n"
    return f'asm("{head}{body}.cfi_endproc\\n.size {name}, .-{name}");'


FUNCTIONS = {
    "plain": (asm("plain", "push %rbx", "mov %rdi, %rbx", "mov %rbx, %rax", "pop %rbx", "ret"), 0),
    "marked": (asm("marked", "endbr64", "lea 1(%rdi), %rax", "ret"), 4),
    "short, with padding behind it": (asm("short_one", "xor %eax, %eax", "ret"), 0),
    "short, and the next one follows": (
        asm("no_room", "xor %eax, %eax", "ret") + asm("next_one", "ret", align=1),
        None,
    ),
    "a loop leads back": (asm("loop", "dec %rdi", "jnz loop", "mov %rsi, %rax", "ret"), None),
    "a loop leads behind its mark": (
        asm("marked_loop", "endbr64", "1: dec %rdi", "jnz 1b", "mov %rsi, %rax", "ret"),
        None,
    ),
    "a branch leads into it": (asm("into", "xor %eax, %eax", "1: inc %eax", "dec %rdi", "jnz 1b", "ret"), None),
    "a far branch leads into it": (
        asm("far", "xor %eax, %eax", "1: inc %eax", "dec %rdi", ".skip 300, 0x90", "jnz 1b", "ret"),
        None,
    ),
    "it calls itself": (asm("recursive", "dec %rdi", "jz 1f", "call recursive", "1: mov %rdi, %rax", "ret"), 0),
    "another one goes on with it": (
        asm("goal", "mov %rdi, %rax", "add $3, %rax", "ret") + asm("goes_on", "inc %rdi", "jmp goal"),
        0,
    ),
    "bytes that look like a branch": (asm("bytes_of", "mov $0xfffffbeb, %eax", "mov $0xfa75, %edx", "ret"), 0),
}
"""The text of a function, which is the first one of it, and how far behind its start a jump can be written."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_where_a_jump_can_be_written(build: Build, name: str) -> None:
    text, expected = FUNCTIONS[name]
    image = read_image(build(text + asm("end", ".skip 64, 0x90", "ret"), "-O0").read_bytes())
    start = function_names(image)[text.partition(".globl ")[2].partition("\\n")[0]]
    found = dict(entries(image, np.array([start], "<i8")).tolist())
    assert found == ({} if expected is None else {start: start + expected})


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_functions_of_compilers_have_room(build: Build, compiler: str, level: str) -> None:
    text = "".join(
        f"int value{it}; int read{it}(void) {{ return value{it}; }} void write{it}(int it) {{ value{it} = it + {it}; }}"
        for it in range(20)
    )
    image = read_image(build(text, level, "-fcf-protection=full", compiler=compiler).read_bytes())
    starts = [address for name, address in function_names(image).items() if name.startswith(("read", "write"))]
    found = dict(entries(image, np.array(starts, "<i8")).tolist())
    assert len(starts) == 40 and set(found) == set(starts)
    assert all(place - start == 4 for start, place in found.items())
