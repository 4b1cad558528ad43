"""AArch64, 64-bit Arm."""

import re

import capstone

from liveso.machine.aarch64_calls import AARCH64_CALLS, AARCH64_REGISTERS_OF_SIGNAL
from liveso.machine.aarch64_jump import AARCH64_JUMP
from liveso.machine.aarch64_parts import AARCH64_PARTS
from liveso.machine.aarch64_registers import without_registers
from liveso.machine.aarch64_words import (
    adds_place,
    adds_words,
    code_words,
    extended_words,
    leaves_highest,
    reached_behind,
)
from liveso.machine.frames import FrameRegisters
from liveso.machine.machine import Machine


def _register_parts() -> dict[str, str]:
    parts = {f"w{number}": f"x{number}" for number in range(31)} | {"wzr": "xzr", "wsp": "sp"}
    return parts | {f"{size}{number}": f"v{number}" for size in "bhsdq" for number in range(32)}


# ELF for the Arm 64-bit Architecture, "Dynamic relocations"
AARCH64 = Machine(
    name="aarch64",
    kernel_name="aarch64",
    e_machine=183,
    word=8,
    none=0,
    relative=1027,
    absolute=257,
    glob_dat=1025,
    jump_slot=1026,
    copy=1024,
    indirect_relative=1032,
    tls_module=1028,
    tls_offset=1029,
    tls_static_offset=1030,
    tls_descriptor=1031,
    capstone_architecture=capstone.CS_ARCH_ARM64,
    capstone_mode=capstone.CS_MODE_ARM,
    # Procedure Call Standard for the Arm 64-bit Architecture, "Machine registers"
    argument_registers=tuple(f"x{number}" for number in range(8)),
    kept_registers=frozenset({*(f"x{number}" for number in range(19, 30)), "sp"}),
    result_register="x0",
    stack_pointer="sp",
    frame_pointer="x29",
    register_parts=_register_parts(),
    minus_one_passed=(b"\x00\x00\x80\x92",),  # mov x0, #-1
    code_words=code_words,
    stack_number=31,
    frame_number=29,
    parts=AARCH64_PARTS,
    jump=AARCH64_JUMP,
    entry_mark=b"\x5f\x24\x03\xd5",  # bti c (Arm Architecture Reference Manual, C6.2 "BTI")
    guarded_entry=b"\x3f\x23\x03\xd5",  # paciasp
    has_blocks_above=True,
    guard_property=0xC0000000,  # GNU_PROPERTY_AARCH64_FEATURE_1_AND (ELF for the Arm 64-bit Architecture)
    padding=frozenset(b"\x00\x1f\x20\x03\xd5"),  # nop, udf
    freed_registers=0x4007FFFF,
    linker_registers=0x40030000,  # x16, x17, x30
    descriptor_registers=0x40000001,  # x0, x30 (ELF for the Arm 64-bit Architecture, "TLS descriptors")
    given_registers=0x000001FF,  # x8: the address of a result in memory
    returned_registers=0x00000003,
    extended_words=extended_words,
    adds_words=adds_words,
    adds_place=adds_place,
    leaves_highest=leaves_highest,
    reached_behind=reached_behind,
    without_registers=without_registers,
    start_up_is_described=True,
    calls=AARCH64_CALLS,
    breakpoint=b"\xa0\x00\x20\xd4",  # brk #5 (UPROBES_BRK_IMM: arch/arm64/include/asm/brk-imm.h of the kernel)
    # DWARF for the Arm 64-bit Architecture, "DWARF register names": x0 to x30, sp, pc
    frames=FrameRegisters(
        places=tuple(range(0, 33 * 8, 8)),
        stack_pointer=31,
        program_counter=32,
        return_address=30,
        kept=frozenset(range(19, 30)),
        system_call=b"\x01\x00\x00\xd4",  # svc #0
        futex=frozenset({98, 128}),
        transfers=frozenset({63, 64, 65, 66}),
        address_bits=(1 << 48) - 1,
        signal_return=b"\x68\x11\x80\xd2\x01\x00\x00\xd4",  # mov x8, #139; svc #0 (kernel: vdso/sigreturn.S)
        interrupted_at=AARCH64_REGISTERS_OF_SIGNAL,
    ),
    reading=frozenset({"cmp", "cmn", "tst", "ccmp", "ccmn", "fcmp", "fcmpe", "fccmp", "prfm", "nop"}),
    asking=frozenset({"cmp", "cmn", "tst"}),
    selects=re.compile(r"csel$"),
    # Arm Architecture Reference Manual, C1.2.4 "Condition code"
    opposites={
        "ne": "eq",
        "pl": "mi",
        "vc": "vs",
        "hs": "lo",
        "cs": "lo",
        "cc": "lo",
        "hi": "ls",
        "ge": "lt",
        "gt": "le",
    },
)
