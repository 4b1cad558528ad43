"""Calls that a stopped thread of an AArch64 process is let make.

Sources: struct user_pt_regs, struct user_fpsimd_state and struct user_sve_header of the kernel
(arch/arm64/include/uapi/asm/ptrace.h); struct sigcontext, and the records behind it (sigcontext.h, ucontext.h); and
where they lie on the stack (rt_sigreturn(2)).
"""

import struct
from collections.abc import Sequence

from liveso.holder.facts import Facts
from liveso.machine.calls import Calls, StoppedThread

_REGISTERS = struct.Struct("=34Q")
_ARGUMENTS, _FUNCTION, _RESULT, _FRAME, _LINK, _SP, _PC, _STATE = 8, 19, 20, 29, 30, 31, 32, 33
_STEPS, _BRANCHED = 1 << 21, 3 << 10  # PSTATE.SS, PSTATE.BTYPE
_THREAD_AT = _REGISTERS.size  # NT_ARM_TLS follows

_FP, _TLS, _SYSTEM_CALL, _SVE, _STREAMING, _ZA, _GUARDED = 2, 0x401, 0x404, 0x405, 0x40B, 0x40C, 0x410  # elf.h, NT_*
_IS_STREAMING, _HAS_ZA = 1 << 32, (1 << 32) - 32  # flags at 12; more than the header's 16 bytes

# siginfo; uc_flags, uc_link, uc_stack, uc_sigmask and room for more signals; fault_address, registers
_CONTEXT = struct.Struct("=128x QQQQQ Q120x 8x Q34Q 8x")
AARCH64_REGISTERS_OF_SIGNAL = _CONTEXT.size - _REGISTERS.size - 8
_NO_STACK = 1 << 16  # ss_flags that mean nothing: the thread keeps its signal stack (sigaltstack(2))
_RECORDS_AT, _MOST_RECORDS = _CONTEXT.size, 4096
_RECORD = struct.Struct("=II")
_END = _RECORD.pack(0, 0) + bytes(8)
_VECTORS_RECORD, _VECTORS = 0x46508001, struct.Struct("=IIII512s")  # FPSIMD_MAGIC, size, fpsr, fpcr, vregs
_SCALABLE_RECORD, _SCALABLE = 0x53564501, struct.Struct("=IIHHHH")  # SVE_MAGIC, size, vl, flags
_FURTHER_RECORD, _FURTHER = 0x45585401, struct.Struct("=IIQI12x")  # EXTRA_MAGIC, size, datap, size of what is there

_SVE_HEADER = struct.Struct("=IIHHHH")  # size, max_size, vl, max_vl, flags
_HAS_SCALABLE = 1
_VECTOR_COUNT, _PREDICATE_COUNT = 32, 17
_FP_STATE = struct.Struct("=512sII")  # vregs, fpsr, fpcr
_ALIGNMENT = 16

_RT_SIGRETURN = 139
_FUTEX, _NANOSLEEP, _CLOCK_NANOSLEEP, _SCHED_YIELD = 98, 101, 115, 124
_TIMER_ABSTIME, _FUTEX_COMMAND = 1, 127
_SVC = b"\x01\x00\x00\xd4"

# epoll_pwait, epoll_pwait2, io_getevents, semop, semtimedop, rt_sigtimedwait; accept, recvfrom, recvmsg and accept4
# with a time limit
_STOPS = Facts(
    number_at=64,
    result_at=0,
    interrupted=(22, 441, 4, 193, 192, 137, 202, 207, 212, 242),
    vectors=(_SVE, _FP),
    next_at=_PC * 8,
    instruction=_SVC.hex(),
    restart=128,
    # nanosleep, clock_nanosleep until a time from now on, FUTEX_WAIT with a time limit
    resumed=((_NANOSLEEP, 0, 0), (_CLOCK_NANOSLEEP, _TIMER_ABSTIME, 16), (_FUTEX, _FUTEX_COMMAND, 24)),
    number_set=_SYSTEM_CALL,
    thread_set=_TLS,
    unkept=((_STREAMING, 8, _IS_STREAMING), (_ZA, 0, _HAS_ZA), (_GUARDED, 0, (1 << 64) - 1)),
)

