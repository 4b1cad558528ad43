"""Calls that a stopped thread of a RISC-V process is let make.

Sources: struct user_regs_struct, struct __riscv_d_ext_state, struct __riscv_extra_ext_header, struct
__riscv_v_ext_state and struct __riscv_v_regset_state of the kernel (arch/riscv/include/uapi/asm/ptrace.h); struct
sigcontext, and the records in it (sigcontext.h, ucontext.h); and where they lie on the stack (rt_sigreturn(2)).
"""

import struct
from collections.abc import Sequence

from liveso.holder.facts import Facts
from liveso.machine.calls import Calls, StoppedThread

_REGISTERS = struct.Struct("=32Q")
_PC, _RA, _SP, _TP, _S0, _S1, _A0, _A2, _A3, _A7, _S2 = 0, 1, 2, 4, 8, 9, 10, 12, 13, 17, 18
_ARGUMENTS = 7  # but for a7, which has the number of a system call

_FLOATING, _VECTORS, _SHADOW_STACK = 2, 0x901, 0x903  # NT_PRFPREG, NT_RISCV_VECTOR, NT_RISCV_USER_CFI (elf.h)

# siginfo; uc_flags, uc_link, uc_stack, uc_sigmask and room for more signals; registers; those for floating point, in
# the room for larger ones, whose end has what follows
_CONTEXT = struct.Struct("=128x QQQQQ Q120x 8x 32Q 520s")
RISCV64_REGISTERS_OF_SIGNAL = _CONTEXT.size - 520 - _REGISTERS.size
_NO_STACK = 1 << 16  # ss_flags that mean nothing: the thread keeps its signal stack (sigaltstack(2))
_RECORD = struct.Struct("=II")
_END = _RECORD.pack(0, 0)
_VECTORS_RECORD = 0x53465457  # RISCV_V_MAGIC
_VECTORS_HEADER = struct.Struct("=QQQQQ")  # vstart, vl, vtype, vcsr, vlenb: the same in both
_PLACE = struct.Struct("=Q")

_RT_SIGRETURN = 139
_FUTEX, _NANOSLEEP, _CLOCK_NANOSLEEP, _SCHED_YIELD = 98, 101, 115, 124
_TIMER_ABSTIME, _FUTEX_COMMAND = 1, 127
_ECALL = b"\x73\x00\x00\x00"

# epoll_pwait, epoll_pwait2, io_getevents, semop, semtimedop, rt_sigtimedwait; accept, recvfrom, recvmsg and accept4
# with a time limit. A thread that waits stands at the instruction which made the call (arch/riscv/kernel/signal.c, from
# Linux 6.6 on)
_STOPS = Facts(
    number_at=_A7 * 8,
    result_at=_A0 * 8,
    interrupted=(22, 441, 4, 193, 192, 137, 202, 207, 212, 242),
    vectors=(_VECTORS,),
    vector_length=(_VECTORS_HEADER.size, 32, 32),
    floating=_FLOATING,
    next_at=_PC * 8,
    instruction=_ECALL.hex(),
    restart=128,
    # nanosleep, clock_nanosleep until a time from now on, FUTEX_WAIT with a time limit
    resumed=(
        (_NANOSLEEP, 0, _A0 * 8),
        (_CLOCK_NANOSLEEP, _TIMER_ABSTIME, _A2 * 8),
        (_FUTEX, _FUTEX_COMMAND, _A3 * 8),
    ),
    unkept=((_SHADOW_STACK, 0, (1 << 64) - 1),),
)

# jalr s1; sd a0, 0(s2); again: li a7, 139; ecall; j again
_STUB = b"".join(word.to_bytes(4, "little") for word in (0x000480E7, 0x00A93023, 0x08B00893, 0x00000073, 0xFF9FF06F))


def _frame(thread: StoppedThread, place: int) -> bytes:
    registers, floating = thread.registers[: _REGISTERS.size], thread.registers[_REGISTERS.size :]
    context = _CONTEXT.pack(0, 0, 0, _NO_STACK, 0, thread.blocked, *_REGISTERS.unpack(registers), floating)
    return context + _vectors_record(thread.vectors, place + len(context)) + _END


def _vectors_record(vectors: bytes, place: int) -> bytes:
    """The record of the vector registers at an address, for a thread that has used them."""
    if not vectors:
        return b""
    size = _RECORD.size + len(vectors) + _PLACE.size
    content_at = place + _RECORD.size + _VECTORS_HEADER.size + _PLACE.size
    header, content = vectors[: _VECTORS_HEADER.size], vectors[_VECTORS_HEADER.size :]
    return _RECORD.pack(_VECTORS_RECORD, size) + header + _PLACE.pack(content_at) + content


def _frame_size(vectors: int) -> int:
    return _CONTEXT.size + _RECORD.size + vectors + _PLACE.size + len(_END)


def _call_registers(
    thread: StoppedThread, function: int, arguments: Sequence[int], stub: int, frame: int, result: int
) -> bytes:
    registers = list(_REGISTERS.unpack(thread.registers[: _REGISTERS.size]))
    given = arguments[:_ARGUMENTS]
    registers[_A0 : _A0 + len(given)] = given
    registers[_S1], registers[_S2], registers[_PC], registers[_SP] = function, result, stub, frame
    registers[_S0] = registers[_RA] = 0
    registers[_A7] = (1 << 64) - 1  # a call that the thread stands before is not made
    return _REGISTERS.pack(*registers)


RISCV64_CALLS = Calls(
    stub=_STUB,
    stub_end=_STUB.index(_ECALL) + len(_ECALL),
    way_back=_RT_SIGRETURN,
    stops=_STOPS,
    stack_at=_SP * 8,
    thread_at=_TP * 8,
    waiting=(_FUTEX, _SCHED_YIELD, _NANOSLEEP, _CLOCK_NANOSLEEP),
    kcmp=272,
    frame=_frame,
    frame_size=_frame_size,
    registers=_call_registers,
)
