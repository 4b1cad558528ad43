"""Code that reaches the same member, variable or constant by other instructions, and code that only looks like it.

The functions in question are written in assembly, so that what differs is what the test is about; gcc and clang put
them into a library, which is stripped.
"""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import judge

COMPILERS = ("gcc", "clang")

LIBRARY = """
struct item {{ long a, b, c, d; int e, f; float g[8]; }};
__attribute__((visibility("hidden"))) int first[8], second[8];
__attribute__((visibility("hidden"))) const float table[16] = {{1, 2, 3}}, other_table[16] = {{4, 5, 6}};
__attribute__((visibility("hidden"))) const char text[] = "twenty letters of it", longer[] = "four and twenty of them.";
__attribute__((visibility("hidden"))) struct item *kept;
void keep(struct item *it) {{ kept = it; }}
int helper(void *it) {{ return it != 0; }}
__attribute__((visibility("hidden"), noinline)) long own_helper(long **it)
{{ if (!*it) return 0; long n = --**it; *it = 0; return helper(it) * 3 + n; }}
long sum(struct item *it) {{ long n = it->a * 3 + it->b * 5 + it->c * 7 + it->d * 11; return n + it->e + it->f; }}
float floats(struct item *it) {{ float n = 0; for (int i = 0; i < 8; i++) n += it->g[i] * table[i]; return n; }}
asm(".text\\n"
{0}
);
"""


FUNCTION = """
.globl {0}
.type {0}, @function
{0}:
.cfi_startproc
{1}
.cfi_endproc
.size {0}, . - {0}
"""


def build(file: Path, compiler: str, body: str, other: str = "") -> Image:
    """A library with a function of that body, and another of the same, or of the `other` one."""

    def function(name: str, text: str) -> str:
        return FUNCTION.format(name, "\n".join(it.strip() for it in text.replace(";", "\n").splitlines() if it.strip()))

    code = function("subject", body) + function("other_subject", other or body)
    flags = ("-O2", "-w", "-shared", "-fPIC", "-s", "-Wl,-soname,libsubject.so", "-x", "c", "-")
    text = LIBRARY.format("\n".join(f'"{line}\\n"' for line in code.splitlines()))
    subprocess.run([compiler, "-o", file, *flags], input=text, text=True, check=True)
    return read_image(file.read_bytes())


def refusals(folder: Path, compiler: str, old: str, new: str) -> list[str]:
    versions = build(folder / "old.so", compiler, old), build(folder / "new.so", compiler, new)
    return [it.text for it in judge(*versions).refusals(None)]


CHOICE = """
mov 8(%rdi), %eax; lea {0}(%rip), %rdx; {2} %eax, %eax; lea {1}(%rip), %rax; {3} %rdx, %rax; ret
"""
INDEXED = "movslq %esi, %rax; and $-2, %rax; {0}; movl $0, {1}(%rdi, %rax, {2}); ret"
ADVANCED = "mov %rsi, %rdx; {0}, %rdi; mov {1}(%rdi), %rax; add %rdx, %rax; ret"
CONSTANT = "mov %edi, %ecx; {0}; cvtss2sd {1}(%rax), %xmm0; addsd %xmm0, %xmm1; cvtss2sd 36(%rax), %xmm0; ret"
TAKEN = """
push %rbx; mov %rdi, %rbx; cmpq $0, 8(%rsi); jne 1f; mov {0}(%rbx), %rdi; call helper; mov %rax, {1}(%rbx); pop %rbx;
ret; 1: mov {2}(%{3}), %rax; mov %rax, (%rbx); pop %rbx; ret
"""
CLEARED = """
push %r12; mov 72(%rdi), %r12; mov %rsi, %rdi; call helper; mov {0}(%r12), %rcx; add %rcx, %rax; movq $0, {1}(%r12);
pop %r12; ret
"""
STORED = "mov %rsi, %rcx; {0}; {1}; {2}; add $48, %rdi; cmp %rdi, %rcx; jne 1b; ret"
REPEATED = "xor %edx, %edx;" + "".join(
    f"{{0}} {{{at}}}(%rdi), %{{5}}; {{6}} %{{5}}, %{{7}}; rol $3, %rdx; add $5, %rdx;" for at in (1, 2, 3, 4)
)
READ = "mov {0}, {1}; mov 8(%rdi), %rcx; imul %rcx, %rax; mov %rax, %rdx; {2}; add %rdx, %rax; ret"
PUSHED = """
push %rbp; push %rbx; mov %rdi, %rbp; mov %esi, %ebx; {0}; cmp ${1}, %rax; jg 1f; mov ${2}, %esi; call helper;
1: mov 16(%rbp), %rax; movslq %ebx, %rbx; lea {3}(%rax, %rbx, 8), %rax; mov %rax, (%rbp); pop %rbx; pop %rbp; ret
"""
ROOM = "mov 8(%rdi), %rax; sub (%rdi), %rax"
COPIED = "mov {0}(%rip), %rdx; mov %rdx, {1}(%rdi); mov {0} + {2}(%rip), %rdx; mov %rdx, {3}(%rdi); ret"

