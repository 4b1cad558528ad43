"""Visits of a thread that is at a safe point: which one, and what it must find as it left it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

from liveso.errors import TargetGone
from liveso.machine import Machine
from liveso.process import proc
from liveso.process.holding import NotYetStill
from liveso.process.mapped import MappedObjects
from liveso.process.safe_point import unsafe
from liveso.process.unwind import unwind
from liveso.process.visit import Visit, visit
from liveso.process.withheld import in_one_go

_PATIENCE = 10.0  # seconds until some thread is at a safe point
_PAUSE = 0.02  # seconds between two looks at all threads
_MOST_THREADS = 64  # that are looked at one after another
_LONGEST_JUDGEMENT = 0.005  # seconds: what took longer was read for the first time


class NoSafePoint(NotYetStill):
    """No thread came to where it may be let make a call."""


@asynccontextmanager
async def safe_visit(
    pid: int, machine: Machine, *, anywhere: bool = False
) -> AsyncIterator[tuple[Visit, MappedObjects]]:
    """Stop a thread of a process at a safe point, for as long as the block lasts; and what the process has mapped then.
    Where the thread is to make nothing but system calls, it may be `anywhere`.

    Raises NoSafePoint where none comes to one, TargetError where threads may not be stopped, TargetGone.
    """
    async with AsyncExitStack() as stack:
        yield await _stopped(pid, machine, anywhere, stack)


async def _stopped(pid: int, machine: Machine, anywhere: bool, stack: AsyncExitStack) -> tuple[Visit, MappedObjects]:
    end, reason = time.monotonic() + _PATIENCE, ""
    while True:
        for thread in in_order(pid)[:_MOST_THREADS]:
            found = await _attempt(pid, thread, machine, anywhere, stack)
            if not isinstance(found, str):
                return found
            reason = found or reason
        if not proc.thread_numbers(pid) or not proc.has_memory(pid):
            raise TargetGone(f"process {pid} has ended")
        if time.monotonic() > end:
            raise NoSafePoint(f"no thread comes to where it may be visited: {reason}")
        await asyncio.sleep(_PAUSE)


async def _attempt(
    pid: int, thread: int, machine: Machine, anywhere: bool, stack: AsyncExitStack
) -> tuple[Visit, MappedObjects] | str:
    """Stop a thread, until the end of the stack, if it is at a safe point; else why it is not, empty if it has ended.
    Where it takes long to tell, for the first time, it is not held for that: it is stopped once more."""
    may_be_first = not anywhere
    while True:
        since = time.monotonic()
        async with AsyncExitStack() as attempt:
            try:
                it = await attempt.enter_async_context(visit(pid, thread, machine))
                objects, reason = in_one_go(pid, partial(_judged, it, anywhere))
            except NotYetStill as error:
                return str(error)
            except TargetGone:
                return ""
            if reason:
                return f"thread {thread} is {reason}"
            if not may_be_first or time.monotonic() - since <= _LONGEST_JUDGEMENT:
                stack.push_async_exit(attempt.pop_all())
                return it, objects
            may_be_first = False


def _judged(it: Visit, anywhere: bool) -> tuple[MappedObjects, str]:
    """What the process has mapped, and why the thread is not to be visited here; empty where it is."""
    objects = it.objects()
    return objects, _why_never(it) or ("" if anywhere else _why_not(it, objects))


def _why_never(it: Visit) -> str:
    """Why the thread is let make no call anywhere: one that nobody called would not return."""
    if it.has_unkept:
        return "in a state that it would lose in a call (SME, or a guarded stack)"
    return "guarded by a shadow stack" if proc.has_shadow_stack(it.pid, it.thread) else ""


def _why_not(it: Visit, objects: MappedObjects) -> str:
    if it.is_stopped:
        return "stopped with its whole process (SIGSTOP)"
    if not it.suspends_filters and proc.system_call_filters(it.pid, it.thread):
        return "restricted by a filter of system calls (seccomp), which only root's daemon may suspend"
    return unsafe(unwind(it.stopped.registers, objects), it.system_call, objects, it.stopped.registers)


def in_order(pid: int) -> list[int]:
    """The threads of a process, those that wait in a system call first: most of these are at a safe point."""
    found: list[tuple[bool, int]] = []
    for thread in proc.thread_numbers(pid):
        try:
            at = proc.position(pid, thread)
        except TargetGone:
            continue
        except proc.StillRuns:
            found.append((True, thread))
            continue
        if at is not None:
            found.append((not at.is_in_call, thread))
    return [thread for _runs, thread in sorted(found)]


@contextmanager
def kept_errors(it: Visit, errno_at: int, result_at: int) -> Iterator[None]:
    """What the thread's calls leave in errno, and as what dlerror(3) is to say, is as it was after the block: its
    program may be about to look. The result is at `result_at`, 0 where that is not known. Of a thread that is adrift
    nobody knows when that would be."""
    kept = in_one_go(it.pid, partial(_take_errors, it, errno_at, result_at))
    try:
        yield
    finally:
        if not it.is_adrift:
            in_one_go(it.pid, partial(_write_all, it, kept))


def _take_errors(it: Visit, errno_at: int, result_at: int) -> dict[int, bytes]:
    kept = {errno_at: it.read(errno_at, 4)}
    if result_at:
        kept[result_at] = it.read(result_at, 8)
        it.write(result_at, bytes(8))  # else the next call would free it
    return kept


def _write_all(it: Visit, contents: dict[int, bytes]) -> None:
    for address, content in contents.items():
        it.write(address, content)
