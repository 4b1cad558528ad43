"""The facts of each machine that liveso knows: one row a machine, and nowhere else."""

from dataclasses import dataclass

import capstone


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of a processor's psABI supplement that the rest of the code needs.

    `relative` … `tls_descriptor` are relocation types (psABI, "Relocation"); `word` is in bytes.
    `kernel_name` is what the kernel calls it (uname(2)).
    `displacement_size` is that of the field by which an instruction refers to memory relative to itself, in
    bytes. `minus_one_passed` are the instructions that make -1 the first argument of a call, as compilers write them.
    `branch_opcodes` are followed by a displacement; a byte after one of `operand_opcodes` (the last byte of the opcode)
    that equals the second of `relative_operand` under the mask that is the first says that a displacement relative to
    the instruction follows; `address_opcode` forms an address without access, `load_opcode` loads what lies at one, and
    `compare_opcodes` compare two operands; under the mask that is the first of `whole_word`, the byte before equals its
    second where they are about whole words. `general_dynamic_prefix` stands before the instruction that forms the
    address of a thread-local variable's slot, and not before that of the module's. Arguments are passed in
    `argument_registers`, in this order, results in
    `result_register`, and `kept_registers` hold the same after a call; `register_parts` lead from
    names of parts to the whole register's. `far_section` is the flag of sections that displacements do not reach.
    A `jump`, with a displacement behind it, takes `jump_size` bytes; it stands behind an `entry_mark`, where indirect
    branches may lead. `call_opcode` is the one of `branch_opcodes` that calls, and `near_branch_opcodes` are followed
    by a displacement of one byte. `padding` are the bytes that may stand between functions.
    `call_number_at` and `call_result_at` are the places in struct user_regs_struct, in bytes, of what is left of a
    system call, and `calls_without_restart` the numbers of those that end with EINTR when a thread is stopped
    (signal(7)).
    `can_be_updated` says whether liveso can update processes of this machine,
    and not only judge their libraries.
    """

    name: str
    kernel_name: str
    e_machine: int
    word: int
    none: int
    relative: int
    absolute: int
    glob_dat: int
    jump_slot: int
    copy: int
    indirect_relative: int
    tls_module: int
    tls_offset: int
    tls_static_offset: int
    tls_descriptor: int
    capstone_architecture: int
    capstone_mode: int
    argument_registers: tuple[str, ...]
    kept_registers: frozenset[str]
    result_register: str
    stack_pointer: str
    frame_pointer: str
    register_parts: dict[str, str]
    minus_one_passed: tuple[bytes, ...]
    program_counter: str = ""
    displacement_size: int = 0
    branch_opcodes: tuple[bytes, ...] = ()
    operand_opcodes: frozenset[int] = frozenset()
    relative_operand: tuple[int, int] = (0, 0)
    address_opcode: int = 0
    load_opcode: int = 0
    general_dynamic_prefix: bytes = b""
    compare_opcodes: tuple[int, ...] = ()
    whole_word: tuple[int, int] = (0, 0)
    far_section: int = 0
    jump: bytes = b""
    jump_size: int = 0
    call_opcode: bytes = b""
    entry_mark: bytes = b""
    near_branch_opcodes: frozenset[int] = frozenset()
    padding: frozenset[int] = frozenset()
    call_number_at: int = 0
    call_result_at: int = 0
    calls_without_restart: tuple[int, ...] = ()
    can_be_updated: bool = False

    @property
    def slot_relocations(self) -> frozenset[int]:
        """Relocations that leave the address of a function or variable in a word."""
        return frozenset({self.relative, self.absolute, self.glob_dat, self.jump_slot, self.indirect_relative})

    @property
    def tls_relocations(self) -> frozenset[int]:
        """Relocations that leave a module ID or an offset of thread-local storage in a word."""
        return frozenset({self.tls_module, self.tls_offset, self.tls_static_offset, self.tls_descriptor})


def _x86_register_parts() -> dict[str, str]:
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
    jump=b"\xe9",
    jump_size=5,
    call_opcode=b"\xe8",
    entry_mark=b"\xf3\x0f\x1e\xfa",  # endbr64 (Intel Manual 1, 18.1 "Control-flow Enforcement")
    near_branch_opcodes=frozenset({*range(0x70, 0x80), *range(0xE0, 0xE4), 0xEB}),
    call_number_at=120,  # orig_rax and rax (sys/user.h)
    call_result_at=80,
    # epoll_wait, epoll_pwait, epoll_pwait2, io_getevents, semop, semtimedop, rt_sigtimedwait; accept, recvfrom,
    # recvmsg and accept4 with a time limit
    calls_without_restart=(232, 281, 441, 208, 65, 220, 128, 43, 45, 47, 288),
    padding=frozenset(b"\x00\x0f\x1f\x2e\x40\x44\x66\x80\x84\x90\xcc"),  # no-operations, traps, zeros
    can_be_updated=True,
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
    load_opcode=0x8B,
    compare_opcodes=(0x39, 0x3B),
    whole_word=(0xF8, 0x48),  # REX.W
    # 3.2.1 "Registers" and 3.2.3 "Parameter Passing"
    argument_registers=("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    kept_registers=frozenset({"rbx", "rsp", "rbp", "r12", "r13", "r14", "r15"}),
    result_register="rax",
    stack_pointer="rsp",
    frame_pointer="rbp",
    register_parts=_x86_register_parts(),
    # mov $-1, %rdi; or $-1, %rdi; push $-1 and pop %rdi
    minus_one_passed=(b"\x48\xc7\xc7\xff\xff\xff\xff", b"\x48\x83\xcf\xff", b"\x6a\xff\x5f"),
)


def _aarch64_register_parts() -> dict[str, str]:
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
    register_parts=_aarch64_register_parts(),
    minus_one_passed=(b"\x00\x00\x80\x92",),  # mov x0, #-1
)

MACHINES = {machine.e_machine: machine for machine in (X86_64, AARCH64)}
