"""Holds all threads of a target still but the agent's (ptrace(2)).

Only the thread that stops another may let it go, so each freeze has a thread of its own. When that ends, or the whole
daemon does, the kernel lets all go: they are looked at in a way (WNOWAIT) that leaves their signals with them.
"""

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from liveso.errors import TargetError, TargetGone

_CONT, _DETACH, _SEIZE, _INTERRUPT = 7, 17, 0x4206, 0x4207  # the same on every machine
_EVENT = 8  # si_status has the signal in its lowest byte, and above it the event, where the stop is no signal's
_WALL = 0x4000_0000
_PAUSE, _ROUNDS_WITHOUT_PAUSE = 0.0005, 20  # seconds

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class NotYetStill(TargetError):
    """A thread cannot be stopped now; a moment later it can."""


@asynccontextmanager
async def still(pid: int, agent: int, limit: float) -> AsyncIterator[None]:
    """All threads of a process but the agent's stand still inside the block.

    Raises NotYetStill where one did not stop within `limit` seconds, TargetError where they may not be stopped.
    """
    loop = asyncio.get_running_loop()
    reached: asyncio.Future[TargetError | None] = loop.create_future()
    over: asyncio.Future[TargetError | None] = loop.create_future()
    end = threading.Event()

    def hold() -> None:
        _hold(pid, agent, limit, lambda problem: _tell(loop, reached, problem), end)
        _tell(loop, over, None)

    threading.Thread(target=hold, daemon=True, name="freeze").start()
    try:
        problem = await reached
        if problem is not None:
            raise problem
        yield
    finally:
        end.set()
        await over


def _tell(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[TargetError | None], problem: TargetError | None
) -> None:
    loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(problem))


def _hold(
    pid: int, agent: int, limit: float, report: Callable[[TargetError | None], None], end: threading.Event
) -> None:
    try:
        stopped = _stop_all(pid, agent, time.monotonic() + limit)
    except TargetError as error:
        report(error)
        return
    except Exception as error:
        report(TargetError(f"{type(error).__name__}: {error}"))
        return
    report(None)
    end.wait()
    for thread, number in stopped.items():
        _ptrace(_DETACH, thread, number)


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
                raise NotYetStill(f"thread {min(waiting)} does not stop")
            rounds += 1
            if waiting:
                time.sleep(_PAUSE if rounds > _ROUNDS_WITHOUT_PAUSE else 0)
    if _state(pid, agent) == "T":
        _let_run(pid, agent, end)
    return stopped


def _threads(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def _seize(pid: int, thread: int, *, interrupt: bool = True) -> bool:
    """Trace a thread, and tell it to stop. False where it has ended; raises TargetError where it may not be traced."""
    if _ptrace(_SEIZE, thread) and (not interrupt or _ptrace(_INTERRUPT, thread)):
        return True
    reason = os.strerror(ctypes.get_errno())
    if _state(pid, thread) in ("Z", "X", ""):
        return False
    tracer = _field(pid, thread, "TracerPid")
    if tracer not in ("", "0"):
        raise TargetError(f"process {tracer} traces it already")
    raise TargetError(f"its threads may not be held still (ptrace: {reason})")


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
        raise TargetGone(f"process {pid} has ended")
    while _stop_of(pid, agent) is None:
        if time.monotonic() > end:
            raise NotYetStill("the agent does not stop")
        time.sleep(_PAUSE)
    _ptrace(_CONT, agent)


def _state(pid: int, thread: int) -> str:
    """The letter of proc(5), /proc/PID/stat; empty where there is no such thread."""
    return _field(pid, thread, "State")[:1]


def _field(pid: int, thread: int, name: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/task/{thread}/status").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def _ptrace(request: int, thread: int, data: int = 0) -> bool:
    return bool(_libc.ptrace(request, thread, None, data) == 0)