CALLED = "{0} {1}(%rbx), %rdi; call {2};"
INLINED = "cmpq $0, {0}(%rbx); je {1}f; mov {0}(%rbx), %rax; subq $1, (%rax); {1}:"
HELD = "push %rbx; mov {0}, %rbx; {1} {2} {3} pop %rbx; ret"


def held(*parts: str, by: str = "%rdi") -> str:
    """A function that does something with members of an object, one after another."""
    return HELD.format(by, *parts)


def called(member: int, helper: str = "own_helper", by: str = "lea") -> str:
    return CALLED.format(by, member, helper)


def inlined(member: int) -> str:
    return INLINED.format(member, member + 1)


HARMLESS = {
    "a helper is inlined for another member": (
        held(inlined(8), called(16), inlined(24)),
        held(called(8), inlined(16), inlined(24)),
    ),
    "a helper is inlined for another member, behind a pointer": (
        held(inlined(24), called(40), inlined(56), by="8(%rsi)"),
        held(called(24), inlined(40), inlined(56), by="8(%rsi)"),
    ),
    "a helper of another library is inlined for another member": (
        held(inlined(32), called(24, "helper"), inlined(8)),
        held(called(32, "helper"), inlined(24), inlined(8)),
    ),
    "a helper that is given the value is inlined for another member": (
        held(inlined(8), called(16, by="mov"), inlined(24)),
        held(called(8, by="mov"), inlined(16), inlined(24)),
    ),
    "the condition the other way round": (
        CHOICE.format("first", "second", "test", "cmove"),
        CHOICE.format("second", "first", "test", "cmovne"),
    ),
    "a larger and a smaller": (
        CHOICE.format("first", "second", "cmp", "cmova"),
        CHOICE.format("second", "first", "cmp", "cmovbe"),
    ),
    "the other one is kept": (
        CHOICE.format("first + 4", "second + 4", "test", "cmovs"),
        CHOICE.format("second + 4", "first + 4", "test", "cmovns"),
    ),
    "an index takes a float over": (
        INDEXED.format("nop", 4, 4),
        INDEXED.format("add $1, %rax", 0, 4),
    ),
    "an index takes a double over": (
        INDEXED.format("sub $1, %rax", 16, 8),
        INDEXED.format("add $1, %rax", 0, 8),
    ),
    "the base takes it over": (ADVANCED.format("add $8", 16), ADVANCED.format("add $16", 8)),
    "a constant's middle": (
        CONSTANT.format("lea table(%rip), %rax", 8),
        CONSTANT.format("lea table + 8(%rip), %rax", 0),
    ),
    "one of two constants": (
        CONSTANT.format("lea table(%rip), %rax; lea other_table(%rip), %rdx; test %edi, %edi; cmove %rdx, %rax", 8),
        CONSTANT.format("lea table(%rip), %rax; lea other_table(%rip), %rdx; test %edi, %edi; cmove %rdx, %rax", 4),
    ),
    "a constant at an index": (
        CONSTANT.format("lea table(%rip), %rax; shl $2, %rcx; add %rcx, %rax", 12),
        CONSTANT.format("lea table(%rip), %rax; shl $2, %rcx; add %rcx, %rax", 16),
    ),
    "another member that is used as well": (TAKEN.format(8, 16, 8, "rsi"), TAKEN.format(16, 16, 8, "rsi")),
    "another member that is cleared as well": (CLEARED.format(8, 24), CLEARED.format(24, 24)),
    "a member that is used elsewhere, too": (TAKEN.format(8, 24, 8, "rbx"), TAKEN.format(16, 24, 8, "rbx")),
    "two stores made one": (
        STORED.format("1: movl $0, 8(%rdi)", "movl $0, 12(%rdi)", "movq $0, 40(%rdi)"),
        STORED.format("1: movq $0, 8(%rdi)", "movq $0, 40(%rdi)", "nop"),
    ),
    "two stores made one, behind a step": (
        STORED.format("1: movl $7, (%rdi)", "add $48, %rdi", "movl $0, -44(%rdi); sub $48, %rdi"),
        STORED.format("1: movq $7, (%rdi)", "nop", "nop"),
    ),
    "one store made two": (
        STORED.format("1: movq $3, 8(%rdi)", "movl $1, 32(%rdi)", "nop"),
        STORED.format("1: movl $3, 8(%rdi)", "movl $0, 12(%rdi)", "movl $1, 32(%rdi)"),
    ),
    "other repetitions": (
        REPEATED.format("mov", 8, 16, 24, 16, "rax", "add", "rdx") + "ret",
        REPEATED.format("mov", 8, 16, 24, 24, "rax", "add", "rdx") + "xor %ecx, %ecx; ret",
    ),
    "other repetitions of a sum": (
        REPEATED.format("movsd", 8, 16, 24, 24, "xmm1", "addsd", "xmm0") + "ret",
        REPEATED.format("movsd", 8, 16, 24, 8, "xmm1", "addsd", "xmm0") + "xor %ecx, %ecx; ret",
    ),
    "other repetitions of a product": (
        REPEATED.format("mov", 24, 8, 16, 8, "rax", "imul", "rdx") + "ret",
        REPEATED.format("mov", 24, 8, 16, 16, "rax", "imul", "rdx") + "mov %rdx, %rcx; ret",
    ),
    "half of a member, and all of it": (
        READ.format("16(%rdi)", "%rax", "nop"),
        READ.format("16(%rdi)", "%eax", "add 16(%rdi), %rdx"),
    ),
    "half of a member, and all of it in a register": (
        READ.format("24(%rdi)", "%rax", "nop"),
        READ.format("24(%rdi)", "%eax", "mov 24(%rdi), %rsi; imul %rsi, %rdx"),
    ),
    "half of a member, and all of it compared": (
        READ.format("(%rdi)", "%rax", "nop"),
        READ.format("(%rdi)", "%eax", "xor (%rdi), %rdx"),
    ),
    "more that is pushed": (PUSHED.format(ROOM, 496, 63, 496), PUSHED.format(ROOM, 680, 86, 680)),
    "more that is pushed, and one left over": (PUSHED.format(ROOM, 504, 63, 496), PUSHED.format(ROOM, 688, 86, 680)),
    "less that is pushed": (
        PUSHED.format("mov (%rdi), %rdx; mov 32(%rdi), %rax; sub %rdx, %rax", 160, 20, 152),
        PUSHED.format("mov (%rdi), %rdx; mov 32(%rdi), %rax; sub %rdx, %rax", 80, 10, 72),
    ),
    "the end of a longer text": (COPIED.format("text", 0, 12, 12), COPIED.format("longer", 0, 16, 16)),
    "the end of a shorter text": (COPIED.format("longer", 0, 16, 16), COPIED.format("text", 0, 12, 12)),
    "the end of a text in place of the middle": (
        COPIED.format("text + 4", 0, 8, 8),
        COPIED.format("longer + 4", 0, 12, 12),
    ),
}
"""The same places, reached by other instructions: each was refused where only displacements and widths were held
against each other."""

