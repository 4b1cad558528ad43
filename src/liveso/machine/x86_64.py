"""x86-64."""

import re

import capstone

from liveso.machine.frames import FrameRegisters
from liveso.machine.machine import Machine
from liveso.machine.x86_64_calls import X86_64_CALLS
from liveso.machine.x86_64_jump import X86_64_JUMP
from liveso.machine.x86_64_vectors import vector_instruction
from liveso.machine.x86_64_words import adds_words, extended_words


def _register_parts() -> dict[str, str]:
    parts: dict[str, str] = {}
    for letter in "abcd":
        parts |= dict.fromkeys((f"e{letter}x", f"{letter}x", f"{letter}l", f"{letter}h"), f"r{letter}x")
    for name in ("si", "di", "sp", "bp"):
        parts |= dict.fromkeys((f"e{name}", name, f"{name}l"), f"r{name}")
    for number in range(8, 16):
        parts |= dict.fromkeys((f"r{number}{size}" for size in "dwb"), f"r{number}")
    for number in range(32):
        parts |= dict.fromkeys((f"{size}mm{number}" for size in "yz"), f"xmm{number}")
    return parts


# AMD64 Manual 3, "CMOVcc"
_OPPOSITES = {"ne": "e", "nz": "e", "ns": "s", "no": "o", "np": "p", "ae": "b", "nb": "b", "nc": "b", "a": "be"}
_OPPOSITES |= {"nbe": "be", "ge": "l", "nl": "l", "g": "le", "nle": "le"}

# System V ABI, AMD64 Architecture Processor Supplement, 4.4 "Relocation"
X86_64 = Machine(
    name="x86-64",
    kernel_name="x86_64",
    e_machine=62,
    word=8,
    none=0,
    relative=8,
    absolute=1,
    glob_dat=6,
    jump_slot=7,
    copy=5,
    indirect_relative=37,
    tls_module=16,
    tls_offset=17,
    tls_static_offset=18,
    tls_descriptor=36,
    capstone_architecture=capstone.CS_ARCH_X86,
    capstone_mode=capstone.CS_MODE_64,
    program_counter="rip",
    displacement_size=4,
    far_section=0x10000000,  # SHF_X86_64_LARGE (4.2.1)
    jump=X86_64_JUMP,
    call_opcode=b"\xe8",
    entry_mark=b"\xf3\x0f\x1e\xfa",  # endbr64 (Intel Manual 1, 18.1 "Control-flow Enforcement")
    near_branch_opcodes=frozenset({*range(0x70, 0x80), *range(0xE0, 0xE4), 0xEB}),
    breakpoint=b"\xcc",  # int3
    calls=X86_64_CALLS,
    # 3.6.2 "DWARF Register Number Mapping": rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, the return address
    frames=FrameRegisters(
        places=(80, 96, 88, 40, 104, 112, 32, 152, 72, 64, 56, 48, 24, 16, 8, 0, 128),
        stack_pointer=7,
        program_counter=16,
        return_address=16,
        kept=frozenset({3, 6, 12, 13, 14, 15}),
        system_call=b"\x0f\x05",
        futex=frozenset({202, 219}),
        transfers=frozenset({0, 1, 19, 20}),
    ),
    padding=frozenset(b"\x00\x0f\x1f\x2e\x40\x44\x66\x80\x84\x90\xcc"),  # no-operations, traps, zeros
    extended_words=extended_words,
    adds_words=adds_words,
    undecoded=vector_instruction,
    unnamed_writers=re.compile(
        r"(?:mul|div|idiv|cdq|cqo|cpuid|xchg|xadd|cmpxchg|cmpxchg8b|cmpxchg16b|rdtsc|rdtscp|xgetbv|syscall|leave|enter)"
        r"(?: |$)|rep|imul [^,]*$"
    ),
    unnamed_written=("rax", "rcx", "rdx", "rsi", "rdi", "rbx"),
    reading=frozenset({"cdqe", "cmp", "test", "push", "nop"}),
    asking=frozenset({"cmp", "test"}),
    push="push",
    pop="pop",
    selects=re.compile(r"cmov(n?[a-z]{1,2})$"),
    opposites=_OPPOSITES,
    branch_opcodes=(b"\xe8", b"\xe9", *(bytes((0x0F, 0x80 | condition)) for condition in range(16))),
    # AMD64 Manual 3, appendix A: opcodes with a ModRM byte, and the last bytes of those that begin with 0F
    operand_opcodes=frozenset(
        {0x63, 0x69, 0x6B, 0xC0, 0xC1, 0xC6, 0xC7, 0xD1, 0xD3, 0xF6, 0xF7, 0xFE, 0xFF}
        | {row | column for row in range(0, 0x40, 8) for column in range(4)}
        | set(range(0x80, 0x90))
        | set(range(0x10, 0x18))
        | set(range(0x28, 0x30))
        | set(range(0x40, 0x80))
        | {0xAF, 0xB0, 0xB1, 0xB6, 0xB7, 0xBE, 0xBF, 0xEF, 0xEB, 0xDB, 0xD4, 0xFA, 0xFB, 0xFC, 0xFD}
    ),
    relative_operand=(0xC7, 0x05),
    address_opcode=0x8D,
    general_dynamic_prefix=b"\x66",  # ELF Handling for Thread-Local Storage, 4.1.6; local dynamic has none (4.2.6)
    thread_segment="fs",  # 3.4.6 of the same
    load_opcode=0x8B,
    compare_opcodes=(0x39, 0x3B),
    whole_word=(0xF8, 0x48),  # REX.W
    # 3.2.1 "Registers" and 3.2.3 "Parameter Passing"
    argument_registers=("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    kept_registers=frozenset({"rbx", "rsp", "rbp", "r12", "r13", "r14", "r15"}),
    result_register="rax",
    stack_pointer="rsp",
    frame_pointer="rbp",
    register_parts=_register_parts(),
    # mov $-1, %rdi; or $-1, %rdi; push $-1 and pop %rdi
    minus_one_passed=(b"\x48\xc7\xc7\xff\xff\xff\xff", b"\x48\x83\xcf\xff", b"\x6a\xff\x5f"),
)
