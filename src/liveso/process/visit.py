"""One thread of a process is stopped, makes calls for the daemon, and goes on where it was."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from liveso.errors import TargetError
from liveso.holder import orders
from liveso.machine import Machine
from liveso.machine.calls import Calls, StoppedThread
from liveso.process import memory_map
from liveso.process.holding import CallFailed, Talk, talk
from liveso.process.mapped import MappedObjects
from liveso.process.memory import Memory
from liveso.process.withheld import in_time
from liveso.process.written import write_memory

_STOP_LIMIT = 0.25  # seconds within which a thread is to stop
_ALIGNMENT = 64  # bytes, of what a call's frame begins at
_RESULT_SIZE = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the process a thread is sent for a call: the address of the stub (Calls.stub), and the end of memory
    that nothing else uses."""

    stub: int
    top: int


class Visit:
    """A thread that is stopped, `since` a time (time.monotonic()). `suspends_filters` says whether no filter of system
    calls holds for it meanwhile, `is_stopped` whether its whole process was stopped (SIGSTOP), and `has_unkept` whether
    it has something that it would lose in a call (Facts.unkept). `held` is the longest time in seconds for which all
    other threads stood still. One that `is_adrift` was let make a call of which nobody knows whether it is over: who
    held the thread has died, or does not wait any longer. It comes back by itself, and until then nothing that the call
    may use is to be touched."""

    def __init__(self, pid: int, thread: int, talk: Talk, told: bytes, machine: Machine, calls: Calls) -> None:
        since, blocked, *flags, vector_set, registers, vectors = orders.STATE.unpack_from(told)
        at = orders.STATE.size
        self.pid = pid
        self.thread = thread
        self.since: float = since
        self.suspends_filters: bool
        self.is_stopped: bool
        self.has_unkept: bool
        self.suspends_filters, self.is_stopped, self.has_unkept = flags
        self.stopped = StoppedThread(
            told[at : at + registers], vector_set, told[at + registers : at + registers + vectors], blocked
        )
        self.held = 0.0
        self.machine = machine
        self.calls = calls
        self._talk = talk
        self.is_adrift = False
        self._objects: MappedObjects | None = None
        self._memory = -1

    @property
    def frame_size(self) -> int:
        """The bytes that a call's frame and result take at the end of its memory, at most."""
        return self.calls.frame_size(len(self.stopped.vectors)) + _RESULT_SIZE + _ALIGNMENT

    async def call(
        self, function: int, arguments: Sequence[int], place: Place, *, limit: float, standstill: int = orders.FREE
    ) -> int:
        """What a function returns that the thread calls; `standstill` says when all other threads stand still (orders).

        Raises CallFailed where it does not return and never will, CallTooLong where it has not within `limit` seconds:
        then the visit is over.
        """
        self._objects = None
        calls = self.calls
        result = place.top // _RESULT_SIZE * _RESULT_SIZE - _RESULT_SIZE
        frame_at = (result - calls.frame_size(len(self.stopped.vectors))) // _ALIGNMENT * _ALIGNMENT
        frame = calls.frame(self.stopped, frame_at)
        registers = calls.registers(self.stopped, function, arguments, place.stub, frame_at, result)
        order = orders.CALL_ORDER.pack(
            limit,
            standstill,
            calls.way_back,
            place.stub + calls.stub_end,
            frame_at,
            len(frame),
            len(registers),
            *calls.waiting,
        )
        self.is_adrift = True
        try:
            told = await self._talk.ask(orders.CALL + order + frame + registers, orders.RETURNED)
        except CallFailed:
            self.is_adrift = False
            raise
        self.is_adrift = False
        self.held = max(self.held, *orders.HELD.unpack(told))
        return int.from_bytes(self.read(result, _RESULT_SIZE), "little")

    @property
    def stack_pointer(self) -> int:
        return self.register(self.calls.stack_at)

    @property
    def thread_pointer(self) -> int:
        return self.register(self.calls.thread_at)

    @property
    def system_call(self) -> int | None:
        """The number of the system call that the thread is in; None where it is in none."""
        stops = self.calls.stops
        number, size = self.register(stops.number_at), stops.instruction_size
        if size and self.read_some(self.register(stops.next_at), size).hex() != stops.instruction:
            return None
        return number if number < 1 << 63 else None

    def register(self, at: int) -> int:
        """The thread's register at a place among those of StoppedThread, in bytes."""
        return int.from_bytes(self.stopped.registers[at : at + 8], "little")

    def objects(self) -> MappedObjects:
        """What the process has mapped; it was looked at since the thread made its last call."""
        if self._objects is None:
            mappings = memory_map.mappings(self.pid, self.thread)
            self._objects = MappedObjects(Memory(self.read_some), mappings, self.machine)
        return self._objects

    def read_some(self, address: int, size: int) -> bytes:
        """Read memory of the process, less than `size` bytes where it ends before. Raises MemoryWithheld."""
        try:
            if self._memory < 0:
                self._memory = os.open(f"/proc/{self.pid}/task/{self.thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
            memory = self._memory
            return in_time(self.pid, lambda: os.pread(memory, size, address))
        except (OSError, OverflowError):
            return b""

    def read(self, address: int, size: int) -> bytes:
        """Read memory of the process. Raises TargetError where some of it is not there."""
        found = self.read_some(address, size)
        if len(found) != size:
            raise TargetError("memory is not mapped as expected")
        return found

    def read_text(self, address: int, limit: int) -> str:
        """A text that ends with a NUL, or after `limit` bytes."""
        page = 4096 - address % 4096
        content = self.read_some(address, min(page, limit))
        if b"\0" not in content:
            content += self.read_some(address + page, max(limit - page, 0))
        return content.split(b"\0")[0].decode("utf-8", "replace")

    def write(self, address: int, content: bytes) -> None:
        """Write memory of the process, whatever its protection. Raises TargetError where that cannot be."""
        write_memory(self.pid, self.thread, address, content)

    async def end(self) -> None:
        """Let the thread go on where it was."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
        await self._talk.ask(orders.END, orders.ENDED)


@asynccontextmanager
async def visit(pid: int, thread: int, machine: Machine) -> AsyncIterator[Visit]:
    """Stop a thread of a process, for as long as the block lasts.

    Raises NotYetStill where it does not stop now, TargetError where it may not be stopped, TargetGone.
    """
    if machine.calls is None:
        raise TargetError(f"processes of {machine.name} are not visited yet")
    async with talk(orders.VISIT, pid, thread, _STOP_LIMIT) as (it, told):
        found = Visit(pid, thread, it, told, machine, machine.calls)
        try:
            yield found
        finally:
            try:
                await found.end()
            except TargetError:
                pass  # the thread has ended, or has been let go