HARMFUL = {
    "a helper is called for a member that moved": (
        held(called(8), inlined(16), inlined(24)),
        held(inlined(16), called(24), inlined(32)),
    ),
    "members exchange their places beside a helper": (
        held(called(8), inlined(16), "nop;"),
        held(called(16), inlined(8), "xor %ecx, %ecx;"),
    ),
    "another helper is called for the other member": (
        held(inlined(8), called(16), inlined(24)),
        held(called(8, "helper"), inlined(16), inlined(24)),
    ),
    "a helper is inlined for a member of another object": (
        held(inlined(8), called(16), inlined(24)),
        held(called(8), inlined(16), inlined(24), by="%rsi"),
    ),
    "another comparison": (
        CHOICE.format("first", "second", "test", "cmove"),
        CHOICE.format("second", "first", "cmp", "cmovne"),
    ),
    "another element": (INDEXED.format("nop", 4, 4), INDEXED.format("nop", 8, 4)),
    "less than the index takes over": (INDEXED.format("nop", 16, 4), INDEXED.format("add $1, %rax", 8, 4)),
    "another index": (
        INDEXED.format("nop", 4, 4),
        "movslq %esi, %rax; and $-4, %rax; add $1, %rax; movl $0, 0(%rdi, %rax, 4); ret",
    ),
    "less than the base takes over": (ADVANCED.format("add $8", 16), ADVANCED.format("add $8", 24)),
    "an object of the caller": (
        CONSTANT.format("mov %rsi, %rax", 8),
        CONSTANT.format("mov %rsi, %rax", 16),
    ),
    "an object or a constant": (
        CONSTANT.format("lea table(%rip), %rax; test %edi, %edi; cmove %rsi, %rax", 8),
        CONSTANT.format("lea table(%rip), %rax; test %edi, %edi; cmove %rsi, %rax", 16),
    ),
    "an object that a variable leads to": (
        CONSTANT.format("mov kept(%rip), %rax", 8),
        CONSTANT.format("mov kept(%rip), %rax", 16),
    ),
    "a member that moved": (TAKEN.format(8, 32, 40, "rsi"), TAKEN.format(16, 32, 40, "rsi")),
    "members that moved together": (TAKEN.format(8, 24, 16, "rbx"), TAKEN.format(16, 32, 24, "rbx")),
    "a member of the other object": (TAKEN.format(8, 32, 16, "rsi"), TAKEN.format(16, 32, 16, "rsi")),
    "a store of more": (
        STORED.format("1: movl $0, 8(%rdi)", "movl $1, 32(%rdi)", "movq $0, 40(%rdi)"),
        STORED.format("1: movq $0, 8(%rdi)", "movl $1, 32(%rdi)", "movq $0, 40(%rdi)"),
    ),
    "repetitions that all moved": (
        REPEATED.format("mov", 8, 16, 24, 16, "rax", "add", "rdx") + "ret",
        REPEATED.format("mov", 16, 24, 32, 24, "rax", "add", "rdx") + "xor %ecx, %ecx; ret",
    ),
    "a member that grew": (
        READ.format("16(%rdi)", "%eax", "nop"),
        READ.format("16(%rdi)", "%rax", "nop"),
    ),
    "a member that shrank": (
        READ.format("16(%rdi)", "%rax", "nop"),
        READ.format("16(%rdi)", "%eax", "nop"),
    ),
    "a member that shrank, and is copied with the next": (
        READ.format("16(%rdi)", "%rax", "mov 16(%rdi), %r8; mov %r8, 16(%rsi)"),
        READ.format("16(%rdi)", "%eax", "mov 16(%rdi), %r8; mov %r8, 16(%rsi)"),
    ),
    "behind an array, and no room asked for": (
        PUSHED.format("mov 8(%rdi), %rax", 496, 63, 496),
        PUSHED.format("mov 8(%rdi), %rax", 680, 86, 680),
    ),
    "behind an array, and room for something else": (
        PUSHED.format(ROOM, 80, 10, 496),
        PUSHED.format(ROOM, 96, 12, 680),
    ),
    "behind an array, and the same room": (PUSHED.format(ROOM, 496, 63, 496), PUSHED.format(ROOM, 496, 63, 680)),
    "behind an array, and another number": (PUSHED.format(ROOM, 496, 63, 496), PUSHED.format(ROOM, 680, 64, 680)),
    "a text in a member that moved": (COPIED.format("text", 8, 12, 20), COPIED.format("text", 16, 12, 28)),
    "a text in front of a number": (COPIED.format("text", 0, 16, 24), COPIED.format("longer", 0, 8, 32)),
    "words that are no text's end": (COPIED.format("table", 0, 8, 8), COPIED.format("table", 0, 16, 16)),
}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", HARMLESS)
def test_the_same_place_by_other_instructions_is_accepted(tmp_path: Path, compiler: str, name: str) -> None:
    assert not refusals(tmp_path, compiler, *HARMLESS[name])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", HARMFUL)
