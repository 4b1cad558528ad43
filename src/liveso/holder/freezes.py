"""All threads of a process stand still but one."""

import contextlib
import errno
import fcntl
import math
import mmap
import os
import signal
import socket
import time

from liveso.holder.orders import (
    CHANGED,
    COUNT,
    END_ANSWERED,
    ENDED,
    PIECE,
    PROBLEM,
    READ,
    REGISTERS,
    SINCE,
    STEP,
    STEPPED,
    STILL,
    THREAD,
    WATCH,
    WATCHED,
    WRITE,
    WRITTEN,
    hear,
    say,
)
from liveso.holder.problems import Gone, Later
from liveso.holder.registers import CONT, INTERRUPT, SINGLESTEP, ptrace
from liveso.holder.stops import (
    EVENT,
    let_all_go,
    pause,
    seize,
    status_of,
    stop_all,
    stop_of,
    wait_for_stop,
)
from liveso.holder.threads import has_signal, state
from liveso.holder.waits import Waits

_LONGEST_CARRY = 60.0  # seconds
_LONGEST_STEP = 0.01  # seconds
_WITHDRAWN, _BEGUN, _DONE = 0, 4, 12  # offsets of words (struct live_carry, agent/protocol.h)
_TRUE = (1).to_bytes(4, "little")


def freeze(talk: socket.socket, agent: int, limit: float, waits: Waits) -> None:
    """Hold the threads until the end of the talk. Raises Later, Gone or Problem where that cannot be."""
    since, pid = time.monotonic(), waits.pid
    stopped = stop_all(agent, since + limit, waits)
    try:
        if agent and state(pid, agent) == "T":
            _let_run(pid, agent, since + limit)
        say(talk, STILL + SINCE.pack(since))  # where the daemon has gone, the talk is over
        _until_over(talk, agent, stopped, waits)
    finally:
        let_all_go(stopped, waits)
    say(talk, ENDED)


def _let_run(pid: int, agent: int, end: float) -> None:
    """Where the whole process is stopped (SIGSTOP): let the agent's thread go on for as long as it is held."""
    if not seize(pid, agent):  # one that stands still already tells so at once
        raise Gone(f"process {pid} has ended")
    if wait_for_stop(pid, agent, end) is None:
        raise Later("the agent does not stop")
    ptrace(CONT, agent)


def _until_over(talk: socket.socket, agent: int, stopped: dict[int, int], waits: Waits) -> None:
    """Returns when the threads may run, which are `stopped`. From WATCH on, a lock on the sheet tells the agent that
    they are held."""
    sheet, pid = -1, waits.pid
    while True:
        order, descriptors = hear(talk, 1 + THREAD.size)
        if order[:1] == STEP:
            _step(waits, THREAD.unpack(order[1:])[0], stopped)
            say(talk, STEPPED)
            continue
        if order[:1] == REGISTERS:
            thread = THREAD.unpack(order[1:])[0]
            say(talk, READ + (waits.registers(thread) if thread in stopped else b""))
            continue
        if order == WATCH and descriptors:
            sheet = descriptors[0]
            fcntl.lockf(sheet, fcntl.LOCK_EX)
            say(talk, WATCHED)
            continue
        if order == WRITE and descriptors:
            say(talk, _write(pid, agent or next(iter(stopped), pid), descriptors[0]))
            os.close(descriptors[0])
            continue
        if sheet >= 0:
            if order != END_ANSWERED:
                _withdraw(sheet, pid, agent)
            os.close(sheet)
        return


def _step(waits: Waits, thread: int, stopped: dict[int, int]) -> None:
    """A signal that comes meanwhile is the program's, and goes on with the thread; one that has a signal already,
    stands with its whole process (SIGSTOP), or is about to make a system call, makes no step. The step's own signal is
    waited for: it would end the program."""
    pid = waits.pid
    if stopped.get(thread) != 0 or _event_of(pid, thread) not in (0, signal.SIGTRAP) or waits.is_at_call(thread):
        return
    if not ptrace(SINGLESTEP, thread):
        return
    is_interrupted, end, rounds = False, time.monotonic() + _LONGEST_STEP, 0
    while (number := stop_of(pid, thread)) is None:
        if time.monotonic() > end and not is_interrupted:  # the instruction was a system call
            is_interrupted = ptrace(INTERRUPT, thread)
        rounds += 1
        pause(rounds)
    # where the step was over when it was interrupted, its signal is still to come
    while number == 0 and is_interrupted and has_signal(pid, thread, "SigPnd", signal.SIGTRAP):
        ptrace(CONT, thread)
        wait_for_stop(pid, thread, math.inf)
        number = stop_of(pid, thread) or 0
    if number < 0:
        del stopped[thread]
    elif number != signal.SIGTRAP:
        stopped[thread] = number


def _event_of(pid: int, thread: int) -> int:
    """The signal with which a thread stands because of an event; 0 where it is none."""
    status = status_of(pid, thread) or 0
    return status & 0xFF if status > 0 and status >> EVENT else 0


def _write(pid: int, thread: int, sheet: int) -> bytes:
    """Write the pieces of a sheet, by way of a thread that has not ended. Once it has begun, it
    ends: also where the daemon does not live any more."""
    with mmap.mmap(sheet, 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as content:
        return _write_pieces(pid, thread, content)


def _write_pieces(pid: int, thread: int, content: memoryview) -> bytes:
    pieces = list(PIECE.iter_unpack(content[COUNT.size : COUNT.size + COUNT.unpack_from(content)[0] * PIECE.size]))
    written: list[tuple[int, int, int]] = []
    try:
        memory = os.open(f"/proc/{pid}/task/{thread}/mem", os.O_RDWR | os.O_CLOEXEC)
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
    end, rounds = time.monotonic() + _LONGEST_CARRY, 0
    while os.pread(sheet, 4, _BEGUN) == _TRUE and os.pread(sheet, 4, _DONE) != _TRUE:
        if time.monotonic() > end or state(pid, agent) in ("Z", "X", ""):
            return
        rounds += 1
        pause(rounds)
