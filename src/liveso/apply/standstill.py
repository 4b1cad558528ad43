"""Writes into a target while none of its threads runs, and none is where code changes."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from liveso.apply.from_inside import write_from_inside
from liveso.apply.outside import require_outside
from liveso.apply.target import Target
from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.process import memory_map, proc
from liveso.process.freeze import Freeze, still, written_down
from liveso.process.holding import NotYetStill, start_holder
from liveso.process.memory_map import Mapping
from liveso.process.proc import Position
from liveso.process.protocol import Piece
from liveso.process.sheet import Sheet

_SHORTEST, _LONGEST = 0.25, 2.0  # seconds that the threads that stand already wait for the others
_PAUSE = 0.05  # seconds for them to get on before the next attempt
_PATIENCE = 15.0  # seconds
_MOST_STACK = 8 << 20  # bytes of one thread


async def write_still(
    target: Target,
    pieces: Sequence[Piece],
    places: Table,
    size: int,
    avoided: Sequence[range] = (),
    while_still: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Write all pieces or none. `places` are the addresses at which `size` bytes of code change; no thread may be
    inside the code that is `avoided`, with any of its frames. `while_still` is entered for as long as a thread may be
    held, each time they are.

    Raises MemoryChanged where something is not as expected, TargetError where the threads cannot be held still, or not
    in time.
    """
    if not pieces:
        return
    start_holder()
    if target.agent.is_translated:
        await write_from_inside(target, pieces)
        return
    end, limit = time.monotonic() + _PATIENCE, _SHORTEST
    places = np.sort(places.astype("<u8"))
    with written_down(pieces) as sheet:
        while True:
            try:
                with while_still():
                    await _write(target, sheet, places, size, limit, avoided)
                return
            except NotYetStill:
                if time.monotonic() + _PAUSE + limit > end:
                    raise
            await asyncio.sleep(_PAUSE)
            limit = min(_LONGEST, 2 * limit)


async def _write(
    target: Target, pieces: Sheet, places: Table, size: int, limit: float, avoided: Sequence[range]
) -> None:
    pid, spared = target.pid, target.agent.spared
    mappings = memory_map.mappings(pid, target.hello.thread)
    async with still(pid, spared, limit) as freeze:
        if len(places):
            for it in proc.positions(pid, spared):
                thread = await _outside(target, freeze, it, places, size)
                if thread:
                    _require_not_awaited(target, thread, mappings, places, size)
        if avoided:
            threads = [it for it in proc.thread_numbers(pid) if it != spared]
            await require_outside(target, freeze, threads, avoided)
        await freeze.write(pieces)


async def _outside(target: Target, freeze: Freeze, thread: Position, places: Table, size: int) -> Position | None:
    """Where a thread is after as many steps as it needs to get out of what changes; None where it has ended. Raises
    NotYetStill where it does not."""
    found: Position | None = thread
    for _step in range(size + 1):
        if not found or not lies_inside(np.array([found.code], "<u8"), places, size):
            return found
        if found.is_in_call:
            break
        await freeze.step(found.thread)
        found = proc.position(target.pid, found.thread)
    raise NotYetStill(f"thread {thread.thread} is at the beginning of a function that changes")


def _require_not_awaited(
    target: Target, thread: Position, mappings: Sequence[Mapping], places: Table, size: int
) -> None:
    """Raise NotYetStill where a thread will come back to behind the beginning of what changes: a signal's handler
    returns to where the signal came, and its stack has the address."""
    index = bisect_right(mappings, thread.stack, key=lambda it: it.start) - 1
    start = thread.stack // 8 * 8
    stop = min(mappings[index].end, start + _MOST_STACK) if index >= 0 else start
    content = proc.read_memory(target.pid, target.hello.thread, start, stop - start) if stop > start else b""
    if lies_inside(np.frombuffer(content[: len(content) // 8 * 8], "<u8"), places, size):
        raise NotYetStill(f"thread {thread.thread} comes back to the beginning of a function that changes")


def lies_inside(words: Table, places: Table, size: int) -> bool:
    """Whether one of `words` is an address behind one of the sorted `places`, less than `size` bytes."""
    words = words[(words > places[0]) & (words < places[-1] + np.uint64(size))]
    before = places[np.maximum(np.searchsorted(places, words, side="right").astype("<i8") - 1, 0)]
    return bool(((words > before) & (words < before + np.uint64(size))).any())


async def undo(target: Target, pieces: Sequence[Piece], places: Table, size: int) -> bool:
    """Write what was there before. False where that cannot be done."""
    try:
        await write_still(
            target, [Piece(address, content, expected) for address, expected, content in pieces], places, size
        )
        return True
    except TargetGone:
        raise
    except TargetError:
        return False
