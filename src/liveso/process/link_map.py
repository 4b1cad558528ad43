"""The objects that a process has loaded, read from outside in the list that its dynamic linker keeps for debuggers
(struct r_debug and struct link_map, link.h): nothing of the process runs for it."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from liveso.elf import tables
from liveso.errors import TargetError
from liveso.process import proc
from liveso.process.agent import LoadedObject
from liveso.process.mapped import MappedObject, MappedObjects
from liveso.process.memory import Memory, Unreadable

_ENTRY = struct.Struct("<qQ")
_AT_PHDR = 3  # getauxval(3)
_DEBUGGING = struct.Struct("<i4xQQi4xQ")  # struct r_debug
_LINK = struct.Struct("<QQQQ")  # struct link_map, as far as link.h shows it, without l_prev
_CONSISTENT = 0  # RT_CONSISTENT
_MOST_OBJECTS = 8192
_MOST_ENTRIES = 256


class Loading(TargetError):
    """The dynamic linker is at work on the list."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the list: its address, and an object's base address, name and dynamic section."""

    place: int
    base: int
    name: str
    dynamic: int


def list_at(pid: int, thread: int, objects: MappedObjects) -> int:
    """Where struct r_debug is, which stays there as long as the process executes the same program. Raises Unreadable
    where there is none, as in statically linked programs, TargetGone."""
    program = objects.around(proc.auxiliary_vector(pid, thread).get(_AT_PHDR, 0))  # its headers lie there
    return _debugging(program, objects.memory)


def links(debugging: int, memory: Memory) -> tuple[Link, ...]:
    """The list of the struct r_debug at an address, as it is now. Raises Loading where it is being changed, Unreadable
    where there is none."""
    found = tuple(_links(debugging, memory))
    _first(debugging, memory)
    return found


def seen_objects(pid: int, thread: int, objects: MappedObjects) -> tuple[LoadedObject, ...]:
    """What is loaded, without the thread-local blocks, which only the process itself can tell. Raises Loading,
    TargetError where there is no list, TargetGone."""
    try:
        found = links(list_at(pid, thread, objects), objects.memory)
    except Unreadable as error:
        raise TargetError(f"its loaded objects cannot be told: {error}") from error
    return tuple(_seen(it, objects) for it in found)


def _seen(link: Link, objects: MappedObjects) -> LoadedObject:
    try:
        image = objects.around(link.dynamic)
    except Unreadable as error:
        raise Loading(f"it loads or unloads libraries just now: {error}") from error
    return LoadedObject(link.name, link.base, image.headers, image.header_count, 0, 0)


def _debugging(program: MappedObject, memory: Memory) -> int:
    """The address of struct r_debug."""
    section = program.dynamic
    size = min(len(section) // _ENTRY.size, _MOST_ENTRIES) * _ENTRY.size
    for tag, value in _ENTRY.iter_unpack(memory.content(section.start, size)):
        if tag == tables.DT_DEBUG and value:
            return int(value)
    raise Unreadable("it is statically linked, or has not begun yet")


def _links(debugging: int, memory: Memory) -> Iterator[Link]:
    place = _first(debugging, memory)
    for _object in range(_MOST_OBJECTS):
        if not place:
            return
        base, name, dynamic, following = _LINK.unpack(memory.content(place, _LINK.size))
        yield Link(place, base, os.fsdecode(memory.text(name)) if name else "", dynamic)
        place = following
    raise Unreadable("the list has no end")


def _first(debugging: int, memory: Memory) -> int:
    """The first of the list, as it is now. Raises Loading."""
    content = memory.fresh(debugging, _DEBUGGING.size)
    if len(content) != _DEBUGGING.size:
        raise Unreadable("there is no list")
    _version, first, _breakpoint, state, _loader = _DEBUGGING.unpack(content)
    if state != _CONSISTENT:
        raise Loading("it loads or unloads libraries just now")
    return int(first)
