"""RISC-V, 64-bit, with compressed instructions (RV64GC)."""

import capstone

from liveso.machine.frames import FrameRegisters
from liveso.machine.machine import Machine
from liveso.machine.riscv64_calls import RISCV64_CALLS, RISCV64_REGISTERS_OF_SIGNAL
from liveso.machine.riscv64_jump import RISCV64_JUMP
from liveso.machine.riscv64_parts import RISCV64_PARTS
from liveso.machine.riscv64_registers import ARGUMENTS, FREED, NAMES, bits
from liveso.machine.riscv64_words import adds_words, code_words, extended_words, reached_behind, undecoded

# RISC-V ELF psABI, "Relocations"
RISCV64 = Machine(
    name="riscv64",
    kernel_name="riscv64",
    e_machine=243,
    word=8,
    none=0,
    relative=3,
    absolute=2,
    glob_dat=2,  # slots of variables have the same relocation as words
    jump_slot=5,
    copy=4,
    indirect_relative=58,
    tls_module=7,
    tls_offset=9,
    tls_static_offset=11,
    tls_descriptor=12,
    capstone_architecture=capstone.CS_ARCH_RISCV,
    capstone_mode=capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC,
    # RISC-V ELF psABI, "Register Convention"
    argument_registers=ARGUMENTS,
    kept_registers=frozenset({*(f"s{number}" for number in range(12)), "sp", "gp", "tp"}),
    result_register="a0",
    stack_pointer="sp",
    frame_pointer="s0",
    register_parts={},
    minus_one_passed=(b"\x7d\x55", b"\x13\x05\xf0\xff"),  # c.li a0, -1; addi a0, zero, -1
    code_words=code_words,
    stack_number=NAMES.index("sp"),
    frame_number=NAMES.index("s0"),
    parts=RISCV64_PARTS,
    jump=RISCV64_JUMP,
    has_blocks_above=True,
    block_bias=0x800,  # TLS_DTV_OFFSET (RISC-V ELF psABI, "Dynamic Thread Vector")
    padding=frozenset(b"\x00\x01\x13"),  # c.nop, nop
    freed_registers=FREED,
    linker_registers=bits("ra", "t0", "t1", "t2", "t3"),  # "Procedure Linkage Table"
    given_registers=bits(*ARGUMENTS, "t2"),  # t2: the frame that a nested function is about
    returned_registers=bits("a0", "a1"),
    extended_words=extended_words,
    adds_words=adds_words,
    undecoded=undecoded,
    reached_behind=reached_behind,
    calls=RISCV64_CALLS,
    breakpoint=b"\x02\x90",  # c.ebreak
    # RISC-V DWARF Specification, "DWARF Register Numbers": x0, whose place has the program counter, to x31
    frames=FrameRegisters(
        places=tuple(range(0, 32 * 8, 8)),
        stack_pointer=2,
        program_counter=0,
        return_address=1,
        kept=frozenset({8, 9, *range(18, 28)}),
        system_call=b"\x73\x00\x00\x00",  # ecall
        futex=frozenset({98, 128}),
        transfers=frozenset({63, 64, 65, 66}),
        signal_return=b"\x93\x08\xb0\x08\x73\x00\x00\x00",  # li a7, 139; ecall (kernel: vdso/rt_sigreturn.S)
        interrupted_at=RISCV64_REGISTERS_OF_SIGNAL,
    ),
)