def test_another_place_is_refused(tmp_path: Path, compiler: str, name: str) -> None:
    assert refusals(tmp_path, compiler, *HARMFUL[name])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("condition", ["cmove", "cmova", "cmovs"])
def test_variables_that_exchange_their_places_are_seen(tmp_path: Path, compiler: str, condition: str) -> None:
    """Chosen under the same condition, the other one is another variable, whatever else agrees."""
    bodies = CHOICE.format("first", "second", "test", condition), CHOICE.format("second", "first", "test", condition)
    old, new = (build(tmp_path / f"{at}.so", compiler, body) for at, body in enumerate(bodies))
    verdict = judge(old, new)
    assert verdict.refusals(None) or (verdict.correspondence and not verdict.correspondence.is_same_layout)


EDITED = "{0}; add %rdx, %rax; mov %rax, 32(%rdi); {1}; ret"
IN_ORDER = EDITED.format("mov 8(%rdi), %rdx; mov (%rdi), %rax", "cmpq $0, (%rsi)")
IN_ANOTHER_ORDER = EDITED.format("mov (%rdi), %rdx; mov 8(%rdi), %rax", "xor %ecx, %ecx; imul 8(%rsi), %rcx")
ELSEWHERE = EDITED.format("mov 24(%rdi), %rdx; mov 16(%rdi), %rax", "xor %ecx, %ecx; imul 8(%rsi), %rcx")
UNEDITED = READ.format("(%rdi)", "%rax", "nop")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("is_other", [False, True])
def test_members_in_another_order_need_two_functions(tmp_path: Path, compiler: str, is_other: bool) -> None:
    """A function that was edited, and loads two words in another order, may have been compiled otherwise. Two that do
    so agree about members that exchanged their places."""
    others = (IN_ORDER, IN_ANOTHER_ORDER) if is_other else (UNEDITED, UNEDITED)
    old = build(tmp_path / "old.so", compiler, IN_ORDER, others[0])
    new = build(tmp_path / "new.so", compiler, IN_ANOTHER_ORDER, others[1])
    assert bool(judge(old, new).refusals(None)) == is_other


@pytest.mark.parametrize("compiler", COMPILERS)
def test_members_at_other_places_need_one_function(tmp_path: Path, compiler: str) -> None:
    old = build(tmp_path / "old.so", compiler, IN_ORDER, UNEDITED)
    new = build(tmp_path / "new.so", compiler, ELSEWHERE, UNEDITED)
    assert judge(old, new).refusals(None)
