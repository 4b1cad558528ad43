"""The agent's thread in a target: one request at a time, with bulk data on sheets (memfd)."""

import asyncio
import errno
import os
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.machine import Machine
from liveso.process import memory_map, proc, protocol
from liveso.process.agent import (
    AgentSilent,
    Hello,
    LoadedObject,
    ObjectList,
    ObjectsChanged,
    Opened,
    Parts,
    PlaceTaken,
    TakenBack,
    Withdrawn,
    WordChanged,
    read_objects,
)
from liveso.process.emulation import Execution, execution_of
from liveso.process.freeze import Freeze, still
from liveso.process.memory_map import Mapping, Protections
from liveso.process.protocol import Kind, Message, Status, Transaction
from liveso.process.sheet import Sheet

ANSWER_LIMIT = 60.0  # seconds
_CARRY_LIMIT = 3.0  # seconds: all other threads stand still for that long
_TRUE = (1).to_bytes(4, sys.byteorder)


_MESSAGES = {
    Status.MALFORMED: "the agent does not know the request (is live.so of another version?)",
    Status.NOT_MAPPED: "memory is not mapped as expected",
    Status.DESCRIPTORS_LEFT: "an initialiser of a new dependency opened descriptors",
    Status.NO_MEMORY: "the agent has no memory, or may not write",
    Status.NO_FILE: "a file cannot be opened or mapped",
    Status.WITHDRAWN: "the request came too late",
    Status.NO_DESCRIPTOR: "the program may have fewer open files than live.so needs, which is 8; raise the limit"
    " (RLIMIT_NOFILE, `ulimit -n`)",
}


class Filtered(TargetError):
    """The agent's thread may not do what it would have to."""


