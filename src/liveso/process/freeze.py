"""Holds all threads of a target still but the agent's."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from liveso.errors import TargetError
from liveso.holder import orders
from liveso.process.agent import ObjectsChanged
from liveso.process.holding import MemoryChanged, Talk, talk
from liveso.process.protocol import Piece, Transaction
from liveso.process.sheet import Sheet

_LIMIT = 0.5  # seconds
_WORD = 8


class Freeze:
    """Threads that stand still, `since` a time (time.monotonic()). `is_answered` is set when the agent has answered the
    request that `watch` was about."""

    def __init__(self, talk: Talk, since: float) -> None:
        self._talk = talk
        self.since = since
        self.is_answered = False

    async def watch(self, sheet: int) -> None:
        """Hold the threads until the agent is done with the sheet (struct live_carry), or has not begun with it and
        never will: also where the block is left by a time-out, or the daemon dies. Raises TargetError where they run
        already."""
        await self._talk.ask(orders.WATCH, orders.WATCHED, sheet)

    async def write(self, pieces: Sheet) -> None:
        """Write memory of the target, as a sheet of `written_down` has it. Raises MemoryChanged, or TargetError where
        it cannot be done; then nothing is written."""
        await self._talk.ask(orders.WRITE, orders.WRITTEN, pieces.descriptor)

    async def step(self, thread: int) -> None:
        """Let a thread that stands outside of system calls execute one instruction, if that can be done."""
        await self._talk.ask(orders.STEP + orders.THREAD.pack(thread), orders.STEPPED)

    async def registers(self, thread: int) -> bytes:
        """The registers of a thread (NT_PRSTATUS); none where it has ended."""
        return await self._talk.ask(orders.REGISTERS + orders.THREAD.pack(thread), orders.READ)

    async def end(self) -> None:
        await self._talk.ask(orders.END_ANSWERED if self.is_answered else orders.END, orders.ENDED)


def written_down(pieces: Sequence[Piece]) -> Sheet:
    """What is to be written while threads stand still, made ready before they do."""
    table, contents = [orders.COUNT.pack(len(pieces))], []
    at = orders.COUNT.size + len(pieces) * orders.PIECE.size
    for address, expected, content in pieces:
        table.append(orders.PIECE.pack(address, len(expected), at))
        contents += [expected, content]
        at += 2 * len(expected)
    return Sheet(b"".join((*table, *contents)))


@asynccontextmanager
async def still(pid: int, besides: int, limit: float) -> AsyncIterator[Freeze]:
    """All threads of a process, `besides` one where that is not 0, stand still inside the block.

    Raises NotYetStill where one did not stop within `limit` seconds, TargetError where they may not be stopped.
    """
    async with talk(orders.FREEZE, pid, besides, limit) as (it, told):
        freeze = Freeze(it, *orders.SINCE.unpack(told))
        try:
            yield freeze
        finally:
            try:
                await freeze.end()
            except TargetError:
                pass  # the holder has ended, and what it held runs


async def write_used(pid: int, transaction: Transaction) -> None:
    """Exchange the words of a transaction in memory that the process uses, while all its threads stand still. Raises
    ObjectsChanged where one is not as expected, TargetError."""
    rows = zip(*(transaction.words[name].tolist() for name in ("address", "expected", "value")), strict=True)
    pieces = [
        Piece(address, expected.to_bytes(_WORD, "little"), value.to_bytes(_WORD, "little"))
        for address, expected, value in rows
    ]
    if pieces:
        with written_down(pieces) as sheet:
            async with still(pid, 0, _LIMIT) as freeze:
                try:
                    await freeze.write(sheet)
                except MemoryChanged as error:
                    raise ObjectsChanged(str(error)) from error
