"""Holds all threads of a target still but the agent's: asks the process that does so (holder.py)."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from liveso.errors import TargetError, TargetGone
from liveso.machine import MACHINES
from liveso.process import holder
from liveso.process.protocol import Piece
from liveso.process.sheet import Sheet

_TEXT = 4096  # bytes
_CALLS = 16
_ENDED = "the process that holds its threads still has ended"


class CannotHold(TargetError):
    """The threads may not be held still, or not written to: another process traces them, for example."""


class NotYetStill(CannotHold):
    """A thread cannot be stopped now; a moment later it can."""


class MemoryChanged(TargetError):
    """Memory was not as expected, and nothing was written."""


class Freeze:
    """Threads that stand still, `since` a time (time.monotonic()). `is_answered` is set when the agent has answered the
    request that `watch` was about."""

    def __init__(self, talk: socket.socket, since: float) -> None:
        self._talk = talk
        self.since = since
        self.is_answered = False

    async def watch(self, sheet: int) -> None:
        """Hold the threads until the agent is done with the sheet (struct live_carry), or has not begun with it and
        never will: also where the block is left by a time-out, or the daemon dies. Raises TargetError where they run
        already."""
        try:
            socket.send_fds(self._talk, [holder.WATCH], [sheet])
        except OSError:
            raise TargetError(_ENDED) from None
        await _heard(self._talk, holder.WATCHED)

    async def write(self, pieces: Sheet) -> None:
        """Write memory of the target, as a sheet of `written_down` has it. Raises MemoryChanged, or TargetError where
        it cannot be done; then nothing is written."""
        try:
            socket.send_fds(self._talk, [holder.WRITE], [pieces.descriptor])
        except OSError:
            raise TargetError(_ENDED) from None
        await _heard(self._talk, holder.WRITTEN)

    async def step(self, thread: int) -> None:
        """Let a thread that stands outside of system calls execute one instruction, if that can be done."""
        try:
            self._talk.send(holder.STEP + holder.THREAD.pack(thread))
        except OSError:
            raise TargetError(_ENDED) from None
        await _heard(self._talk, holder.STEPPED)

    async def end(self) -> None:
        self._talk.send(holder.END_ANSWERED if self.is_answered else holder.END)
        await _heard(self._talk, holder.ENDED)


def written_down(pieces: Sequence[Piece]) -> Sheet:
    """What is to be written while threads stand still, made ready before they do."""
    table, contents = [holder.COUNT.pack(len(pieces))], []
    at = holder.COUNT.size + len(pieces) * holder.PIECE.size
    for address, expected, content in pieces:
        table.append(holder.PIECE.pack(address, len(expected), at))
        contents += [expected, content]
        at += 2 * len(expected)
    return Sheet(b"".join((*table, *contents)))


@asynccontextmanager
async def still(pid: int, agent: int, limit: float) -> AsyncIterator[Freeze]:
    """All threads of a process but the agent's stand still inside the block.

    Raises NotYetStill where one did not stop within `limit` seconds, TargetError where they may not be stopped.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours:  # its end lets the threads go
        with theirs:
            try:
                socket.send_fds(
                    start_holder(), [holder.REQUEST.pack(pid, agent, limit, *_call_facts())], [theirs.fileno()]
                )
            except OSError as error:
                raise TargetError(f"no process can be made that holds its threads still: {error}") from error
        freeze = Freeze(ours, *holder.SINCE.unpack(await _heard(ours, holder.STILL)))
        try:
            yield freeze
        finally:
            try:
                await freeze.end()
            except (OSError, TargetError):
                pass  # the holder has ended, and what it held runs


def _call_facts() -> list[int]:
    """What the holder needs to know of system calls, which are those of the machine that it runs on."""
    machine = next((it for it in MACHINES.values() if it.kernel_name == os.uname().machine), None)
    if machine is None:
        return [0, 0, *(-1 for _ in range(_CALLS))]
    calls = machine.calls_without_restart
    return [machine.call_number_at, machine.call_result_at, *calls, *(-1 for _ in range(_CALLS - len(calls)))]


async def _heard(talk: socket.socket, expected: bytes) -> bytes:
    """What comes with the answer that is expected. Raises the error that another one tells."""
    try:
        answer = await asyncio.get_running_loop().sock_recv(talk, _TEXT)
    except OSError:
        answer = b""
    kind, text = answer[:1], answer[1:].decode(errors="replace")
    if kind == expected:
        return answer[1:]
    if kind == holder.CHANGED:
        raise MemoryChanged("memory changed meanwhile")
    if kind == holder.LATER:
        raise NotYetStill(text)
    if kind == holder.GONE:
        raise TargetGone(text)
    raise CannotHold(text or _ENDED)


_control: socket.socket | None = None
_process: subprocess.Popen[bytes] | None = None


def start_holder() -> socket.socket:
    """Start the process that holds threads still, where it does not run: ahead of need, so that no freeze waits for it.
    It ends after this process. Returns the socket for requests."""
    global _control, _process
    if _control is None or _process is None or _process.poll() is not None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            _process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(holder.__file__).resolve())],
                executable="/proc/self/exe",  # also where no path leads there for this user
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={"LIVE_DISABLE": "1", "PATH": os.defpath},
            )
        _control = ours
    return _control
