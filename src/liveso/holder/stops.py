"""Threads that are stopped, looked at, and let go (ptrace(2))."""

import ctypes
import errno
import os
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path

SEIZE = 0x4206  # the requests are the same on every machine
CONT, SINGLESTEP, DETACH, SYSCALL, INTERRUPT = 7, 9, 17, 24, 0x4207
EVENT = 8
"""A status (si_status, ptrace(2)) has the signal in its lowest byte, and above it the event, where the stop is no
signal's."""
WALL = 0x4000_0000
PRSTATUS, XSTATE = 1, 0x202
"""Sets of registers (NT_PRSTATUS, NT_X86_XSTATE)."""
SYNCHRONOUS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS})
"""What an instruction raises: where a thread blocks such a signal, the kernel takes its handler away."""
_SET_USER = 33
"""By which glibc lets all threads take on another user: whoever asks for it waits for all of them, with locks held."""
ALL_OTHERS = (1 << 64) - 1 - sum(1 << number - 1 for number in (*SYNCHRONOUS, _SET_USER))
"""The set of all other signals."""

_GETREGSET, _SETREGSET, _GETSIGMASK, _SETSIGMASK, _SETOPTIONS = 0x4204, 0x4205, 0x420A, 0x420B, 0x4200
_SYSTEM_CALLS_ARE_MARKED, _FILTERS_ARE_SUSPENDED = 1, 1 << 21  # PTRACE_O_TRACESYSGOOD, PTRACE_O_SUSPEND_SECCOMP
_MASK_SIZE = 8
_MOST_REGISTERS = 1 << 16  # bytes
_ERESTARTNOHAND = 514  # include/linux/errno.h of the kernel
_NUMBER = struct.Struct("=q")
_ROUNDS_WITHOUT_PAUSE, _ROUNDS_WITH_SHORT_PAUSE = 20, 200
_SHORT_PAUSE, _PAUSE = 0.00005, 0.0005  # seconds
_LATEST_STOP = 5.0  # seconds
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Later(Exception):
    """A thread cannot be stopped now; a moment later it can."""


class Gone(Exception):
    """The process has ended, or the thread."""


class Problem(Exception):
    """The threads may not be stopped."""


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """What is needed to let system calls go on that a stop ends (orders.REQUEST): where a thread's registers have the
    number and the result of one, in bytes, and the numbers of those that the kernel ends with EINTR."""

    number_at: int
    result_at: int
    interrupted: frozenset[int]


