"""One thread of a process, held still by ptrace(2) for as long as a test looks at it."""

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from liveso.process import memory_map
from liveso.process.mapped import MappedObjects
from liveso.process.memory import Memory
from liveso.process.native import native_machine
from liveso.process.safe_point import unsafe
from liveso.process.unwind import Stack, unwind

_SEIZE, _INTERRUPT, _DETACH, _GETREGSET = 0x4206, 0x4207, 17, 0x4204
_NT_PRSTATUS = 1
_WALL = 0x4000_0000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class _Area(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


@dataclass(frozen=True, slots=True)
class StoppedThread:
    """`call` is the number of the system call that it is in, if it is in one."""

    pid: int
    thread: int
    registers: bytes
    call: int | None
    objects: MappedObjects

    def stack(self) -> Stack:
        return unwind(self.registers, self.objects)

    def unsafe(self) -> str:
        return unsafe(self.stack(), self.call, self.objects, self.registers)

    def words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.objects.memory.content(address, 8 * count))


@contextmanager
def stopped(pid: int, thread: int = 0) -> Iterator[StoppedThread]:
    """Raises ProcessLookupError where the thread has ended."""
    thread = thread or pid
    _ptrace(_SEIZE, thread)
    number = 0
    try:
        _ptrace(_INTERRUPT, thread)
        _thread, status = os.waitpid(thread, _WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError(f"thread {thread} has ended")
        number = os.WSTOPSIG(status) if status >> 16 == 0 and os.WSTOPSIG(status) != signal.SIGTRAP else 0
        memory = os.open(f"/proc/{pid}/task/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield _look(pid, thread, memory)
        finally:
            os.close(memory)
    finally:
        _libc.ptrace(_DETACH, thread, None, number)


def _look(pid: int, thread: int, memory: int) -> StoppedThread:
    registers = ctypes.create_string_buffer(512)
    area = _Area(ctypes.addressof(registers), len(registers))
    _ptrace(_GETREGSET, thread, _NT_PRSTATUS, ctypes.addressof(area))
    machine = native_machine()
    assert machine.calls
    stops = machine.calls.stops
    number, place = (struct.unpack_from("<q", registers.raw, at)[0] for at in (stops.number_at, stops.next_at))
    if stops.instruction and os.pread(memory, stops.instruction_size, place).hex() != stops.instruction:
        number = -1
    mapped = MappedObjects(
        Memory(lambda address, size: os.pread(memory, size, address)), memory_map.mappings(pid, thread), machine
    )
    return StoppedThread(pid, thread, registers.raw[: area.size], number if number >= 0 else None, mapped)


def _ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, thread, address, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
