"""What the kernel tells root of processes: that they begin, execute a program, and end (linux/cn_proc.h).

A daemon that hears it need not look for new processes in /proc each second, and learns how a process ended that is not
its child.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum

_CONNECTOR, _PROCESSES = 11, 1  # NETLINK_CONNECTOR; CN_IDX_PROC, CN_VAL_PROC
_LISTEN = 1  # PROC_CN_MCAST_LISTEN
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_DONE = 3  # NLMSG_DONE
_MESSAGE = struct.Struct("=IIIIHH")  # struct cn_msg
_INPUT = struct.Struct("=I")
_EVENT = struct.Struct("=IIQ")  # struct proc_event, before what each kind has of its own
_KERNEL = 0
_ROOM = 1 << 20  # bytes: some thousand events, while the daemon does something else
_RECEIVE_ROOM = 33  # SO_RCVBUFFORCE (socket(7))
_ANSWER_LIMIT = 1.0  # seconds


class Kind(IntEnum):
    ANSWER = 0
    FORK = 1
    EXEC = 2
    EXIT = 0x80000000


_DATA = {Kind.FORK: struct.Struct("=IIII"), Kind.EXEC: struct.Struct("=II"), Kind.EXIT: struct.Struct("=IIII")}


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """A process begins (`other` is its parent), executes a program, or ends (`other` is its status as waitpid(2) gives
    it)."""

    kind: Kind
    pid: int
    other: int = 0


class EventsLost(Exception):
    """There were more events than there was room for."""


class ProcessEvents:
    """Listens from its beginning on. Raises OSError where this process may not, as in a namespace of processes."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _CONNECTOR
        )
        try:
            self._socket.bind((0, _PROCESSES))
            self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_ROOM, _ROOM)
            body = _MESSAGE.pack(_PROCESSES, _PROCESSES, 0, 0, _INPUT.size, 0) + _INPUT.pack(_LISTEN)
            self._socket.send(_HEADER.pack(_HEADER.size + len(body), _DONE, 0, 0, 0) + body)
        except OSError:
            self._socket.close()
            raise

    async def answered(self) -> None:
        """The kernel says that it tells events. Raises TimeoutError: where we may not listen it says nothing."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            while (await self._next()).kind is not Kind.ANSWER:
                pass

    async def __aiter__(self) -> AsyncIterator[ProcessEvent]:
        """Raises EventsLost: those after it are told by the next iteration."""
        while True:
            found = await self._next()
            if found.kind is not Kind.ANSWER:
                yield found

    async def _next(self) -> ProcessEvent:
        loop = asyncio.get_running_loop()
        while True:
            try:
                content, (sender, _groups) = await _received(loop, self._socket)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise EventsLost from error
                raise
            found = _read(content) if sender == _KERNEL else None
            if found is not None:
                return found

    def close(self) -> None:
        self._socket.close()


async def process_events() -> ProcessEvents:
    """Listen. Raises OSError, or TimeoutError, where this process may not."""
    found = ProcessEvents()
    try:
        await found.answered()
    except BaseException:
        found.close()
        raise
    return found


async def _received(loop: asyncio.AbstractEventLoop, it: socket.socket) -> tuple[bytes, tuple[int, int]]:
    return await loop.sock_recvfrom(it, 4096)


def _read(content: bytes) -> ProcessEvent | None:
    """The event of a process, and no thread, that a message tells; None where it is of another kind."""
    at = _HEADER.size + _MESSAGE.size
    if len(content) < at + _EVENT.size:
        return None
    what = _EVENT.unpack_from(content, at)[0]
    if what == Kind.ANSWER:
        return ProcessEvent(Kind.ANSWER, 0)
    if what not in _DATA or len(content) < at + _EVENT.size + _DATA[Kind(what)].size:
        return None
    kind = Kind(what)
    fields = _DATA[kind].unpack_from(content, at + _EVENT.size)
    if kind is Kind.FORK:
        _parent, parent_process, child, child_process = fields
        return ProcessEvent(kind, child, parent_process) if child == child_process else None
    thread, process = fields[:2]
    if thread != process:
        return None
    return ProcessEvent(kind, process, fields[2] if kind is Kind.EXIT else 0)
