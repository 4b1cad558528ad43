"""Which objects a visited process has loaded: by its own word, which stands as long as nothing else is seen from
outside."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from liveso.errors import TargetError
from liveso.machine import Machine
from liveso.process import proc, protocol
from liveso.process.agent import LoadedObject, ObjectList, read_objects
from liveso.process.arrival import CALL_LIMIT, Arrived
from liveso.process.link_map import Link, Loading, links, list_at, seen_objects
from liveso.process.mapped import mapped_now, memory_now
from liveso.process.memory import Unreadable
from liveso.process.visit import Visit
from liveso.process.withheld import in_one_go

_MESSAGE_ROOM, _ROOM = 1 << 14, 1 << 17  # bytes, of the part of the stack that no call gets to
_WORD = 8
NOMINAL_THREAD_POINTER = 1 << 40
"""In place of the thread pointer of the thread that is visited, which is another one each time."""
_NOT_COUNTED = -1, -1  # how many objects were added and removed: a process alone can tell


class ListOfObjects:
    """Raises TargetError, TargetGone."""

    def __init__(self, pid: int, machine: Machine) -> None:
        self._pid = pid
        self._machine = machine
        self._list_at = 0
        self._told: ObjectList | None = None
        self._seen_then: tuple[Link, ...] = ()
        self._static_size = 0

    def seen(self) -> ObjectList:
        """What is seen from outside."""
        return ObjectList(in_one_go(self._pid, self._look), *_NOT_COUNTED)

    def _look(self) -> tuple[LoadedObject, ...]:
        return seen_objects(self._pid, proc.living_thread(self._pid), mapped_now(self._pid, self._machine))

    def if_same(self) -> ObjectList | None:
        """What the process told last, if the same is seen from outside as then."""
        with suppress(Loading):
            if self._told and in_one_go(self._pid, self._links) == self._seen_then:
                return self._told
        return None

    def forget(self) -> None:
        self._told = None

    async def ask(self, it: Visit, live: Arrived, functions: Mapping[str, int]) -> ObjectList:
        with suppress(Loading):
            self._seen_then = in_one_go(self._pid, self._links)
        message = live.spare
        memory, size = message + _MESSAGE_ROOM, _ROOM - _MESSAGE_ROOM
        await it.call(live.lister, [message, memory, size], live.place, limit=CALL_LIMIT)
        found, added, removed = in_one_go(self._pid, partial(_read, it, message, memory, size))
        limit = await self._static_limit(it, live, functions)
        static = range(limit) if self._machine.has_blocks_above else range(1 - limit, 0)
        self._told = ObjectList(tuple(_placed(each, it.thread_pointer, static) for each in found), added, removed)
        return self._told

    def _links(self) -> tuple[Link, ...]:
        if self._list_at:
            with suppress(Unreadable):  # it executes another program by now
                return links(self._list_at, memory_now(self._pid))
        objects = mapped_now(self._pid, self._machine)
        self._list_at = list_at(self._pid, proc.living_thread(self._pid), objects)
        return links(self._list_at, objects.memory)

    async def _static_limit(self, it: Visit, live: Arrived, functions: Mapping[str, int]) -> int:
        """How far from the thread pointer its static blocks lie at most, in bytes (ELF TLS, 3)."""
        if not self._static_size and "_dl_get_tls_static_info" in functions:
            place = live.spare
            arguments = [place, place + _WORD]
            await it.call(functions["_dl_get_tls_static_info"], arguments, live.place, limit=CALL_LIMIT)
            self._static_size = int.from_bytes(it.read(place, _WORD), "little")
        return self._static_size


def _read(it: Visit, message: int, memory: int, size: int) -> tuple[Sequence[LoadedObject], int, int]:
    """The objects that the process has listed, and how many it has loaded and unloaded. Raises TargetError."""
    head = protocol.HEAD.unpack(it.read(message, protocol.HEAD.size))
    status, (count, used, added, removed) = head[1], head[2:6]
    if status != protocol.Status.DONE or used > size:
        raise TargetError("it has more objects than fit into the list")
    found = read_objects(it.read(memory, used))
    if len(found) != count:
        raise TargetError("the list of its objects is not what it says")
    return found, added, removed


def _placed(it: LoadedObject, thread_pointer: int, static: range) -> LoadedObject:
    """With its block as it lies to NOMINAL_THREAD_POINTER, if that is among the places, relative to the thread pointer,
    that are the same in all threads; else without."""
    place = it.tls_block - thread_pointer
    block = NOMINAL_THREAD_POINTER + place if it.tls_block and place in static else 0
    return replace(it, tls_block=block)
