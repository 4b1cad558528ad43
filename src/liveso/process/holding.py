"""Asks the process that holds threads of targets still (liveso.holder)."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import liveso
from liveso.errors import TargetError, TargetGone
from liveso.holder import orders
from liveso.holder.facts import Facts
from liveso.process.native import known_native_machine

_TEXT = 1 << 16  # bytes
_ENDED = "the process that holds its threads still has ended"


class CannotHold(TargetError):
    """The threads may not be held still, or not written to: another process traces them, for example."""


class NotYetStill(CannotHold):
    """A thread cannot be stopped now; a moment later it can."""


class MemoryChanged(TargetError):
    """Memory was not as expected, and nothing was written."""


class CallFailed(TargetError):
    """A call that a thread was let make did not come back: the thread is where it was before."""


class CallTooLong(TargetGone):
    """A call that a thread was let make has not come back in time. It may do so later."""


_ERRORS = {
    orders.LATER: NotYetStill,
    orders.GONE: TargetGone,
    orders.CHANGED: MemoryChanged,
    orders.FAULT: CallFailed,
    orders.TOO_LONG: CallTooLong,
}


class Talk:
    """What is said about one freeze or visit. The end of its socket lets the threads go."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def ask(self, order: bytes, expected: bytes, descriptor: int = -1) -> bytes:
        """What comes with the answer that is expected. Raises the error that another one tells."""
        try:
            socket.send_fds(self._connection, [order], [descriptor] if descriptor >= 0 else [])
        except OSError:
            raise CannotHold(_ENDED) from None
        return await self.hear(expected)

    async def hear(self, expected: bytes) -> bytes:
        """As `ask`, where nothing is to be said first."""
        try:
            answer = await asyncio.get_running_loop().sock_recv(self._connection, _TEXT)
        except OSError:
            answer = b""
        if answer[:1] == expected:
            return answer[1:]
        raise _ERRORS.get(answer[:1], CannotHold)(answer[1:].decode(errors="replace") or _ENDED)


@asynccontextmanager
async def talk(kind: bytes, pid: int, thread: int, limit: float) -> AsyncIterator[tuple[Talk, bytes]]:
    """Ask for a freeze or a visit (orders.REQUEST); what is told of it. Raises NotYetStill where a thread did not stop
    within `limit` seconds, TargetError where it may not be stopped."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours:
        with theirs:
            request = orders.REQUEST.pack(kind, pid, thread, limit)
            try:
                socket.send_fds(start_holder(), [request], [theirs.fileno()])
            except OSError as error:
                raise TargetError(f"no process can be made that holds its threads still: {error}") from error
        it = Talk(ours)
        yield it, await it.hear(orders.STILL)


def facts() -> Facts:
    """What the holder is to know of this machine's processor."""
    machine = known_native_machine()
    return machine.calls.stops if machine and machine.calls else Facts(0, 0, 0, (), ())


_START = """
import sys
sys.path.append(sys.argv[1])
from liveso.holder.priority import go_before_others
go_before_others()  # what is imported takes long where others keep the processors busy
from liveso.holder.facts import facts_of
from liveso.holder.serve import serve
serve(facts_of(sys.argv[2]))
"""
_LONGEST_START = 30.0  # seconds

_control: socket.socket | None = None
_process: subprocess.Popen[bytes] | None = None


def start_holder() -> socket.socket:
    """Start the process that holds threads still, where it does not run: ahead of need, so that no freeze waits for it.
    It ends after this process. Returns the socket for requests."""
    global _control, _process
    if _control is None or _process is None or _process.poll() is not None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = Path(liveso.__path__[0])
        with theirs:
            _process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(package.resolve().parent), facts().written()],
                executable="/proc/self/exe",  # also where no path leads there for this user
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                process_group=0,
                cwd="/",
                env={"LIVE_DISABLE": "1", "PATH": os.defpath},
            )
        _control = ours
    return _control


async def wait_for_holder() -> None:
    """Wait until the process runs that holds threads still, where it does not yet: who needs it may have no time."""
    with suppress(TimeoutError, OSError):
        await asyncio.wait_for(asyncio.to_thread(start_holder().recv, len(orders.READY)), _LONGEST_START)
