"""The record of a visited process: here this process is one, as far as the memory goes that the record is in."""

import ctypes
import os
import struct

import pytest

from liveso.errors import TargetError, TargetGone
from liveso.process.arrival import Arrived
from liveso.process.kept_record import read_record, write_record
from liveso.process.memory_map import MappedFile, Mapping
from liveso.process.protocol import AREA, AREA_VERSION, Mode
from liveso.process.visit import Place

SOCKET = "/run/liveso.sock"
CAPACITY = 256
SIZE, ROOMS = struct.Struct("=Q"), struct.Struct("=8sQQ")


class Memory:
    """struct live_area, and two rooms."""

    def __init__(self, socket: str = SOCKET) -> None:
        self.area = ctypes.create_string_buffer(AREA.size)
        self.rooms = ctypes.create_string_buffer(2 * CAPACITY)
        self.area.raw = AREA.pack(0, AREA_VERSION, Mode.VISITED, 0, 0, socket.encode())
        part = Mapping(0, 0, 0, False, 0, MappedFile("", 0, ""))
        self.live = Arrived(part, Place(0, 0), 0, ctypes.addressof(self.area), 0, 0, 0)

    @property
    def place(self) -> int:
        place: int = AREA.unpack(self.area.raw)[0]
        return place

    def put(self, record: bytes, *, has_rooms: bool = True, capacity: int = CAPACITY) -> None:
        start = ctypes.addressof(self.rooms)
        behind = ROOMS.pack(b"live-two", start, capacity) if has_rooms else bytes(ROOMS.size)
        block = SIZE.pack(len(record)) + record + behind
        ctypes.memmove(start, block, len(block))
        ctypes.memmove(self.area, SIZE.pack(start), SIZE.size)

    def read(self) -> bytes:
        return read_record(os.getpid(), os.getpid(), self.live)

    def write(self, record: bytes) -> bool:
        return write_record(os.getpid(), os.getpid(), self.live, SOCKET, record)


def test_records_take_turns_in_two_rooms() -> None:
    memory = Memory()
    assert memory.read() == b""
    memory.put(b"first")
    start = memory.place
    places: list[int] = []
    for record in (b"second", b"", b"a third, longer one", b"4"):
        before = memory.rooms.raw
        assert memory.write(record) and memory.read() == record
        room = places[-1] - start if places else 0
        assert memory.rooms.raw[room : room + 16] == before[room : room + 16]  # whole until the new one is in force
        places.append(memory.place)
    assert places == [start + CAPACITY, start, start + CAPACITY, start]


def test_a_record_without_room_is_left_as_it_is() -> None:
    memory = Memory()
    assert not memory.write(b"first")
    memory.put(b"by a thread of live.so's", has_rooms=False)
    assert not memory.write(b"second") and memory.read() == b"by a thread of live.so's"
    memory.put(b"first")
    largest = CAPACITY - SIZE.size - ROOMS.size
    assert not memory.write(bytes(largest + 1)) and memory.read() == b"first"
    assert memory.write(bytes(largest)) and memory.read() == bytes(largest)


@pytest.mark.parametrize("socket", ["", "/another"])
def test_nothing_is_written_where_another_program_or_daemon_is(socket: str) -> None:
    memory = Memory(socket)
    memory.put(b"first")
    with pytest.raises(TargetGone):
        memory.write(b"second")
    assert memory.read() == b"first"


def test_rooms_that_are_not_there_are_told_from_memory() -> None:
    memory = Memory()
    memory.put(b"first", capacity=1 << 62)
    with pytest.raises(TargetError, match="memory"):
        memory.write(b"second")
    assert memory.read() == b"first"
    memory.rooms.raw = memory.rooms.raw.replace(SIZE.pack(len(b"first")), SIZE.pack(1 << 40), 1)
    with pytest.raises(TargetError, match="damaged"):
        memory.read()
