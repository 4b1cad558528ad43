"""What the daemon can have done in a target, whichever way it reaches it."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.machine import Machine
from liveso.process import protocol
from liveso.process.memory_map import Mapping, Protections
from liveso.process.protocol import Transaction

Parts = Callable[[], list[Mapping]]


class WordChanged(TargetError):
    """A commit found a word other than expected, and nothing of it is in force."""


class TakenBack(WordChanged):
    """The same, after words were stored: a thread may have entered what they led to, which must stay loaded."""


class ObjectsChanged(TargetError):
    """Objects came or went while a commit was planned; it changed nothing."""


class PlaceTaken(TargetError):
    """Something lies in the memory that was asked for, though no map shows it: an emulator's own."""


class AgentSilent(TargetGone):
    """The agent did not answer in time. What it was asked for may be done, or be done later: only the record of the
    target, which the next connection recalls, tells."""


class Withdrawn(TargetError):
    """The agent did not come to a request in time, which was taken back: nothing was done, nor will be."""


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """An object in the target: the program or a library (dl_iterate_phdr(3)). Addresses are absolute.

    `name` is what the dynamic linker calls it, empty for the program; `tls_block` is that of the thread which told so,
    0 where it has none.
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
    """What an agent says of itself. `settings` are the program's LIVE_ variables, `protocol` is the version of the
    protocol that it speaks."""

    thread: int
    malloc: int
    thread_pointer: int
    settings: dict[str, str]
    protocol: int = protocol.PROTOCOL


@dataclass(frozen=True, slots=True)
class Opened:
    """A library that `dlopen` returned: its handle and load address."""

    handle: int
    base: int


class Agent(Protocol):
    """One target, as far as the daemon reaches into it. One thing is under way at a time."""

    @property
    def spared(self) -> int:
        """The thread that goes on while all others of the target are held still, 0 where there is none."""

    @property
    def is_met(self) -> bool:
        """Whether something was done in the target by this daemon, or asked of it. Until then its objects are seen from
        outside, without their thread-local blocks."""

    @property
    def machine(self) -> Machine:
        """Whose code the target executes. Known once it was greeted."""

    @property
    def is_translated(self) -> bool:
        """Whether an emulator does so, which sees only what the program itself writes. Known likewise."""

    async def greet(self) -> Hello:
        """What is to be known first. Raises TargetError where the process cannot be served."""

    async def meet(self) -> None:
        """Let there be live.so in the target. Raises TargetError where that cannot be: it is as it was."""

    async def list_objects(self) -> ObjectList: ...

    async def read(self, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """Read memory: `ranges` are address and size. Raises TargetError if some of it is not mapped."""

    async def protections(self, addresses: Table) -> Protections:
        """Those of the mappings that `addresses` lie in, as the target has made them. Raises TargetError where one of
        them is not mapped."""

    async def mapped(self) -> Protections:
        """Those of all mappings."""

    async def make_room(self, start: int, size: int) -> None:
        """Map memory for code at an address where nothing is mapped. Raises PlaceTaken, TargetError where that
        cannot be."""

    async def open(self, path: str, mode: int) -> Opened:
        """dlopen(3)"""

    async def open_copy(self, path: str, mode: int) -> Opened:
        """The same for a copy in the store, which the target need not see."""

    async def close(self, handle: int) -> None:
        """dlclose(3)"""

    async def resolve(self, handle: int, name: str, version: str = "") -> int:
        """The address that `dlsym` or `dlvsym` gives; handle 0 is RTLD_DEFAULT."""

    async def commit(self, transaction: Transaction, planned_on: ObjectList) -> bool:
        """Apply a transaction; False where it is in force, but pages stayed writable that were not.

        Raises WordChanged or ObjectsChanged where nothing is in force for that reason (TakenBack: it was for a moment).
        After AgentSilent and TargetGone it may be in force."""

    async def recall(self) -> bytes:
        """The record of the last commit that was applied."""

    async def carry(self, pid: int, path: str, parts: Parts, limit: float) -> float:
        """Lay mappings, which `parts` tells while all threads of the process stand still, onto the file at `path`,
        which has the same content. Returns for how long they stood, in ms.

        Raises Withdrawn, NotYetStill where they did not within `limit` seconds, or another TargetError; then nothing
        was done."""

    async def say(self, line: str) -> None:
        """Put a line on the program's standard error."""

    async def leave(self) -> None:
        """Leave nothing in the target that runs."""

    async def receive_until_gone(self) -> None:
        """Returns when the target is not to be reached any more. Everything else waits for what this receives."""

    def disconnect(self) -> None: ...


def read_objects(content: bytes) -> tuple[LoadedObject, ...]:
    """The objects of a listing (struct live_object). Raises TargetError where it is none."""
    found, position = [], 0
    while position < len(content):
        if len(content) - position < protocol.OBJECT.size:
            raise TargetError("the agent's list of objects is cut short")
        base, headers, tls_block, tls_module, header_count, name_size = protocol.OBJECT.unpack_from(content, position)
        position += protocol.OBJECT.size
        name = os.fsdecode(content[position : position + name_size])
        position += name_size
        found.append(LoadedObject(name, base, headers, header_count, tls_module, tls_block))
    if position != len(content):
        raise TargetError("the agent's list of objects is cut short")
    return tuple(found)
