"""Carry a target's mappings of a file over to the store's copy of it, before the file is overwritten in place."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from liveso.apply.target import Target
from liveso.errors import Refused, TargetError
from liveso.process import memory_map, proc
from liveso.process.agent import Withdrawn
from liveso.process.holding import NotYetStill, start_holder
from liveso.process.memory_map import MappedFile, Mapping

_SHORTEST, _LONGEST = 0.25, 2.0  # seconds that the threads that stand already wait for the others
_PAUSE = 0.3  # seconds for them to get on before the next attempt


@dataclass(frozen=True, slots=True)
class Carried:
    """What the target has mapped now, and for how long its threads stood still, in ms."""

    file: MappedFile
    held: float


async def carry(target: Target, file: MappedFile, copy: Path, end: float) -> Carried:
    """Let the target's mappings of `file` be mappings of its `copy`, with all that is different in them.

    Raises TargetError or Refused where that cannot be; NotYetStill or Withdrawn where it did not come to it
    before `end` (time.monotonic()).
    """
    if proc.system_call_filters(target.pid, target.hello.thread) > target.system_call_filters:
        raise Refused("the program filters its system calls since it started (seccomp), the agent's could end it")
    start_holder()
    limit = _SHORTEST
    while True:
        try:
            async with asyncio.timeout(max(limit, end - time.monotonic())):
                return await _carry(target, file, str(copy), limit)
        except TimeoutError as error:
            raise TargetError("its agent is busy with something else") from error
        except (NotYetStill, Withdrawn):
            if time.monotonic() + _PAUSE + limit > end:
                raise
        await asyncio.sleep(_PAUSE)
        limit = min(_LONGEST, 2 * limit)


async def _carry(target: Target, file: MappedFile, copy: str, limit: float) -> Carried:
    pid, thread = target.pid, target.hello.thread
    parts: list[Mapping] = []

    def found() -> list[Mapping]:
        parts[:] = mappings_of(pid, thread, file)
        return parts

    held = await target.agent.carry(pid, copy, found, limit)
    first = parts[0].start if parts else -1
    now = next((it.file for it in memory_map.mappings(pid, thread) if it.start <= first < it.end), file)
    return Carried(now, held)


def mappings_of(pid: int, thread: int, file: MappedFile) -> list[Mapping]:
    """What a process has mapped of a file for itself; where it shares a mapping, it wants to see what changes."""
    return [it for it in memory_map.mappings(pid, thread) if it.file == file and not it.is_shared]
