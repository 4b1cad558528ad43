"""The process that holds threads of targets still (ptrace(2)) for a daemon, and outlives it.

Only the thread that stops another may let it go, so each freeze has a thread of its own here. Where pages of a target
move, nothing but the agent may run until they have moved, whatever becomes of the daemon: so this is no part of it.
When a thread of this process ends, or all of it does, the kernel lets go what it held: the threads are looked at in a
way (WNOWAIT) that leaves their signals with them.

Started by freeze.py, as a program that needs nothing but the standard library. A request on standard input is a
REQUEST, with a socket on which the rest of it is talked about.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path

REQUEST = struct.Struct("=iidHH16h")
"""Process, its agent's thread, seconds within which all others are to stand; and what is needed to let system calls go
on that a stop ends with EINTR: where the registers of a thread have the number and the result of a call, and the
numbers of those calls, with -1 for none (Machine.calls_without_restart)."""
STILL, LATER, GONE, PROBLEM = b"s", b"l", b"g", b"p"
"""Answers to a request; STILL with the SINCE at which the first thread was to stand, all others with a text."""
SINCE = struct.Struct("=d")
"""A time, of time.monotonic(), which all processes have in common."""
WATCH, WATCHED, END, END_ANSWERED, ENDED = b"w", b"W", b"e", b"E", b"d"
"""Orders during a freeze, and what answers them: take the sheet of a carry, let the threads go (END_ANSWERED: the agent
has answered). The end of the socket is an END."""
WRITE, WRITTEN, CHANGED = b"p", b"P", b"c"
"""The order to write into the target what a sheet says, all of it or nothing, and its answers: CHANGED where memory was
not as expected. The sheet has COUNT, as many times PIECE, and at the offset of each piece what is expected and then
what is to be written, of its size in bytes."""
STEP, STEPPED = b"t", b"T"
"""The order to let one thread execute one instruction, followed by the THREAD, and its answer, whether or not it could:
the thread stands again. One that stands in a system call may not be asked to."""
THREAD = struct.Struct("=i")
COUNT, PIECE = struct.Struct("=Q"), struct.Struct("=QQQ")
"""PIECE: address, size, offset."""

SEIZE = 0x4206  # the requests are the same on every machine
_CONT, _SINGLESTEP, _DETACH, _INTERRUPT, _GETREGSET, _SETREGSET = 7, 9, 17, 0x4207, 0x4204, 0x4205
_NT_PRSTATUS = 1
_MOST_REGISTERS = 1024  # bytes
_ERESTARTNOINTR = 513  # include/linux/errno.h of the kernel
_NUMBER = struct.Struct("=q")
_EVENT = 8  # si_status has the signal in its lowest byte, and above it the event, where the stop is no signal's
_WALL = 0x4000_0000
_PAUSE, _ROUNDS_WITHOUT_PAUSE = 0.0005, 20  # seconds
_LONGEST_CARRY = 60.0  # seconds
_LONGEST_STEP = 0.01  # seconds
_WITHDRAWN, _BEGUN, _DONE = 0, 4, 12  # offsets of words (struct live_carry, agent/protocol.h)
_TRUE = (1).to_bytes(4, "little")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class _Later(Exception):
    """A thread cannot be stopped now; a moment later it can."""


class _Gone(Exception):
    """The process has ended."""


class _Problem(Exception):
    """The threads may not be stopped."""


def _serve(control: socket.socket) -> None:
    """Take requests until the daemon has gone. What is held then is let go by its own threads."""
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(control, REQUEST.size, 1)
        if not request:
            return
        talk = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_hold, args=(talk, *REQUEST.unpack(request)), name="freeze").start()


def _hold(talk: socket.socket, pid: int, agent: int, limit: float, number_at: int, result_at: int, *calls: int) -> None:
    with talk:
        since = time.monotonic()
        try:
            stopped = _stop_all(pid, agent, since + limit)
        except (_Later, _Gone, _Problem) as error:
            kind = {_Later: LATER, _Gone: GONE, _Problem: PROBLEM}[type(error)]
            _say(talk, kind + str(error).encode())
            return
        except Exception as error:
            _say(talk, PROBLEM + f"{type(error).__name__}: {error}".encode())
            return
        _say(talk, STILL + SINCE.pack(since))
        _until_over(talk, pid, agent, stopped)
        for thread, number in stopped.items():
            if not number and result_at:
                _let_go_on(pid, thread, number_at, result_at, calls)
            ptrace(_DETACH, thread, number)
        _say(talk, ENDED)


def _let_go_on(pid: int, thread: int, number_at: int, result_at: int, calls: tuple[int, ...]) -> None:
    """Let a system call that the stop ended be made again, as if there had been none: the kernel does so for a thread
    whose call ends with ERESTARTNOINTR. Where a signal waits, the program is to see EINTR."""
    registers = ctypes.create_string_buffer(_MOST_REGISTERS)
    area = _Area(ctypes.addressof(registers), len(registers))
    if _libc.ptrace(_GETREGSET, thread, _NT_PRSTATUS, ctypes.addressof(area)) != 0:
        return
    number, result = (_NUMBER.unpack_from(registers, at)[0] for at in (number_at, result_at))
    if number < 0 or number not in calls or result != -errno.EINTR or _has_signal(pid, thread):
        return
    _NUMBER.pack_into(registers, result_at, -_ERESTARTNOINTR)
    _libc.ptrace(_SETREGSET, thread, _NT_PRSTATUS, ctypes.addressof(area))


class _Area(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _has_signal(pid: int, thread: int) -> bool:
    pending, shared, blocked = (int(_field(pid, thread, name) or "0", 16) for name in ("SigPnd", "ShdPnd", "SigBlk"))
    return bool((pending | shared) & ~blocked)


def _until_over(talk: socket.socket, pid: int, agent: int, stopped: dict[int, int]) -> None:
    """Returns when the threads may run, which are `stopped`. From WATCH on, a lock on the sheet tells the agent that
    they are held."""
    sheet = -1
    while True:
        try:
            order, descriptors, _flags, _address = socket.recv_fds(talk, 1 + THREAD.size, 1)
        except OSError:
            order = b""
        if order[:1] == STEP:
            _step(pid, THREAD.unpack(order[1:])[0], stopped)
            _say(talk, STEPPED)
            continue
        if order == WATCH and descriptors:
            sheet = descriptors[0]
            fcntl.lockf(sheet, fcntl.LOCK_EX)
            _say(talk, WATCHED)
            continue
        if order == WRITE and descriptors:
            _say(talk, _write(pid, agent, descriptors[0]))
            os.close(descriptors[0])
            continue
        if sheet >= 0:
            if order != END_ANSWERED:
                _withdraw(sheet, pid, agent)
            os.close(sheet)
        return


def _step(pid: int, thread: int, stopped: dict[int, int]) -> None:
    """A signal that comes meanwhile is the program's, and goes on with the thread; one that has a signal already, or
    stands with its whole process (SIGSTOP), makes no step."""
    if stopped.get(thread) != 0 or _event_of(thread) not in (0, signal.SIGTRAP):
        return
    if not ptrace(_SINGLESTEP, thread):
        return
    is_interrupted, end, rounds = False, time.monotonic() + _LONGEST_STEP, 0
    while (number := _stop_of(pid, thread)) is None:
        if time.monotonic() > end and not is_interrupted:  # the instruction was a system call
            is_interrupted = ptrace(_INTERRUPT, thread)
        rounds += 1
        _pause(rounds)
    if number < 0:
        del stopped[thread]
    elif number != signal.SIGTRAP:
        stopped[thread] = number


def _event_of(thread: int) -> int:
    """The signal with which a thread stands because of an event; 0 where it is none."""
    try:
        found = os.waitid(os.P_PID, thread, os.WSTOPPED | os.WNOHANG | os.WNOWAIT | _WALL)
    except ChildProcessError:
        return 0
    return found.si_status & 0xFF if found and found.si_status >> _EVENT else 0


def _write(pid: int, agent: int, sheet: int) -> bytes:
    """Write the pieces of a sheet, by way of the agent's thread: the first one may have ended. Once it has begun, it
    ends: also where the daemon does not live any more."""
    with mmap.mmap(sheet, 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as content:
        return _write_pieces(pid, agent, content)


def _write_pieces(pid: int, agent: int, content: memoryview) -> bytes:
    pieces = list(PIECE.iter_unpack(content[COUNT.size : COUNT.size + COUNT.unpack_from(content)[0] * PIECE.size]))
    written: list[tuple[int, int, int]] = []
    try:
        memory = os.open(f"/proc/{pid}/task/{agent or pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return PROBLEM + f"its memory may not be written ({os.strerror(error.errno or 0)})".encode()
    try:
        for address, size, at in pieces:
            if os.pread(memory, size, address) != content[at : at + size]:
                return CHANGED
        for address, size, at in pieces:
            written.append((address, size, at))
            if os.pwrite(memory, content[at + size : at + 2 * size], address) != size:
                raise OSError(errno.EIO, "only a part was written")
        return WRITTEN
    except (OSError, OverflowError) as error:
        for address, size, at in reversed(written):
            with contextlib.suppress(OSError):
                os.pwrite(memory, content[at : at + size], address)
        return PROBLEM + f"its memory may not be written ({error})".encode()
    finally:
        os.close(memory)


def _withdraw(sheet: int, pid: int, agent: int) -> None:
    """Tell the agent not to begin; where it has begun, wait until it is done."""
    os.pwrite(sheet, _TRUE, _WITHDRAWN)
    end = time.monotonic() + _LONGEST_CARRY
    while os.pread(sheet, 4, _BEGUN) == _TRUE and os.pread(sheet, 4, _DONE) != _TRUE:
        if time.monotonic() > end or _state(pid, agent) in ("Z", "X", ""):
            return
        time.sleep(_PAUSE)


def _say(talk: socket.socket, text: bytes) -> None:
    try:
        talk.send(text)
    except OSError:  # the daemon has gone
        pass


def _stop_all(pid: int, agent: int, end: float) -> dict[int, int]:
    """Stop the threads, also those that others make meanwhile. Returns the signal that each is to go on with, or 0."""
    stopped: dict[int, int] = {}
    known = {agent}
    while found := _threads(pid) - known:
        known |= found
        waiting = {thread for thread in found if _seize(pid, thread)}
        rounds = 0
        while waiting:
            for thread in list(waiting):
                number = _stop_of(pid, thread)
                if number is not None:
                    waiting.discard(thread)
                    if number >= 0:
                        stopped[thread] = number
            if waiting and time.monotonic() > end:
                raise _Later(f"thread {min(waiting)} does not stop")
            rounds += 1
            if waiting:
                _pause(rounds)
    if _state(pid, agent) == "T":
        _let_run(pid, agent, end)
    return stopped


def _pause(rounds: int) -> None:
    """Between two looks at threads: most stop at once."""
    time.sleep(_PAUSE if rounds > _ROUNDS_WITHOUT_PAUSE else 0)


def _threads(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError as error:
        raise _Gone(f"process {pid} has ended") from error


def _seize(pid: int, thread: int, *, interrupt: bool = True) -> bool:
    """Trace a thread, and tell it to stop. False where it has ended; raises _Problem where it may not be traced."""
    if ptrace(SEIZE, thread) and (not interrupt or ptrace(_INTERRUPT, thread)):
        return True
    reason = os.strerror(ctypes.get_errno())
    if _state(pid, thread) in ("Z", "X", ""):
        return False
    tracer = _field(pid, thread, "TracerPid")
    if tracer not in ("", "0"):
        raise _Problem(f"process {tracer} traces it already")
    raise _Problem(f"its threads may not be held still (ptrace: {reason})")


def _stop_of(pid: int, thread: int) -> int | None:
    """None while a thread runs, -1 if it has ended, or the signal that was on its way to it when it stopped, or 0."""
    try:
        found = os.waitid(os.P_PID, thread, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT | _WALL)
    except ChildProcessError:
        return -1
    if found is None:  # a first thread that has ended waits for the others
        return -1 if _state(pid, thread) in ("Z", "X", "") else None
    if found.si_code not in (os.CLD_TRAPPED, os.CLD_STOPPED):
        os.waitid(os.P_PID, thread, os.WEXITED | os.WNOHANG | _WALL)  # only then it is gone
        return -1
    return 0 if found.si_status >> _EVENT else found.si_status


def _let_run(pid: int, agent: int, end: float) -> None:
    """Where the whole process is stopped (SIGSTOP): let the agent's thread go on for as long as it is held."""
    if not _seize(pid, agent, interrupt=False):  # one that stands still already tells so at once
        raise _Gone(f"process {pid} has ended")
    while _stop_of(pid, agent) is None:
        if time.monotonic() > end:
            raise _Later("the agent does not stop")
        time.sleep(_PAUSE)
    ptrace(_CONT, agent)


def _state(pid: int, thread: int) -> str:
    """The letter of proc(5), /proc/PID/stat; empty where there is no such thread."""
    return _field(pid, thread, "State")[:1]


def _field(pid: int, thread: int, name: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/task/{thread}/status").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def ptrace(request: int, thread: int, data: int = 0) -> bool:
    return bool(_libc.ptrace(request, thread, None, data) == 0)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are the daemon's: this ends after it
        signal.signal(ignored, signal.SIG_IGN)
    _serve(socket.socket(fileno=0))
