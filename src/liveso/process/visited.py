"""A target in which nothing of ours runs: what is to be done in it, one of its threads does during a visit."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from liveso.errors import TargetError, TargetGone
from liveso.holder.orders import ALONE, FREE
from liveso.machine import Machine
from liveso.machine.calls import Calls
from liveso.process import proc, protocol
from liveso.process.agent import Hello, LoadedObject, ObjectList, ObjectsChanged, Opened, Parts, read_objects
from liveso.process.arrival import CALL_LIMIT, Arrived, arrive, arrived, functions_of, loader_error
from liveso.process.carrying import carry
from liveso.process.freeze import still, written_down
from liveso.process.holding import MemoryChanged, NotYetStill
from liveso.process.proc import Mapping as Part
from liveso.process.protocol import Piece, Transaction
from liveso.process.standard_error import say
from liveso.process.visit import Visit, visit
from liveso.process.written import read_ranges, write_memory, write_unused

_PATIENCE = 10.0  # seconds until some thread is at a safe point
_PAUSE = 0.02  # seconds between two looks at all threads
_FREEZE_LIMIT = 0.5  # seconds
_MOST_THREADS = 64  # that are looked at one after another
_MESSAGE_ROOM, _LIST_ROOM = 1 << 14, 1 << 17  # bytes, of the part of the stack that no call gets to
_LARGEST_RECORD = 1 << 28  # bytes
_LONGEST_NAME = 1 << 15  # bytes
_ANONYMOUS, _READ_WRITE, _NO_FILE = 0x22, 3, (1 << 64) - 1  # mmap(2)
_FAILED = (1 << 64) - 4096
_WORD = 8
_MODE_AT = 12  # in struct live_area

WhyNot = Callable[[Visit, Sequence[Part]], str]
"""Why a thread that is stopped may not be let make a call; empty where it may."""


class NoSafePoint(NotYetStill):
    """No thread came to where it may be let make a call."""


class Visited:
    """A process, to which the first visit brings live.so from a path, unless it is there."""

    spared = 0

    def __init__(self, pid: int, machine: Machine, path: str, why_not: WhyNot) -> None:
        if machine.calls is None:
            raise TargetError(f"processes of {machine.name} are not visited yet")
        self._pid = pid
        self._calls: Calls = machine.calls
        self._path = path
        self._why_not = why_not
        self._turn = asyncio.Lock()
        self._process = os.pidfd_open(pid)
        self._functions: dict[str, int] = {}
        self._live: Arrived | None = None
        self._static_size = 0

    async def greet(self) -> Hello:
        async with self._visit():
            pass
        settings = {name: value for name, value in proc.environment(self._pid).items() if name.startswith("LIVE_")}
        return Hello(self._thread, 0, 0, settings)

    @property
    def _thread(self) -> int:
        """A thread that has not ended."""
        return proc.living_thread(self._pid)

    @asynccontextmanager
    async def _visit(self) -> AsyncIterator[Visit]:
        """A thread at a safe point, in a process that has live.so. Raises NoSafePoint where none comes to one."""
        async with self._turn, AsyncExitStack() as stack:
            it = await self._stopped(stack)
            await self._find_live(it)
            error_place = await self._call(it, "__errno_location")  # its program may be about to read what is there
            before = it.read(error_place, 4)
            try:
                yield it
            finally:
                it.write(error_place, before)

    async def _find_live(self, it: Visit) -> None:
        """Find live.so in the process, or bring it there. Raises TargetGone where it was there before: the process
        executes another program by now."""
        parts = it.mappings()
        if self._live is not None and self._live.start not in parts:
            raise TargetGone(f"process {self._pid} executes another program")
        if not self._functions:
            self._functions = functions_of(it, parts)
        if self._live is None:
            self._live = arrived(it.read_some, parts) or await arrive(it, self._path, parts, self._functions)

    async def _stopped(self, stack: AsyncExitStack, *, anywhere: bool = False) -> Visit:
        """A thread that is stopped at a safe point, or `anywhere`: where it is to make nothing but system calls."""
        end, reason = time.monotonic() + _PATIENCE, ""
        while True:
            for thread in _in_order(self._pid)[:_MOST_THREADS]:
                manager = visit(self._pid, thread, self._calls)
                try:
                    it = await manager.__aenter__()
                except NotYetStill as error:
                    reason = str(error)
                    continue
                except TargetGone:
                    continue
                try:
                    found = _filtered(it) or ("" if anywhere else _stopped(it) or self._why_not(it, it.mappings()))
                except BaseException:
                    await manager.__aexit__(None, None, None)
                    raise
                if not found:
                    stack.push_async_exit(manager)
                    return it
                await manager.__aexit__(None, None, None)
                reason = f"thread {thread} {found}"
            if not proc.has_thread(self._pid, self._thread):
                raise TargetGone(f"process {self._pid} has ended")
            if time.monotonic() > end:
                raise NoSafePoint(f"no thread comes to where it may be visited: {reason}")
            await asyncio.sleep(_PAUSE)

    async def _call(self, it: Visit, name: str, *arguments: int, alone: bool = False) -> int:
        assert self._live is not None
        standstill = ALONE if alone else FREE
        return await it.call(
            self._functions[name], arguments, self._live.place, limit=CALL_LIMIT, standstill=standstill
        )

    def _put(self, it: Visit, *texts: bytes) -> list[int]:
        """Put texts where a call finds them; their addresses."""
        assert self._live is not None
        content = b"".join(text + b"\0" for text in texts)
        if len(content) > _LONGEST_NAME:
            raise TargetError("a name is too long")
        it.write(self._live.spare, content)
        return [self._live.spare + sum(len(earlier) + 1 for earlier in texts[:index]) for index in range(len(texts))]

    async def list_objects(self) -> ObjectList:
        async with self._visit() as it:
            assert self._live is not None
            message = self._live.spare
            memory, size = message + _MESSAGE_ROOM, _LIST_ROOM - _MESSAGE_ROOM
            arguments = [message, memory, size]
            await it.call(self._live.lister, arguments, self._live.place, limit=CALL_LIMIT)
            head = protocol.HEAD.unpack(it.read(message, protocol.HEAD.size))
            status, (count, used, added, removed) = head[1], head[2:6]
            if status != protocol.Status.DONE or used > size:
                raise TargetError("it has more objects than fit into the list")
            found = read_objects(it.read(memory, used))
            if len(found) != count:
                raise TargetError("the list of its objects is not what it says")
            limit = await self._static_limit(it)
        return ObjectList(tuple(_relative(each, it.thread_pointer, limit) for each in found), added, removed)

    async def _static_limit(self, it: Visit) -> int:
        """How far below the thread pointer its static blocks lie, in bytes (ELF TLS, 3)."""
        if not self._static_size and "_dl_get_tls_static_info" in self._functions:
            assert self._live is not None
            place = self._live.spare
            await self._call(it, "_dl_get_tls_static_info", place, place + _WORD)
            self._static_size = int.from_bytes(it.read(place, _WORD), "little")
        return self._static_size

    async def read(self, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        return read_ranges(self._pid, self._thread, list(ranges))

    async def open(self, path: str, mode: int) -> Opened:
        async with self._visit() as it:
            (place,) = self._put(it, os.fsencode(path))
            handle = await self._call(it, "dlopen", place, mode, alone=True)
            if not handle:
                raise await self._loader_error(it)
            return Opened(handle, int.from_bytes(it.read(handle, _WORD), "little"))  # l_addr (link.h)

    async def close(self, handle: int) -> None:
        async with self._visit() as it:
            if await self._call(it, "dlclose", handle, alone=True) & 0xFFFFFFFF:
                raise await self._loader_error(it)

    async def resolve(self, handle: int, name: str, version: str = "") -> int:
        async with self._visit() as it:
            places = self._put(it, name.encode(), *([version.encode()] if version else []))
            found = await self._call(it, "dlvsym" if version else "dlsym", handle, *places, alone=True)
            if not found:
                raise await self._loader_error(it)
            return found

    async def _loader_error(self, it: Visit) -> TargetError:
        assert self._live is not None
        return TargetError(f"the dynamic linker says: {await loader_error(it, self._functions, self._live.place)}")

    async def commit(self, transaction: Transaction, planned_on: ObjectList) -> bool:
        now = await self.list_objects()
        if (now.added, now.removed) != (planned_on.added, planned_on.removed):
            raise ObjectsChanged("libraries were loaded or unloaded meanwhile")
        if transaction.is_used:
            await self._write_used(transaction)
        else:
            await asyncio.to_thread(write_unused, self._pid, self._thread, transaction)
        if transaction.record:
            await self._remember(transaction.record)
        return True

    async def _write_used(self, transaction: Transaction) -> None:
        rows = zip(*(transaction.words[name].tolist() for name in ("address", "expected", "value")), strict=True)
        pieces = [
            Piece(address, expected.to_bytes(_WORD, "little"), value.to_bytes(_WORD, "little"))
            for address, expected, value in rows
        ]
        if pieces:
            with written_down(pieces) as sheet:
                async with still(self._pid, 0, _FREEZE_LIMIT) as freeze:
                    try:
                        await freeze.write(sheet)
                    except MemoryChanged as error:
                        raise ObjectsChanged(str(error)) from error

    async def _remember(self, record: bytes) -> None:
        content = len(record).to_bytes(_WORD, "little") + record
        async with self._visit() as it:
            assert self._live is not None
            arguments = 0, len(content), _READ_WRITE, _ANONYMOUS, _NO_FILE, 0
            place = await self._call(it, "mmap", *arguments)
            if place >= _FAILED:
                raise TargetError("it has no memory for the record of its updates")
            it.write(place, content)
            before = int.from_bytes(it.read(self._live.area, _WORD), "little")
            it.write(self._live.area, place.to_bytes(_WORD, "little"))
            if before:
                size = int.from_bytes(it.read_some(before, _WORD), "little")
                await self._call(it, "munmap", before, _WORD + size)

    async def recall(self) -> bytes:
        if self._live is None:
            return b""
        (head,) = await self.read([(self._live.area, _WORD)])
        place = int.from_bytes(head, "little")
        if not place:
            return b""
        (head,) = await self.read([(place, _WORD)])
        size = int.from_bytes(head, "little")
        if size > _LARGEST_RECORD:
            raise TargetError("the record of its updates is damaged")
        return (await self.read([(place + _WORD, size)]))[0]

    async def carry(self, pid: int, path: str, parts: Parts, limit: float) -> float:
        async with self._turn, AsyncExitStack() as stack:
            it = await self._stopped(stack, anywhere=True)
            if self._live is None or self._live.start not in it.mappings():
                raise TargetError("live.so is not there yet")
            return await carry(it, self._live, path, parts, limit)

    async def say(self, line: str) -> None:
        if self._live is not None:
            *_rest, device, inode = protocol.AREA.unpack((await self.read([(self._live.area, protocol.AREA.size)]))[0])
            await asyncio.to_thread(say, self._process, (device, inode), line)

    async def leave(self) -> None:
        """Let no daemon visit the process any more."""
        if self._live is not None:
            write_memory(self._pid, self._thread, self._live.area + _MODE_AT, protocol.Mode.LEFT.to_bytes(4, "little"))

    async def receive_until_gone(self) -> None:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._process, gone.set)  # readable once it has ended (pidfd_open(2))
        await gone.wait()

    def disconnect(self) -> None:
        if self._process >= 0:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = -1


def _filtered(it: Visit) -> str:
    """Why the filters of system calls that hold for a thread stand against a visit; what it calls could end it."""
    if it.suspends_filters or proc.system_call_filters(it.pid, it.thread) == 0:
        return ""
    return "filters its system calls (seccomp), which only root's daemon may suspend"


def _stopped(it: Visit) -> str:
    return "stands with its whole process (SIGSTOP)" if it.is_stopped else ""


def _relative(it: LoadedObject, thread_pointer: int, limit: int) -> LoadedObject:
    """With the place of its block from the thread pointer on where it is the same in all threads, and else 0."""
    place = it.tls_block - thread_pointer if it.tls_block else 0
    return LoadedObject(
        it.name, it.base, it.headers, it.header_count, it.tls_module, place if -limit < place < 0 else 0
    )


def _in_order(pid: int) -> list[int]:
    """The threads, those that wait in a system call first: most of these are at a safe point."""
    found: list[tuple[bool, int]] = []
    for thread in proc.thread_numbers(pid):
        try:
            at = proc.position(pid, thread)
        except TargetGone:
            continue
        except TargetError:  # it runs
            found.append((True, thread))
            continue
        if at is not None:
            found.append((not at.is_in_call, thread))
    return [thread for _runs, thread in sorted(found)]


def mode_of(pid: int) -> protocol.Mode | None:
    """How live.so in a process says that it is to be served; None where it is not there. Raises TargetError."""
    thread = proc.living_thread(pid)

    def read(address: int, size: int) -> bytes:
        try:
            return proc.read_memory(pid, thread, address, size)
        except TargetGone:  # nothing is there
            return b""

    found = arrived(read, proc.mappings(pid, thread))
    return protocol.Mode(protocol.AREA.unpack(read(found.area, protocol.AREA.size))[2]) if found else None


def why_not_safe(it: Visit, parts: Sequence[Part]) -> str:
    number = int.from_bytes(it.stopped.registers[120:128], "little", signed=True)
    return (
        ""
        if number in (219, 0, 7, 23, 35, 61, 202, 230, 232, 281, 270, 271, 47, 45, 43, 288)
        else f"is not in a wait ({number})"
    )
