"""Which threads are inside some code: with any of their frames, not only the newest."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from liveso.elf.tables import Table
from liveso.machine import Machine
from liveso.process import proc
from liveso.process.holding import NotYetStill
from liveso.process.mapped import MappedObjects, mapped_now
from liveso.process.proc import StillRuns
from liveso.process.stack_words import lie_inside, stack_words
from liveso.process.unwind import unwind
from liveso.process.visit import visit

_MOST_THREADS = 64
_WORD = 8


@dataclass(frozen=True, slots=True)
class Inside:
    """A thread with frames in some code: its number, what it is called (proc(5), comm), and where the functions of
    these frames begin, the newest first; none where its stack is not known to its oldest frame, and may have such."""

    thread: int
    name: str
    functions: tuple[int, ...]


async def threads_inside(pid: int, machine: Machine, ranges: Sequence[range]) -> tuple[Inside, ...]:
    """The threads of a process that are inside `ranges` of code. One whose stack has no address of it is not stopped to
    find out. Raises TargetError where threads may not be stopped, TargetGone."""
    found: list[Inside] = []
    objects = mapped_now(pid, machine)
    for thread in proc.thread_numbers(pid)[:_MOST_THREADS]:
        if _is_surely_outside(pid, thread, objects, ranges):
            continue
        with suppress(NotYetStill):
            async with visit(pid, thread, machine) as it:
                functions = functions_inside(it.stopped.registers, it.objects(), ranges)
            if functions is not None:
                found.append(Inside(thread, proc.thread_name(pid, thread), functions))
    return tuple(found)


def functions_inside(registers: bytes, objects: MappedObjects, ranges: Sequence[range]) -> tuple[int, ...] | None:
    """Where the functions begin whose frames, of a stopped thread, are inside `ranges`; None where there are none.
    Where its frames are not known to the oldest, any word behind them could be an address there."""
    stack = unwind(registers, objects)
    found = tuple(it.function for it in stack.frames if any(it.place in code for code in ranges))
    if found or stack.is_complete:
        return found or None
    facts = objects.machine.frames
    places = facts.places if facts else ()
    start = int.from_bytes(registers[places[facts.stack_pointer] :][:_WORD], "little") if facts else 0
    if stack.frames:
        start = stack.frames[-1].stack_pointer
    words = stack_words(objects.memory, objects.mappings, start)
    return () if words is None or _has_address(words, ranges) else None


def _is_surely_outside(pid: int, thread: int, objects: MappedObjects, ranges: Sequence[range]) -> bool:
    """Whether a thread that waits in a system call has nothing on its stack that could be an address in `ranges`."""
    try:
        at = proc.position(pid, thread)
    except StillRuns:
        return False
    if at is None:
        return True
    words = stack_words(objects.memory, objects.mappings, at.stack)
    return words is not None and not _has_address(words, ranges) and not any(at.code in it for it in ranges)


def _has_address(words: Table, ranges: Sequence[range]) -> bool:
    return any(bool(lie_inside(words, it).any()) for it in ranges)