class Resident:
    """The connection to one target's agent. One request is under way at a time; each has a number, which its answer has
    too: one that comes late is nobody's. An agent that does not answer is cut off, once and for all."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._execution: Execution | None = None
        self.spared = 0
        self._turn = asyncio.Lock()
        self._number = 0
        self._answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()  # the first is the hello
        self._is_gone = False
        self._protocol = protocol.PROTOCOL
        self._listed: tuple[bytes, tuple[LoadedObject, ...]] = (b"", ())
        self._filters = 0

    @property
    def is_met(self) -> bool:
        return True

    @property
    def machine(self) -> Machine:
        assert self._execution is not None
        return self._execution.machine

    @property
    def is_translated(self) -> bool:
        return self._execution is not None and self._execution.is_translated

    async def meet(self) -> None:
        """It is there: it has asked to be served."""

    async def greet(self) -> Hello:
        """Receive the hello that every connection starts with. Raises TargetError where it is none, or one of a version
        that is not spoken any more, or not yet."""
        message = await self._answered(ANSWER_LIMIT)
        spoken = message.argument[0]
        if message.kind != Kind.HELLO or not protocol.OLDEST <= spoken <= protocol.PROTOCOL:
            raise TargetError(
                f"its live.so speaks version {spoken} of the protocol, this daemon {protocol.OLDEST} to"
                f" {protocol.PROTOCOL}; start the program with the live.so of this installation"
            )
        self._protocol = spoken
        variables = (part.partition("=") for part in message.text.decode("utf-8", "replace").split("\0") if part)
        settings = {name: value for name, _equals, value in variables}
        self.spared = message.argument[1]
        self._filters = self._filters_now()
        if self.spared:
            self._execution = execution_of(self._pid, proc.living_thread(self._pid), message.argument[2])
        return Hello(self.spared, message.argument[2], message.argument[3], settings, spoken)

    async def list_objects(self) -> ObjectList:
        sheet = Sheet()
        with sheet:
            reply = await self._ask(Message(Kind.LIST), sheet)
            count, size, added, removed = reply.argument
            content = sheet.read(0, size)
        before, known = self._listed
        if content != before:  # what comes is added at the end
            rest = read_objects(content[len(before) :]) if content.startswith(before) else None
            self._listed = content, read_objects(content) if rest is None else known + rest
        if len(self._listed[1]) != count:
            raise TargetError("the agent's list of objects is not what it says")
        return ObjectList(self._listed[1], added, removed)

    async def read(self, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """Read memory: `ranges` are address and size. Raises TargetError if some of it is not mapped."""
        wanted = list(ranges)
        if not wanted:
            return []
        table = np.zeros(len(wanted), protocol.RANGE)
        table["address"], table["size"] = zip(*wanted, strict=True)
        ends = np.cumsum(table["size"]) + np.uint64(table.nbytes)
        table["offset"] = ends - table["size"]
        with Sheet(table.tobytes()) as sheet:
            await self._ask(Message(Kind.READ, argument=(len(wanted), 0, 0, 0)), sheet)
            return [sheet.read(int(row["offset"]), int(row["size"])) for row in table]

    async def protections(self, addresses: Table) -> Protections:
        if self.is_translated:
            return await self.mapped()
        return memory_map.protections(self._pid, self.spared, addresses)

    async def mapped(self) -> Protections:
        if not self.is_translated:
            return memory_map.all_protections(self._pid, self.spared)
        with Sheet() as sheet:  # what the kernel knows is how the emulator reads it
            reply = await self._ask(Message(Kind.MAP), sheet)
            return memory_map.protections_in(sheet.read(0, reply.argument[0]).decode("utf-8", "replace"))

    async def make_room(self, start: int, size: int) -> None:
        await self._ask(Message(Kind.ROOM, argument=(start, size, 0, 0)))

    async def open(self, path: str, mode: int) -> Opened:
        reply = await self._ask(Message(Kind.OPEN, argument=(mode, 0, 0, 0), text=os.fsencode(path) + b"\0"))
        return Opened(reply.argument[0], reply.argument[1])

    open_copy = open

    async def close(self, handle: int) -> None:
        await self._ask(Message(Kind.CLOSE, argument=(handle, 0, 0, 0)))

    async def resolve(self, handle: int, name: str, version: str = "") -> int:
        """The address that `dlsym` or `dlvsym` gives; handle 0 is RTLD_DEFAULT."""
        text = f"{name}\0{version}\0".encode()
        return (await self._ask(Message(Kind.RESOLVE, argument=(handle, 0, 0, 0), text=text))).argument[0]

    async def commit(self, transaction: Transaction, planned_on: ObjectList) -> bool:
        """Apply a transaction; False where it is in force, but pages stayed writable that were not.

        Raises WordChanged or ObjectsChanged where nothing is in force for that reason (TakenBack: it was for a moment).
        After AgentSilent and TargetGone it may be in force."""
        with Sheet(transaction.encode(planned_on.added, planned_on.removed)) as sheet:
            reply = await self._ask(Message(Kind.COMMIT), sheet)
        return self._protocol < 3 or reply.argument[1] == 0

    async def recall(self) -> bytes:
        """The record of the last commit that was applied."""
        with Sheet() as sheet:
            reply = await self._ask(Message(Kind.RECALL), sheet)
            return sheet.read(0, reply.argument[0])

    async def carry(self, pid: int, path: str, parts: Parts, limit: float) -> float:
        if self.is_translated:
            raise TargetError("an emulator runs the program, and does not see what is mapped in place of its code")
        turn, threads = self._turn, still(pid, self.spared, limit)
        if proc.is_stopped(pid):  # the agent can end what is under way only while the others are held
            async with threads as freeze, turn:
                return await self._carry(path, parts(), freeze)
        async with turn, threads as freeze:
            return await self._carry(path, parts(), freeze)

    async def _carry(self, path: str, parts: Sequence[Mapping], freeze: Freeze) -> float:
        """An agent that does not come to it in time is told not to begin; one that has begun is waited for, also by the
        freeze."""
        if not parts:
            return 0.0
        rows = (protocol.PART.pack(it.start, it.end - it.start, it.offset, 0, it.protection, 0) for it in parts)
        with Sheet(protocol.CARRY.pack(0, 0, len(parts), 0) + b"".join(rows)) as sheet:
            await freeze.watch(sheet.descriptor)
            self._send(Message(Kind.CARRY, text=os.fsencode(path) + b"\0"), sheet)
            try:
                reply = await self._within(_CARRY_LIMIT)
            except TimeoutError:
                sheet.write(_TRUE, protocol.WORD_WITHDRAWN)
                if sheet.read(protocol.WORD_BEGUN, len(_TRUE)) != _TRUE:
                    raise Withdrawn("its agent does not come to it") from None
                reply = await self._answered(ANSWER_LIMIT)
            freeze.is_answered = True
        if reply.status == Status.NO_FILE:
            raise TargetError(f"{path} cannot be mapped there ({os.strerror(reply.argument[0])})")
        if reply.status == Status.WITHDRAWN:
            raise Withdrawn("its threads are not held any more")
        _check(reply)
        return (time.monotonic() - freeze.since) * 1000

    async def say(self, line: str) -> None:
        """Put a line on the program's standard error."""
        await self._ask(Message(Kind.SAY, text=(line + "\n").encode()[: protocol.TEXT_SIZE]))

    async def leave(self) -> None:
        """Ask the agent's thread to end."""
        async with self._turn:
            try:
                socket.send_fds(self._connection, [Message(Kind.LEAVE).encode()], [])
            except OSError as error:
                raise TargetGone("the target has ended") from error

    def disconnect(self) -> None:
        self._connection.close()

    def _filters_now(self) -> int:
        """How many filters of system calls hold for the agent's thread, which is looked at from outside."""
        with suppress(TargetGone):
            return proc.system_call_filters(self.spared, self.spared) if self.spared else 0
        return 0

    async def _ask(self, message: Message, sheet: Sheet | None = None) -> Message:
        """Raises Filtered rather than wake a thread whose next system call may end the process."""
        async with self._turn:
            if self._filters_now() > self._filters:
                raise Filtered("the program filters its system calls since it started, the agent's could end it")
            self._send(message, sheet)
            reply = await self._answered(ANSWER_LIMIT)
        if reply.status == Status.TAKEN_BACK or (reply.status == Status.WORD_CHANGED and self._protocol < 3):
            raise TakenBack(f"word {reply.argument[0]} of the transaction changed meanwhile")
        if reply.status == Status.WORD_CHANGED:
            raise WordChanged(f"word {reply.argument[0]} of the transaction changed meanwhile")
        if reply.status == Status.OBJECTS_CHANGED:
            raise ObjectsChanged("libraries were loaded or unloaded meanwhile")
        if reply.status == Status.NOT_OPENED:
            raise TargetError(f"the dynamic linker says: {reply.text.decode('utf-8', 'replace') or 'not found'}")
        if reply.status == Status.MALFORMED and sheet and self._protocol < 3:  # it could not tell this
            raise TargetError(_MESSAGES[Status.NO_DESCRIPTOR])
        if reply.status == Status.NO_MEMORY and self._protocol >= 3 and reply.argument[3]:
            kind = PlaceTaken if message.kind == Kind.ROOM and reply.argument[3] == errno.EEXIST else TargetError
            raise kind(f"{_MESSAGES[Status.NO_MEMORY]} ({os.strerror(reply.argument[3])})")
        return _check(reply)

    def _send(self, message: Message, sheet: Sheet | None) -> None:
        if self._is_gone:
            raise _gone()
        self._number = self._number % 0xFFFF_FFFF + 1
        self._answer = asyncio.get_running_loop().create_future()
        try:
            request = replace(message, number=self._number).encode()
            socket.send_fds(self._connection, [request], [sheet.descriptor] if sheet else [])
        except OSError as error:
            raise _gone() from error

    async def _answered(self, limit: float) -> Message:
        """The answer to the request that was sent last. Raises AgentSilent where none came within `limit` seconds."""
        try:
            return await self._within(limit)
        except TimeoutError as error:
            self._cut()
            raise AgentSilent(f"the agent did not answer within {limit:g} s") from error

    async def _within(self, limit: float) -> Message:
        async with asyncio.timeout(limit):
            answer = await asyncio.shield(self._answer)
        if not answer.kind:
            raise _gone()
        return answer

    def _cut(self) -> None:
        """Let the agent find the connection closed, whenever it looks: it connects anew."""
        self._is_gone = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    async def receive_until_gone(self) -> None:
        """Take in what the agent sends, until it is gone. Everything else waits for what this receives."""
        loop = asyncio.get_running_loop()
        try:
            while not self._is_gone:
                record = await loop.sock_recv(self._connection, protocol.HEAD.size + protocol.TEXT_SIZE)
                message = protocol.decode(record)
                if message.number == self._number and not self._answer.done():
                    self._answer.set_result(message)
        except (OSError, ValueError):
            pass
        finally:
            self._is_gone = True
            if not self._answer.done():
                self._answer.set_result(Message(0))


def _gone() -> TargetGone:
    return TargetGone("the target has ended, or its agent is not connected any more")


def _check(reply: Message) -> Message:
    if reply.status != Status.DONE:
        known = reply.status in set(Status)
        message = _MESSAGES.get(Status(reply.status), "") if known else ""
        raise TargetError(message or f"status {reply.status}")
    return reply
