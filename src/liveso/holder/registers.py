"""What a thread that is traced has: its registers, and the signals that it blocks (ptrace(2))."""

import ctypes
import signal

SEIZE = 0x4206  # the requests are the same on every machine
CONT, SINGLESTEP, DETACH, SYSCALL, INTERRUPT = 7, 9, 17, 24, 0x4207
PRSTATUS = 1
"""The set of registers that every machine has (NT_PRSTATUS)."""
SYNCHRONOUS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS})
"""What an instruction raises: where a thread blocks such a signal, the kernel takes its handler away."""
_SET_USER = 33
"""By which glibc lets all threads take on another user: whoever asks for it waits for all of them, with locks held."""
ALL_OTHERS = (1 << 64) - 1 - sum(1 << number - 1 for number in (*SYNCHRONOUS, _SET_USER))
"""The set of all other signals."""

_GETREGSET, _SETREGSET, _GETSIGMASK, _SETSIGMASK = 0x4204, 0x4205, 0x420A, 0x420B
_MASK_SIZE = 8
_MOST_REGISTERS = 1 << 16  # bytes

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class _Area(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def ptrace(request: int, thread: int, data: int = 0, address: int = 0) -> bool:
    return bool(_libc.ptrace(request, thread, address or None, data) == 0)


def read_registers(thread: int, kind: int) -> bytes:
    """A set of registers of a thread that stands; empty where it has none of that kind."""
    content = ctypes.create_string_buffer(_MOST_REGISTERS)
    area = _Area(ctypes.addressof(content), len(content))
    return content.raw[: area.size] if ptrace(_GETREGSET, thread, ctypes.addressof(area), kind) else b""


def write_registers(thread: int, kind: int, registers: bytes) -> bool:
    """False where the thread has ended."""
    content = ctypes.create_string_buffer(registers, len(registers))
    area = _Area(ctypes.addressof(content), len(content))
    return ptrace(_SETREGSET, thread, ctypes.addressof(area), kind)


def blocked_signals(thread: int) -> int:
    """The signals that a thread blocks, as a set of bits from that of signal 1 on."""
    mask = ctypes.c_uint64()
    ptrace(_GETSIGMASK, thread, ctypes.addressof(mask), _MASK_SIZE)
    return mask.value


def block_signals(thread: int, signals: int) -> None:
    mask = ctypes.c_uint64(signals)
    ptrace(_SETSIGMASK, thread, ctypes.addressof(mask), _MASK_SIZE)
