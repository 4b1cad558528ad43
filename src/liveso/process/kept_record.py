"""The record of its updates that a visited process keeps: in memory of its own, to which struct live_area leads.

That memory is two rooms, of which one is in use: the next record goes into the other one, from outside. Where the rooms
are stands behind the record, for the next daemon; one that live.so's thread has left has nothing there.
"""

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from liveso.errors import TargetError, TargetGone
from liveso.process.announcement import whose
from liveso.process.arrival import CALL_LIMIT, Arrived, new_memory
from liveso.process.protocol import AREA
from liveso.process.visit import Visit
from liveso.process.withheld import in_time
from liveso.process.written import opened_memory, read_at, write_at

_ADDRESS = _SIZE = struct.Struct("=Q")
_ROOMS = struct.Struct("=8sQQ")
_MARK = b"live-two"
_LARGEST = 1 << 28  # bytes
_LARGEST_PAGE = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class _Rooms:
    """Where the first begins, and the bytes of each; the second follows."""

    start: int
    capacity: int

    def block(self, record: bytes) -> bytes:
        return _SIZE.pack(len(record)) + record + _ROOMS.pack(_MARK, self.start, self.capacity)

    def besides(self, place: int) -> int:
        """The room that the record at an address is not in."""
        return self.start if place != self.start else self.start + self.capacity


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record, the address of what begins with its size, and its rooms."""

    place: int
    record: bytes
    rooms: _Rooms | None

    @property
    def memory(self) -> tuple[int, int]:
        """Address and size in bytes of all that was mapped for it."""
        if self.rooms:
            return self.rooms.start, 2 * self.rooms.capacity
        return self.place, _SIZE.size + len(self.record)


def read_record(pid: int, thread: int, live: Arrived) -> bytes:
    """The record, empty where there is none. Raises TargetError where it is damaged, TargetGone."""
    found = in_time(pid, partial(_read, pid, thread, live.area))
    return found.record if found else b""


def _read(pid: int, thread: int, area: int) -> _Kept | None:
    with opened_memory(pid, thread, os.O_RDONLY) as memory:
        (place,) = _ADDRESS.unpack(read_at(memory, area, _ADDRESS.size))
        return _kept(memory, place)


def _kept(memory: int, place: int) -> _Kept | None:
    if not place:
        return None
    (size,) = _SIZE.unpack(read_at(memory, place, _SIZE.size))
    if size > _LARGEST:
        raise TargetError("the record of its updates is damaged")
    record = read_at(memory, place + _SIZE.size, size)
    with suppress(TargetError):  # nothing need be mapped behind it
        mark, start, capacity = _ROOMS.unpack(read_at(memory, place + _SIZE.size + size, _ROOMS.size))
        if mark == _MARK and place in (start, start + capacity):
            return _Kept(place, record, _Rooms(start, capacity))
    return _Kept(place, record, None)


def write_record(pid: int, thread: int, live: Arrived, socket: str, record: bytes) -> bool:
    """Let a record take the place of the one before; False where that has no rooms, or too small ones.

    Raises TargetGone where another daemon than the one at `socket` serves the process by now, or it executes another
    program, TargetError.
    """
    return in_time(pid, partial(_exchange, pid, thread, live.area, socket, record))


def _exchange(pid: int, thread: int, area: int, socket: str, record: bytes) -> bool:
    with opened_memory(pid, thread, os.O_RDWR) as memory:
        content = read_at(memory, area, AREA.size)
        if whose(content) != socket:
            raise TargetGone(f"process {pid} executes another program, or is served by another daemon")
        now = _kept(memory, AREA.unpack(content)[0])
        if now is None or now.rooms is None:
            return False
        block = now.rooms.block(record)
        if len(block) > now.rooms.capacity:
            return False
        room = now.rooms.besides(now.place)
        write_at(memory, room, block)
        write_at(memory, area, _ADDRESS.pack(room))
        return True


async def make_rooms(it: Visit, functions: Mapping[str, int], live: Arrived, record: bytes) -> None:
    """Let a record take the place of the one before in new memory, which has room for a longer one. Raises TargetError
    where there is none."""
    block = _SIZE.size + len(record) + _ROOMS.size
    capacity = -(-2 * block // _LARGEST_PAGE) * _LARGEST_PAGE
    rooms = _Rooms(await new_memory(it, functions, live.place, 2 * capacity), capacity)
    before = in_time(it.pid, partial(_read, it.pid, it.thread, live.area))
    it.write(rooms.start, rooms.block(record))
    it.write(live.area, _ADDRESS.pack(rooms.start))
    if before:
        await it.call(functions["munmap"], list(before.memory), live.place, limit=CALL_LIMIT)
