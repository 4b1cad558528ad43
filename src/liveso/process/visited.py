"""A target in which nothing of ours runs: what is to be done in it, one of its threads does during a visit."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.holder.orders import ALONE, FREE
from liveso.machine import Machine
from liveso.process import memory_map, proc, protocol
from liveso.process.agent import Hello, LoadedObject, ObjectList, ObjectsChanged, Opened, Parts, read_objects
from liveso.process.announcement import whose
from liveso.process.arrival import CALL_LIMIT, Arrived, arrive, arrived, functions_of, loader_error, room_at
from liveso.process.carrying import carry
from liveso.process.descriptors import process_descriptor
from liveso.process.emulation import require_not_translated, require_own_program
from liveso.process.freeze import write_used
from liveso.process.kept_record import keep_record, read_record
from liveso.process.link_map import Link, Loading, links, seen_objects
from liveso.process.mapped import MappedObjects, mapped_now
from liveso.process.memory_map import Protections
from liveso.process.protocol import Transaction
from liveso.process.safe_visit import kept_errors, safe_visit
from liveso.process.standard_error import say
from liveso.process.unseen import open_unseen
from liveso.process.visit import Visit
from liveso.process.written import read_ranges, write_memory, write_unused

_MESSAGE_ROOM, _LIST_ROOM = 1 << 14, 1 << 17  # bytes, of the part of the stack that no call gets to
_LONGEST_NAME = 1 << 15  # bytes
_WORD = 8
_MODE_AT = 12  # in struct live_area
_NOT_COUNTED = -1, -1  # how many objects were added and removed: a process alone can tell


class Visited:
    """A process, to which the first visit brings live.so from a path, unless it is there: when it is greeted if that
    `meets_at_once`, else before the first update. `socket` is the daemon's. `unseen` is the folder that copies are in
    where the process does not see it."""

    spared = 0

    def __init__(
        self, pid: int, machine: Machine, path: str, socket: str, *, meets_at_once: bool, unseen: str = ""
    ) -> None:
        self._unseen = unseen
        self._meets_at_once = meets_at_once
        self._socket = socket
        self._pid = pid
        self._machine = machine
        self._path = path
        self._turn = asyncio.Lock()
        self._saying = asyncio.Lock()
        self._process = process_descriptor(pid)
        self._functions: dict[str, int] = {}
        self._live: Arrived | None = None
        self._is_met = False
        self._listed: ObjectList | None = None
        self._listed_by: tuple[Link, ...] = ()
        self._errno_distance = 0
        self._static_size = 0

    @property
    def machine(self) -> Machine:
        return self._machine

    @property
    def is_translated(self) -> bool:
        return False

    async def protections(self, addresses: Table) -> Protections:
        return memory_map.protections(self._pid, self._thread, addresses)

    async def mapped(self) -> Protections:
        return memory_map.all_protections(self._pid, self._thread)

    async def make_room(self, start: int, size: int) -> None:
        async with self._visit() as it:
            assert self._live is not None
            await room_at(it, self._functions, self._live.place, start, size)

    async def greet(self) -> Hello:
        objects = self._seen()
        require_not_translated(objects.mappings)
        self._functions = functions_of(objects)
        require_own_program(self._pid, self._thread)
        self._live = arrived(objects)
        if self._live is not None:
            self._say_whose()
        if self._meets_at_once:
            await self.meet()
        settings = {
            name: value for name, value in proc.environment(self._pid, self._thread).items() if name.startswith("LIVE_")
        }
        return Hello(self._thread, 0, 0, settings)

    @property
    def is_met(self) -> bool:
        return self._is_met

    async def meet(self) -> None:
        async with self._visit() as it:
            await self._list(it)
            self._is_met = True

    def _say_whose(self) -> None:
        """Leave in the process which daemon serves it, for that daemon's next one."""
        assert self._live is not None
        socket = os.fsencode(self._socket).ljust(protocol.SOCKET_SIZE, b"\0")
        self._write(self._live.area + protocol.AREA.size - len(socket), socket)
        self._write(self._live.area + _MODE_AT, protocol.Mode.VISITED.to_bytes(4, "little"))

    def _write(self, address: int, content: bytes) -> None:
        write_memory(self._pid, self._thread, address, content)

    @property
    def _thread(self) -> int:
        """A thread that has not ended."""
        return proc.living_thread(self._pid)

    @asynccontextmanager
    async def _visit(self) -> AsyncIterator[Visit]:
        """A thread at a safe point, in a process that has live.so. Raises NoSafePoint where none comes to one."""
        async with self._turn, safe_visit(self._pid, self._machine) as (it, objects):
            await self._find_live(it, objects)
            errno_at = await self._errno_of(it)
            result_at = 0
            if "errno" in self._functions and "__libc_dlerror_result" in self._functions:
                result_at = errno_at - self._functions["errno"] + self._functions["__libc_dlerror_result"]
            with kept_errors(it, errno_at, result_at):
                yield it

    async def _find_live(self, it: Visit, objects: MappedObjects) -> None:
        """Find live.so in the process, or bring it there. Raises TargetGone where it was there before, or where another
        daemon's word is there: the process executes another program by now, or is served by that."""
        if self._live is not None and self._live.start not in objects.mappings:
            raise TargetGone(f"process {self._pid} executes another program")
        found = self._live or arrived(objects)
        if found is None:
            name = self._name_in_memory(self._path)
            self._live = await arrive(it, self._path, name, objects, self._functions)
            self._say_whose()
            return
        if whose(it.read(found.area, protocol.AREA.size)) not in ("", self._socket):
            raise TargetGone(f"process {self._pid} is served by another daemon")
        if self._live is None:
            self._live = found
            self._say_whose()

    async def _errno_of(self, it: Visit) -> int:
        """The address of the thread's errno, which lies as far from the thread pointer in all threads."""
        if not self._errno_distance:
            self._errno_distance = await self._call(it, "__errno_location") - it.thread_pointer
        return it.thread_pointer + self._errno_distance

    async def _call(self, it: Visit, name: str, *arguments: int, alone: bool = False) -> int:
        assert self._live is not None
        standstill = ALONE if alone else FREE
        return await it.call(
            self._functions[name], arguments, self._live.place, limit=CALL_LIMIT, standstill=standstill
        )

    def _name_in_memory(self, copy: str) -> str:
        """What a copy is called that the process does not see; empty where it does."""
        return f"liveso/{os.path.relpath(copy, self._unseen)}" if self._unseen else ""

    def _put(self, it: Visit, *texts: bytes) -> list[int]:
        """Put texts where a call finds them; their addresses."""
        assert self._live is not None
        content = b"".join(text + b"\0" for text in texts)
        if len(content) > _LONGEST_NAME:
            raise TargetError("a name is too long")
        it.write(self._live.spare, content)
        return [self._live.spare + sum(len(earlier) + 1 for earlier in texts[:index]) for index in range(len(texts))]

    def _seen(self) -> MappedObjects:
        return mapped_now(self._pid, self._machine)

    async def list_objects(self) -> ObjectList:
        if not self._is_met:
            return ObjectList(seen_objects(self._pid, self._thread, self._seen()), *_NOT_COUNTED)
        with suppress(Loading):
            if self._listed and links(self._pid, self._thread, self._seen()) == self._listed_by:
                return self._listed
        async with self._visit() as it:
            return await self._list(it)

    async def _list(self, it: Visit) -> ObjectList:
        """The objects, by the process's own word. What is seen from outside before tells later whether they are the
        same still, as far as can be seen: a commit asks again."""
        assert self._live is not None
        with suppress(Loading):
            self._listed_by = links(self._pid, it.thread, it.objects())
        message = self._live.spare
        memory, size = message + _MESSAGE_ROOM, _LIST_ROOM - _MESSAGE_ROOM
        await it.call(self._live.lister, [message, memory, size], self._live.place, limit=CALL_LIMIT)
        head = protocol.HEAD.unpack(it.read(message, protocol.HEAD.size))
        status, (count, used, added, removed) = head[1], head[2:6]
        if status != protocol.Status.DONE or used > size:
            raise TargetError("it has more objects than fit into the list")
        found = read_objects(it.read(memory, used))
        if len(found) != count:
            raise TargetError("the list of its objects is not what it says")
        limit = await self._static_limit(it)
        self._listed = ObjectList(tuple(_relative(each, it.thread_pointer, limit) for each in found), added, removed)
        return self._listed

    async def _list_if_possible(self, it: Visit) -> None:
        """List ahead what is asked for next, after something that is done already."""
        try:
            await self._list(it)
        except TargetGone:
            raise
        except TargetError:
            self._listed = None

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
        return await self._open(path, mode, "")

    async def open_copy(self, path: str, mode: int) -> Opened:
        return await self._open(path, mode, self._name_in_memory(path))

    async def _open(self, path: str, mode: int, name_in_memory: str) -> Opened:
        async with self._visit() as it:
            assert self._live is not None
            (place,) = self._put(it, os.fsencode(path))
            if name_in_memory:
                handle = await open_unseen(it, self._functions, self._live.place, place, path, name_in_memory, mode)
            else:
                handle = await self._call(it, "dlopen", place, mode, alone=True)
            if not handle:
                raise await self._loader_error(it)
            await self._list_if_possible(it)
            return Opened(handle, int.from_bytes(it.read(handle, _WORD), "little"))  # l_addr (link.h)

    async def close(self, handle: int) -> None:
        async with self._visit() as it:
            if await self._call(it, "dlclose", handle, alone=True) & 0xFFFFFFFF:
                raise await self._loader_error(it)
            await self._list_if_possible(it)

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
        if transaction.is_used:
            if len(transaction.words):
                async with self._visit() as it:
                    await self._require(it, planned_on)
                await write_used(self._pid, transaction)
            await self._remember(transaction.record, planned_on)
            return True
        await asyncio.to_thread(write_unused, self._pid, self._thread, transaction)
        try:
            await self._remember(transaction.record, planned_on)
        except ObjectsChanged:
            await asyncio.to_thread(write_unused, self._pid, self._thread, transaction.undoing)
            raise
        return True

    async def _require(self, it: Visit, planned_on: ObjectList) -> None:
        now = await self._list(it)
        if (now.added, now.removed) != (planned_on.added, planned_on.removed):
            raise ObjectsChanged("libraries were loaded or unloaded meanwhile")

    async def _remember(self, record: bytes, planned_on: ObjectList) -> None:
        async with self._visit() as it:
            assert self._live is not None
            await self._require(it, planned_on)
            if not record:
                return
            await keep_record(it, self._functions, self._live, record)

    async def recall(self) -> bytes:
        if self._live is None:
            return b""
        return read_record(self._pid, self._thread, self._live)

    async def carry(self, pid: int, path: str, parts: Parts, limit: float) -> float:
        if self._live is None:
            await self.meet()
        async with self._turn, safe_visit(pid, self._machine, anywhere=True) as (it, objects):
            if self._live is None or self._live.start not in objects.mappings:
                raise TargetError("live.so is not there any more")
            return await carry(it, self._live, path, parts, limit)

    async def say(self, line: str) -> None:
        if self._live is None:
            return
        async with self._saying:  # in the order in which lines come
            (area,) = await self.read([(self._live.area, protocol.AREA.size)])
            *_rest, device, inode, _socket = protocol.AREA.unpack(area)
            await asyncio.to_thread(say, self._process, (device, inode), line)

    async def leave(self) -> None:
        """Let no daemon visit the process any more."""
        if self._live is not None:
            self._write(self._live.area + _MODE_AT, protocol.Mode.LEFT.to_bytes(4, "little"))

    async def receive_until_gone(self) -> None:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._process, gone.set)  # readable once it has ended (pidfd_open(2))
        await gone.wait()

    def disconnect(self) -> None:
        if self._process >= 0:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = -1


def _relative(it: LoadedObject, thread_pointer: int, limit: int) -> LoadedObject:
    """With the place of its block from the thread pointer on where it is the same in all threads, and else 0."""
    place = it.tls_block - thread_pointer if it.tls_block else 0
    return LoadedObject(
        it.name, it.base, it.headers, it.header_count, it.tls_module, place if -limit < place < 0 else 0
    )