class _Area(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def ptrace(request: int, thread: int, data: int = 0, address: int = 0) -> bool:
    return bool(_libc.ptrace(request, thread, address or None, data) == 0)


def stop_all(pid: int, besides: int, end: float, system_calls: SystemCalls) -> dict[int, int]:
    """Stop the threads, also those that others make meanwhile. Returns the signal that each is to go on with, or 0.
    Where one does not stop by the time `end`, or may not be stopped, all go on (Later, Problem)."""
    stopped: dict[int, int] = {}
    waiting: set[int] = set()
    known = {besides}
    try:
        while found := _threads(pid) - known:
            known |= found
            for thread in found:
                if seize(pid, thread):
                    waiting.add(thread)
            rounds = 0
            while waiting:
                stopped |= _stops(pid, waiting)
                if waiting and time.monotonic() > end:
                    raise Later(f"thread {min(waiting)} does not stop")
                rounds += 1
                if waiting:
                    pause(rounds)
        return stopped
    except (Later, Gone, Problem):
        let_all_go(stopped, system_calls)
        give_up(pid, waiting, system_calls)
        raise


def _stops(pid: int, waiting: set[int]) -> dict[int, int]:
    """Those of the threads that stand by now, which wait no more, nor do those that have ended."""
    stopped = {}
    for thread in list(waiting):
        number = stop_of(pid, thread)
        if number is not None:
            waiting.discard(thread)
            if number >= 0:
                stopped[thread] = number
    return stopped


def give_up(pid: int, waiting: set[int], system_calls: SystemCalls) -> None:
    """Let threads go on that were told to stop, and do not yet. A wait that this ends (EINTR) goes on only for a thread
    that stands before it is let go; one that cannot be interrupted is in none."""
    end, rounds = time.monotonic() + _LATEST_STOP, 0
    while waiting and time.monotonic() < end:
        let_all_go(_stops(pid, waiting), system_calls)
        waiting -= {thread for thread in waiting if state(pid, thread) == "D"}
        rounds += 1
        pause(rounds)


def pause(rounds: int) -> None:
    """Between two looks at threads: most stop at once, and the others need the processor for it."""
    if rounds > _ROUNDS_WITHOUT_PAUSE:
        time.sleep(_PAUSE if rounds > _ROUNDS_WITH_SHORT_PAUSE else _SHORT_PAUSE)


def _threads(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError as error:
        raise Gone(f"process {pid} has ended") from error


def seize(pid: int, thread: int, *, interrupt: bool = True) -> bool:
    """Trace a thread, and tell it to stop. False where it has ended; raises Problem where it may not be traced."""
    if ptrace(SEIZE, thread) and (not interrupt or ptrace(INTERRUPT, thread)):
        return True
    reason = os.strerror(ctypes.get_errno())
    if state(pid, thread) in ("Z", "X", ""):
        return False
    tracer = _field(pid, thread, "TracerPid")
    if tracer not in ("", "0"):
        raise Problem(f"process {tracer} traces it already")
    raise Problem(f"its threads may not be held still (ptrace: {reason}){_what_yama_says()}")


def _what_yama_says() -> str:
    """Which daemon may trace where the kernel restricts that further (Yama, proc(5): ptrace_scope)."""
    try:
        scope = _YAMA.read_text().strip()
    except OSError:
        return ""
    who = {"1": "a user's daemon may only where it was there before the program", "2": "only root's daemon may"}
    return f"; with kernel.yama.ptrace_scope={scope} {who.get(scope, 'nobody may')}" if scope != "0" else ""


def status_of(pid: int, thread: int) -> int | None:
    """The status of a thread that stands, None while it runs, -1 if it has ended."""
    try:
        found = os.waitid(os.P_PID, thread, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT | WALL)
    except ChildProcessError:
        return -1
    if found is None:  # a first thread that has ended waits for the others
        return -1 if state(pid, thread) in ("Z", "X", "") else None
    if found.si_code not in (os.CLD_TRAPPED, os.CLD_STOPPED):
        os.waitid(os.P_PID, thread, os.WEXITED | os.WNOHANG | WALL)  # only then it is gone
        return -1
    return found.si_status


def wait_for_stop(pid: int, thread: int, end: float) -> int | None:
    """Its status (status_of) once it stands, or has ended; None where it still runs at the time `end`."""
    rounds = 0
    while (status := status_of(pid, thread)) is None and time.monotonic() <= end:
        rounds += 1
        pause(rounds)
    return status


def stop_of(pid: int, thread: int) -> int | None:
    """None while a thread runs, -1 if it has ended, or the signal that was on its way to it when it stopped, or 0."""
    status = status_of(pid, thread)
    return status if status is None or status < 0 or not status >> EVENT else 0


def state(pid: int, thread: int) -> str:
    """The letter of proc(5), /proc/PID/stat; empty where there is no such thread."""
    return _field(pid, thread, "State")[:1]


def _field(pid: int, thread: int, name: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/task/{thread}/status").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


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


def suspend_filters(thread: int) -> bool:
    """Let stops at system calls be told from others, and no filter of system calls hold for the thread as long as it is
    traced, which only root may; whether that is so."""
    if ptrace(_SETOPTIONS, thread, _SYSTEM_CALLS_ARE_MARKED | _FILTERS_ARE_SUSPENDED):
        return True
    ptrace(_SETOPTIONS, thread, _SYSTEM_CALLS_ARE_MARKED)
    return False


def let_all_go(stopped: dict[int, int], system_calls: SystemCalls) -> None:
    for thread, number in stopped.items():
        let_call_go_on(thread, system_calls)  # a signal that has no handler ends no wait, either
        ptrace(DETACH, thread, number)


def let_call_go_on(thread: int, system_calls: SystemCalls) -> None:
    """Let a system call that the stop ended be made again, as if there had been none: the kernel does so for a thread
    whose call ends with ERESTARTNOHAND, unless a signal's handler comes in between, which is to see EINTR."""
    registers = bytearray(read_registers(thread, PRSTATUS))
    if not registers:
        return
    number, result = (_NUMBER.unpack_from(registers, at)[0] for at in (system_calls.number_at, system_calls.result_at))
    if number < 0 or number not in system_calls.interrupted or result != -errno.EINTR:
        return
    _NUMBER.pack_into(registers, system_calls.result_at, -_ERESTARTNOHAND)
    write_registers(thread, PRSTATUS, bytes(registers))
