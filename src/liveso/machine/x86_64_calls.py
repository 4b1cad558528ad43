"""Calls that a stopped thread of an x86-64 process is let make.

Sources: struct user_regs_struct (sys/user.h); struct ucontext and struct sigcontext of the kernel
(arch/x86/include/uapi/asm/ucontext.h, sigcontext.h), and where they lie on the stack (rt_sigreturn(2)).
"""

import errno
import struct
from collections.abc import Sequence

from liveso.holder.facts import Facts
from liveso.machine.calls import Calls, StoppedThread

_REGISTERS = struct.Struct("=27Q")
(
    _R15,
    _R14,
    _R13,
    _R12,
    _BP,
    _BX,
    _R11,
    _R10,
    _R9,
    _R8,
    _AX,
    _CX,
    _DX,
    _SI,
    _DI,
    _NUMBER,
    _IP,
    _CS,
    _FLAGS,
    _SP,
    _SS,
) = range(21)
_FS_BASE = 21
_SAVED = (_R8, _R9, _R10, _R11, _R12, _R13, _R14, _R15, _DI, _SI, _BP, _BX, _DX, _AX, _CX, _SP, _IP, _FLAGS)
_ARGUMENTS = (_DI, _SI, _DX, _CX, _R8, _R9)  # psABI, 3.2.3

_CONTEXT = struct.Struct("=QQQIIQ" + "18QHHHHQQQQQ64xQ")
_HAS_VECTORS, _HAS_SS = 1, 2 | 4  # UC_FP_XSTATE; UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
_NO_STACK = 1 << 16  # ss_flags that mean nothing: the thread keeps its signal stack (sigaltstack(2))
_LINE = 64
_SOFTWARE_AT, _SOFTWARE = 464, struct.Struct("=IIQI")
_MAGIC_1, _MAGIC_2 = 0x46505853, (0x46505845).to_bytes(4, "little")
_MAGIC_2_SIZE = 4
_DIRECTION, _TRAP, _RESUME = 1 << 10, 1 << 8, 1 << 16

_SYSCALL_SIZE = 2
_RT_SIGRETURN = 15
_RESTARTED = {512, 513, 514, 516}  # ERESTARTSYS … ERESTART_RESTARTBLOCK (include/linux/errno.h of the kernel)

# epoll_wait, epoll_pwait, epoll_pwait2, io_getevents, semop, semtimedop, rt_sigtimedwait; accept, recvfrom, recvmsg and
# accept4 with a time limit
_STOPS = Facts(
    number_at=_NUMBER * 8,
    result_at=_AX * 8,
    interrupted=(232, 281, 441, 208, 65, 220, 128, 43, 45, 47, 288),
    vectors=(0x202,),  # NT_X86_XSTATE
    next_at=_IP * 8,
)

# call *%rbx; mov %rax, (%r12); again: mov $15, %eax; syscall; jmp again
_STUB = bytes.fromhex("ffd3 49890424 b80f000000 0f05 ebf7")


def _frame(thread: StoppedThread, place: int) -> bytes:
    registers = list(_REGISTERS.unpack(thread.registers))
    result = registers[_AX] - (1 << 64)
    is_ended = result == -errno.EINTR and registers[_NUMBER] in _STOPS.interrupted
    if registers[_NUMBER] < 1 << 63 and (-result in _RESTARTED or is_ended):
        registers[_AX] = registers[_NUMBER]  # the system call that the stop ended is made again
        registers[_IP] -= _SYSCALL_SIZE
    vectors_at = -(-(place + _CONTEXT.size) // _LINE) * _LINE if thread.vectors else 0
    context = _CONTEXT.pack(
        _HAS_SS | (_HAS_VECTORS if thread.vectors else 0),
        0,
        0,
        _NO_STACK,
        0,
        0,
        *(registers[it] for it in _SAVED),
        registers[_CS],
        0,
        0,
        registers[_SS],
        0,
        0,
        0,
        0,
        vectors_at,
        thread.blocked,
    )
    if not thread.vectors:
        return context
    size = len(thread.vectors)
    vectors = bytearray(thread.vectors)
    features = vectors[_SOFTWARE_AT : _SOFTWARE_AT + 8]
    software = _SOFTWARE.pack(_MAGIC_1, size + _MAGIC_2_SIZE, int.from_bytes(features, "little"), size)
    vectors[_SOFTWARE_AT : _SOFTWARE_AT + len(software)] = software
    return context + bytes(vectors_at - place - len(context)) + bytes(vectors) + _MAGIC_2


def _frame_size(vectors: int) -> int:
    return _CONTEXT.size + _LINE + vectors + _MAGIC_2_SIZE


def _call_registers(
    thread: StoppedThread, function: int, arguments: Sequence[int], stub: int, frame: int, result: int
) -> bytes:
    registers = list(_REGISTERS.unpack(thread.registers))
    for place, value in zip(_ARGUMENTS, arguments, strict=False):
        registers[place] = value
    registers[_BX], registers[_R12], registers[_IP], registers[_SP] = function, result, stub, frame
    registers[_BP] = 0
    registers[_FLAGS] &= ~(_DIRECTION | _TRAP | _RESUME)
    registers[_NUMBER] = (1 << 64) - 1
    registers[_AX] = 0
    return _REGISTERS.pack(*registers)


X86_64_CALLS = Calls(
    stub=_STUB,
    stub_end=_STUB.index(b"\x0f\x05") + _SYSCALL_SIZE,
    way_back=_RT_SIGRETURN,
    stops=_STOPS,
    stack_at=_SP * 8,
    thread_at=_FS_BASE * 8,
    waiting=(202, 24, 35, 230),  # futex, sched_yield, nanosleep, clock_nanosleep
    kcmp=312,
    frame=_frame,
    frame_size=_frame_size,
    registers=_call_registers,
)
