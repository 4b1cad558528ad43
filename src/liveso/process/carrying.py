"""Lays what a process has mapped of a file onto a copy of it, in a visit: with nothing but system calls, so that it may
be anywhere."""

import os
import time
from pathlib import Path

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.holder.orders import ALONE_FROM_NOW
from liveso.process import protocol
from liveso.process.agent import Parts
from liveso.process.arrival import Arrived
from liveso.process.memory_map import Mapping
from liveso.process.pages import PAGE
from liveso.process.visit import Visit

_PIECE = 1 << 22  # bytes
_LONGEST_PATH = 4096
_LONGEST_MOVE = 60.0
"""Seconds that mappings may take to move. Where a call takes too long, the other threads are let go; what they wrote
then would be lost with the pages that are replaced later. It waits for nothing but the kernel."""


async def carry(it: Visit, live: Arrived, path: str, parts: Parts, limit: float) -> float:
    """As Agent.carry. The new mappings are made at another place, get what is different in the old ones, and then take
    their places, while no other thread runs."""
    since = time.monotonic()
    name, table = live.spare, live.spare + _LONGEST_PATH
    it.write(name, os.fsencode(path) + b"\0")
    await it.call(live.mapper, [name, table, 0], live.place, limit=limit, standstill=ALONE_FROM_NOW)
    found = parts()
    rows = [protocol.PART.pack(part.start, part.end - part.start, part.offset, 0, part.protection, 0) for part in found]
    it.write(table, b"".join(rows))
    failure = await it.call(live.mapper, [name, table, len(found)], live.place, limit=limit)
    if failure:
        raise TargetError(f"{path} cannot be mapped there ({os.strerror(failure)})")
    places = [row[3] for row in protocol.PART.iter_unpack(it.read(table, len(found) * protocol.PART.size))]
    with Path(path).open("rb") as copy:
        for part, place in zip(found, places, strict=True):
            for at in range(0, part.end - part.start, _PIECE):
                size = min(_PIECE, part.end - part.start - at)
                _keep(it, part, place, at, os.pread(copy.fileno(), size, part.offset + at).ljust(size, b"\0"))
    failure = await it.call(live.mover, [table, len(found)], live.place, limit=_LONGEST_MOVE)
    if failure:
        raise TargetError(f"its mappings cannot be moved ({os.strerror(failure)})")
    return (time.monotonic() - since) * 1000


def _keep(it: Visit, part: Mapping, place: int, at: int, then: bytes) -> None:
    """Let a new mapping at `place` hold what the old one holds from `at` on, where that is not the file's: `then`."""
    content = it.read_some(part.start + at, len(then))
    if len(content) != len(then):
        if part.protection:
            raise TargetError("memory is not mapped as expected")
        return
    if content == then:
        return
    now, before = (np.frombuffer(each, np.uint8).reshape(-1, PAGE) for each in (content, then))
    if part.is_executable:  # what the kernel has set there belongs to the first file, and would end the program
        now = _without_breakpoints(now, before, it.machine.breakpoint)
    for index in np.flatnonzero((now != before).any(axis=1)).tolist():
        it.write(place + at + index * PAGE, now[index].tobytes())


def _without_breakpoints(now: Table, before: Table, breakpoint: bytes) -> Table:
    """What the code `before` is `now`, without the kernel's probes (uprobes): rows of pages."""
    shape = now.shape
    now, before = (each.reshape(-1, len(breakpoint)) for each in (now, before))
    is_probe = (now == np.frombuffer(breakpoint, np.uint8)).all(axis=1)
    found: Table = np.where(is_probe[:, None], before, now).reshape(shape)
    return found
