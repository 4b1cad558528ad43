"""Threads that are stopped, looked at, and let go (ptrace(2))."""

import ctypes
import os
import time
from pathlib import Path

from liveso.holder.problems import Gone, Later, Problem
from liveso.holder.registers import DETACH, INTERRUPT, SEIZE, ptrace
from liveso.holder.threads import field_of, state, threads_of
from liveso.holder.waits import Waits

EVENT = 8
"""A status (si_status, ptrace(2)) has the signal in its lowest byte, and above it the event, where the stop is no
signal's."""
WALL = 0x4000_0000
_SETOPTIONS = 0x4200
_SYSTEM_CALLS_ARE_MARKED, _FILTERS_ARE_SUSPENDED = 1, 1 << 21  # PTRACE_O_TRACESYSGOOD, PTRACE_O_SUSPEND_SECCOMP
_ROUNDS_WITHOUT_PAUSE, _ROUNDS_WITH_SHORT_PAUSE = 20, 200
_SHORT_PAUSE, _PAUSE = 0.00005, 0.0005  # seconds
_LATEST_STOP = 5.0  # seconds
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def stop_all(besides: int, end: float, waits: Waits) -> dict[int, int]:
    """Stop the threads, also those that others make meanwhile. Returns the signal that each is to go on with, or 0.
    Where one does not stop by the time `end`, or may not be stopped, all go on (Later, Problem)."""
    stopped: dict[int, int] = {}
    waiting: set[int] = set()
    known, pid = {besides}, waits.pid
    try:
        while found := threads_of(pid) - known:
            known |= found
            for thread in found:
                if stop(thread, waits):
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
        let_all_go(stopped, waits)
        give_up(waiting, waits)
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


def give_up(waiting: set[int], waits: Waits) -> None:
    """Let threads go on that were told to stop, and do not yet. A wait that this ends (EINTR) goes on only for a thread
    that stands before it is let go; one that cannot be interrupted is in none."""
    end, rounds, pid = time.monotonic() + _LATEST_STOP, 0, waits.pid
    while waiting and time.monotonic() < end:
        let_all_go(_stops(pid, waiting), waits)
        waiting -= {thread for thread in waiting if state(pid, thread) == "D"}
        rounds += 1
        pause(rounds)


def pause(rounds: int) -> None:
    """Between two looks at threads: most stop at once, and the others need the processor for it."""
    if rounds > _ROUNDS_WITHOUT_PAUSE:
        time.sleep(_PAUSE if rounds > _ROUNDS_WITH_SHORT_PAUSE else _SHORT_PAUSE)


def stop(thread: int, waits: Waits) -> bool:
    """Trace a thread, and tell it to stop. False where it has ended; raises Problem where it may not be traced."""
    if not seize(waits.pid, thread):
        return False
    waits.note(thread)
    return ptrace(INTERRUPT, thread)


def seize(pid: int, thread: int) -> bool:
    """Trace a thread, which goes on. False where it has ended; raises Problem where it may not be traced."""
    if ptrace(SEIZE, thread):
        return True
    reason = os.strerror(ctypes.get_errno())
    if state(pid, thread) in ("Z", "X", ""):
        return False
    tracer = field_of(pid, thread, "TracerPid")
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


def suspend_filters(thread: int) -> bool:
    """Let stops at system calls be told from others, and no filter of system calls hold for the thread as long as it is
    traced, which only root may; whether that is so."""
    if ptrace(_SETOPTIONS, thread, _SYSTEM_CALLS_ARE_MARKED | _FILTERS_ARE_SUSPENDED):
        return True
    ptrace(_SETOPTIONS, thread, _SYSTEM_CALLS_ARE_MARKED)
    return False


def let_all_go(stopped: dict[int, int], waits: Waits) -> None:
    """Let threads go on, each with a signal or 0."""
    for thread, number in stopped.items():
        waits.let_go_on(thread, number)  # a signal that has no handler ends no wait, either
        ptrace(DETACH, thread, number)
