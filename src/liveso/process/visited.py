"""A target in which nothing of ours runs: what is to be done in it, one of its threads does during a visit."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.holder.orders import ALONE, FREE
from liveso.machine import Machine
from liveso.process import memory_map, proc, protocol
from liveso.process.agent import Hello, ObjectList, ObjectsChanged, Opened, Parts
from liveso.process.announcement import whose
from liveso.process.arrival import CALL_LIMIT, Arrived, arrive, arrived, functions_of, loader_error, room_at
from liveso.process.carrying import carry
from liveso.process.descriptors import process_descriptor
from liveso.process.emulation import require_not_translated, require_own_program
from liveso.process.freeze import write_used
from liveso.process.kept_record import make_rooms, read_record, write_record
from liveso.process.list_of_objects import NOMINAL_THREAD_POINTER, ListOfObjects
from liveso.process.mapped import MappedObjects, mapped_now
from liveso.process.memory_map import Protections
from liveso.process.protocol import Transaction
from liveso.process.safe_visit import kept_errors, safe_visit
from liveso.process.standard_error import say
from liveso.process.unseen import open_unseen
from liveso.process.visit import Visit
from liveso.process.withheld import in_one_go
from liveso.process.written import read_ranges, write_memory, write_unused

_LONGEST_NAME = 1 << 15  # bytes
_WORD = 8
_NOLOAD = 4  # dlopen(3)
_MODE_AT = 12  # in struct live_area


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
        self._list = ListOfObjects(pid, machine)
        self._errno_distance = 0

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
        self._functions, self._live = in_one_go(self._pid, self._looked_at)
        if self._live is not None:
            self._say_whose()
        if self._meets_at_once:
            await self.meet()
        settings = {
            name: value for name, value in proc.environment(self._pid, self._thread).items() if name.startswith("LIVE_")
        }
        return Hello(self._thread, 0, NOMINAL_THREAD_POINTER, settings)

    def _looked_at(self) -> tuple[dict[str, int], Arrived | None]:
        objects = mapped_now(self._pid, self._machine)
        require_not_translated(objects.mappings)
        functions = functions_of(objects)
        require_own_program(self._pid, self._thread)
        return functions, arrived(objects)

    @property
    def is_met(self) -> bool:
        return self._is_met

    async def meet(self) -> None:
        async with self._visit() as it:
            await self._asked(it)
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

    async def list_objects(self) -> ObjectList:
        if not self._is_met:
            return self._list.seen()
        if known := self._list.if_same():
            return known
        async with self._visit() as it:
            return await self._asked(it)

    async def _asked(self, it: Visit) -> ObjectList:
        assert self._live is not None
        return await self._list.ask(it, self._live, self._functions)

    async def _ask_ahead(self, it: Visit) -> None:
        """Ask for what is asked for next, after something that is done already."""
        try:
            await self._asked(it)
        except TargetGone:
            raise
        except TargetError:
            self._list.forget()

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
            if not mode & _NOLOAD:
                await self._ask_ahead(it)
            return Opened(handle, int.from_bytes(it.read(handle, _WORD), "little"))  # l_addr (link.h)

    async def close(self, handle: int) -> None:
        async with self._visit() as it:
            if await self._call(it, "dlclose", handle, alone=True) & 0xFFFFFFFF:
                raise await self._loader_error(it)
            await self._ask_ahead(it)

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
            else:
                await self._require_same(planned_on)
            await self._remember(transaction.record)
            return True
        await asyncio.to_thread(write_unused, self._pid, self._thread, transaction)
        try:
            await self._require_same(planned_on)
            await self._remember(transaction.record)
        except ObjectsChanged:
            await asyncio.to_thread(write_unused, self._pid, self._thread, transaction.undoing)
            raise
        return True

    async def _require_same(self, planned_on: ObjectList) -> None:
        """As `_require`, where nothing of the process is changed that it uses: what is seen from outside does."""
        known = self._list.if_same()
        if known and _counts(known) == _counts(planned_on):
            return
        async with self._visit() as it:
            await self._require(it, planned_on)

    async def _require(self, it: Visit, planned_on: ObjectList) -> None:
        if _counts(await self._asked(it)) != _counts(planned_on):
            raise ObjectsChanged("libraries were loaded or unloaded meanwhile")

    async def _remember(self, record: bytes) -> None:
        if not record:
            return
        if self._live:
            async with self._turn:
                if write_record(self._pid, self._thread, self._live, self._socket, record):
                    return
        async with self._visit() as it:
            assert self._live is not None
            await make_rooms(it, self._functions, self._live, record)

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


def _counts(objects: ObjectList) -> tuple[int, int]:
    return objects.added, objects.removed