# blr x19; str x0, [x20]; again: mov x8, #139; svc #0; b again
_STUB = b"".join(word.to_bytes(4, "little") for word in (0xD63F0260, 0xF9000280, 0xD2801168, 0xD4000001, 0x17FFFFFE))


def _frame(thread: StoppedThread, place: int) -> bytes:
    context = _CONTEXT.pack(
        0, 0, 0, _NO_STACK, 0, thread.blocked, 0, *_REGISTERS.unpack(thread.registers[: _REGISTERS.size])
    )
    records, scalable = _records(thread)
    if len(records) + len(scalable) + len(_END) <= _MOST_RECORDS:
        return context + records + scalable + _END
    size = len(scalable) + len(_END)
    records_end = place + _RECORDS_AT + len(records) + _FURTHER.size + len(_END)
    further = _FURTHER.pack(_FURTHER_RECORD, _FURTHER.size, records_end, size)
    return context + records + further + _END + scalable + _END


def _records(thread: StoppedThread) -> tuple[bytes, bytes]:
    """The record of the vector registers, and that of the scalable ones, where the thread has such."""
    length = flags = at = 0
    if thread.vector_set == _SVE:
        _size, _most, length, _longest, flags, _reserved = _SVE_HEADER.unpack_from(thread.vectors)
        at = _SVE_HEADER.size
    if not flags & _HAS_SCALABLE:
        vectors, fpsr, fpcr = _FP_STATE.unpack_from(thread.vectors, at)
        return _VECTORS.pack(_VECTORS_RECORD, _VECTORS.size, fpsr, fpcr, vectors), b""
    size = length * _VECTOR_COUNT + length // 8 * _PREDICATE_COUNT
    registers = thread.vectors[at : at + size]
    lowest = b"".join(registers[at : at + 16] for at in range(0, length * _VECTOR_COUNT, length))
    fpsr, fpcr = struct.unpack_from("=II", thread.vectors, _aligned(at + size))
    record_size = _aligned(_SCALABLE.size + size)
    scalable = _SCALABLE.pack(_SCALABLE_RECORD, record_size, length, 0, 0, 0) + registers
    return _VECTORS.pack(_VECTORS_RECORD, _VECTORS.size, fpsr, fpcr, lowest), scalable.ljust(record_size, b"\0")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _frame_size(vectors: int) -> int:
    return _CONTEXT.size + _VECTORS.size + _FURTHER.size + _aligned(vectors + _SCALABLE.size) + 2 * len(_END)


def _call_registers(
    thread: StoppedThread, function: int, arguments: Sequence[int], stub: int, frame: int, result: int
) -> bytes:
    registers = list(_REGISTERS.unpack(thread.registers[: _REGISTERS.size]))
    registers[: len(arguments[:_ARGUMENTS])] = arguments[:_ARGUMENTS]
    registers[_FUNCTION], registers[_RESULT], registers[_PC], registers[_SP] = function, result, stub, frame
    registers[_FRAME] = registers[_LINK] = 0
    registers[_STATE] &= ~(_STEPS | _BRANCHED)
    return _REGISTERS.pack(*registers)


AARCH64_CALLS = Calls(
    stub=_STUB,
    stub_end=_STUB.index(_SVC) + len(_SVC),
    way_back=_RT_SIGRETURN,
    stops=_STOPS,
    stack_at=_SP * 8,
    thread_at=_THREAD_AT,
    waiting=(_FUTEX, _SCHED_YIELD, _NANOSLEEP, _CLOCK_NANOSLEEP),
    kcmp=272,
    frame=_frame,
    frame_size=_frame_size,
    registers=_call_registers,
)
