"""The agent of one target, as the daemon talks to it: one request at a time, with bulk data on sheets (memfd)."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from liveso.errors import TargetError, TargetGone
from liveso.target import protocol
from liveso.target.process import Mapping
from liveso.target.protocol import Kind, Message, Status, Transaction

_ANSWER_LIMIT = 60.0  # seconds
_CARRY_LIMIT = 3.0  # seconds: all other threads stand still for that long
_TRUE = (1).to_bytes(4, sys.byteorder)


class WordChanged(TargetError):
    """A commit found a word other than expected, and changed nothing."""


class TakenBack(TargetError):
    """A commit took back what it had changed already: nothing of it is in force, but a thread may have entered what it
    led to."""


class ObjectsChanged(TargetError):
    """Objects came or went while a commit was planned; it changed nothing."""


class AgentSilent(TargetGone):
    """The agent did not answer in time."""


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """An object in the target: the program or a library (dl_iterate_phdr(3)). Addresses are absolute.

    `name` is what the dynamic linker calls it, empty for the program; `tls_block` the agent's own thread's block.
    """

    name: str
    base: int
    headers: int
    header_count: int
    tls_module: int
    tls_block: int


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The loaded objects, with how many were ever added and removed: these tell whether the list is still true."""

    objects: tuple[LoadedObject, ...]
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class Hello:
    """What an agent says of itself. `settings` are the program's LIVE_ variables."""

    thread: int
    malloc: int
    thread_pointer: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A library that `dlopen` returned: its handle and load address."""

    handle: int
    base: int


_MESSAGES = {
    Status.MALFORMED: "the agent does not know the request (is live.so of another version?)",
    Status.NOT_MAPPED: "memory is not mapped as expected",
    Status.DESCRIPTORS_LEFT: "an initialiser of a new dependency opened descriptors",
    Status.NO_MEMORY: "the agent has no memory",
    Status.NO_FILE: "a file cannot be opened or mapped",
    Status.WITHDRAWN: "the request came too late",
}


class Agent:
    """The connection to one target's agent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._records: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_gone = False
        self._owed = 0

    async def greet(self) -> Hello:
        """Receive the hello that every connection starts with. Raises TargetError where it is none."""
        message = await self._next_record(_ANSWER_LIMIT)
        if message.kind != Kind.HELLO or message.argument[0] != protocol.PROTOCOL:
            raise TargetError("live.so speaks another version of the protocol; install one version of liveso")
        variables = (part.partition("=") for part in message.text.decode("utf-8", "replace").split("\0") if part)
        settings = {name: value for name, _equals, value in variables}
        return Hello(message.argument[1], message.argument[2], message.argument[3], settings)

    async def list_objects(self) -> ObjectList:
        sheet = _Sheet()
        with sheet:
            reply = await self._ask(Message(Kind.LIST), sheet)
            count, size, added, removed = reply.argument
            content = sheet.read(0, size)
        found, position = [], 0
        for _ in range(count):
            base, headers, tls_block, tls_module, header_count, name_size = protocol.OBJECT.unpack_from(
                content, position
            )
            position += protocol.OBJECT.size
            name = os.fsdecode(content[position : position + name_size])
            position += name_size
            found.append(LoadedObject(name, base, headers, header_count, tls_module, tls_block))
        return ObjectList(tuple(found), added, removed)

    async def read(self, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """Read memory: `ranges` are address and size. Raises TargetError if some of it is not mapped."""
        wanted = list(ranges)
        if not wanted:
            return []
        table = np.zeros(len(wanted), protocol.RANGE)
        table["address"], table["size"] = zip(*wanted, strict=True)
        ends = np.cumsum(table["size"]) + np.uint64(table.nbytes)
        table["offset"] = ends - table["size"]
        with _Sheet(table.tobytes()) as sheet:
            await self._ask(Message(Kind.READ, argument=(len(wanted), 0, 0, 0)), sheet)
            return [sheet.read(int(row["offset"]), int(row["size"])) for row in table]

    async def open(self, path: str, mode: int) -> Opened:
        reply = await self._ask(Message(Kind.OPEN, argument=(mode, 0, 0, 0), text=os.fsencode(path) + b"\0"))
        return Opened(reply.argument[0], reply.argument[1])

    async def close(self, handle: int) -> None:
        await self._ask(Message(Kind.CLOSE, argument=(handle, 0, 0, 0)))

    async def resolve(self, handle: int, name: str, version: str = "") -> int:
        """The address that `dlsym` or `dlvsym` gives; handle 0 is RTLD_DEFAULT."""
        text = f"{name}\0{version}\0".encode()
        return (await self._ask(Message(Kind.RESOLVE, argument=(handle, 0, 0, 0), text=text))).argument[0]

    async def commit(self, transaction: Transaction, planned_on: ObjectList) -> None:
        """Apply a transaction. Raises WordChanged or ObjectsChanged where nothing was applied for that reason."""
        with _Sheet(transaction.encode(planned_on.added, planned_on.removed)) as sheet:
            await self._ask(Message(Kind.COMMIT), sheet)

    async def recall(self) -> bytes:
        """The record of the last commit that was applied."""
        with _Sheet() as sheet:
            reply = await self._ask(Message(Kind.RECALL), sheet)
            return sheet.read(0, reply.argument[0])

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """No other request is under way inside the block: only `carry` may be asked for there."""
        async with self._turn:
            yield

    async def carry(self, path: str, parts: Sequence[Mapping]) -> None:
        """Lay mappings onto the file at `path`, which has the same content, while no other thread of the target runs.

        Raises TargetError where nothing was done. An agent that does not come to it in time is told not to begin; one
        that has begun is waited for."""
        rows = (protocol.PART.pack(it.start, it.end - it.start, it.offset, 0, it.protection, 0) for it in parts)
        with _Sheet(protocol.CARRY.pack(0, 0, len(parts), 0) + b"".join(rows)) as sheet:
            self._send(Message(Kind.CARRY, text=os.fsencode(path) + b"\0"), sheet)
            try:
                reply = await self._next_record(_CARRY_LIMIT)
            except AgentSilent:
                sheet.write(_TRUE, protocol.WORD_WITHDRAWN)
                if sheet.read(protocol.WORD_BEGUN, len(_TRUE)) != _TRUE:
                    self._owed += 1
                    raise
                reply = await self._next_record(_ANSWER_LIMIT)
        if reply.status == Status.NO_FILE:
            raise TargetError(f"{path} cannot be mapped there ({os.strerror(reply.argument[0])})")
        _check(reply)

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

    async def _ask(self, message: Message, sheet: "_Sheet | None" = None) -> Message:
        async with self._turn:
            self._send(message, sheet)
            reply = await self._next_record(_ANSWER_LIMIT)
        if reply.status == Status.WORD_CHANGED:
            raise WordChanged(f"word {reply.argument[0]} of the transaction changed meanwhile")
        if reply.status == Status.OBJECTS_CHANGED:
            raise ObjectsChanged("libraries were loaded or unloaded meanwhile")
        if reply.status == Status.NOT_OPENED:
            raise TargetError(f"the dynamic linker says: {reply.text.decode('utf-8', 'replace') or 'not found'}")
        return _check(reply)

    def _send(self, message: Message, sheet: "_Sheet | None") -> None:
        if self._is_gone:
            raise TargetGone("the target has ended")
        try:
            socket.send_fds(self._connection, [message.encode()], [sheet.descriptor] if sheet else [])
        except OSError as error:
            raise TargetGone("the target has ended") from error

    async def _next_record(self, limit: float) -> Message:
        try:
            async with asyncio.timeout(limit):
                while self._owed:  # the answer to a request that was withdrawn
                    await self._records.get()
                    self._owed -= 1
                record = await self._records.get()
            return protocol.decode(record)
        except TimeoutError as error:
            raise AgentSilent("the agent does not answer") from error
        except ValueError as error:
            raise TargetGone("the target has ended") from error

    async def receive_until_gone(self) -> None:
        """Take in what the agent sends, until it is gone. Everything else waits for what this receives."""
        loop = asyncio.get_running_loop()
        record = b"-"
        while record:
            try:
                record = await loop.sock_recv(self._connection, protocol.HEAD.size + protocol.TEXT_SIZE)
            except OSError:
                record = b""
            self._records.put_nowait(record)
        self._is_gone = True


def _check(reply: Message) -> Message:
    if reply.status != Status.DONE:
        raise TargetError(_MESSAGES.get(Status(reply.status), f"status {reply.status}"))
    return reply


class _Sheet:
    """A memfd with bulk data for one request, closed at the end of a `with` block."""

    def __init__(self, content: bytes = b"") -> None:
        self.descriptor = os.memfd_create("liveso", os.MFD_CLOEXEC)
        written = 0
        while written < len(content):
            written += os.write(self.descriptor, content[written:])

    def __enter__(self) -> "_Sheet":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def write(self, content: bytes, offset: int) -> None:
        os.pwrite(self.descriptor, content, offset)

    def read(self, offset: int, size: int) -> bytes:
        content = os.pread(self.descriptor, size, offset) if size else b""
        if len(content) != size:
            raise TargetError("the agent wrote less than it said")
        return content
