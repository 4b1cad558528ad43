"""How live.so comes into a process that was started without it: none of its code runs by itself there."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liveso.errors import TargetError
from liveso.holder.orders import ALONE
from liveso.process.agent import PlaceTaken
from liveso.process.agent_file import is_agent
from liveso.process.exports import Exports
from liveso.process.mapped import MappedObjects
from liveso.process.memory import Unreadable
from liveso.process.memory_map import Mapping as Part
from liveso.process.protocol import AREA, AREA_VERSION, STACK_SIZE
from liveso.process.unseen import open_unseen
from liveso.process.visit import Place, Visit

CALL_LIMIT = 20.0
"""Seconds that a call in a process may take before its thread is let go."""
NOW = 2
"""RTLD_NOW (dlopen(3))"""

_RED_ZONE = 128  # bytes (psABI, 3.2.2)
_ROOM = 1 << 19  # bytes for the first call of dlopen
_LONGEST_TEXT = 4096
_ANONYMOUS, _READ_WRITE = 0x22, 3  # MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ | PROT_WRITE (mmap(2))
_READ_EXECUTE = 5  # PROT_READ | PROT_EXEC
_NO_FILE = (1 << 64) - 1
_FAILED = (1 << 64) - 4096  # an address from here on is an error
_PAGE = 4096
_LIBRARIES = (
    "libc.so.6",
    "libdl.so.2",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "ld-linux-riscv64-lp64d.so.1",
)
_NAMES = ("stub", "area", "stack", "list", "map_parts", "move_parts")
_FUNCTIONS = ("dlopen", "dlclose", "dlsym", "dlvsym", "dlerror", "mmap", "munmap", "__errno_location")
_WHERE_THERE = ("_dl_get_tls_static_info", "errno", "__libc_dlerror_result", "memfd_create", "close")


@dataclass(frozen=True, slots=True)
class Arrived:
    """live.so in a process: the mapping that it begins with, where calls are made from, what else a call may use of
    that memory while it is small, its struct live_area, and its functions: they list objects,
    map a file, and move mappings."""

    start: Part
    place: Place
    spare: int
    area: int
    lister: int
    mapper: int
    mover: int


def arrived(objects: MappedObjects) -> Arrived | None:
    """Where live.so is in a process; None where it is not, or is too old to be visited. Raises TargetError where it is
    newer than this daemon."""
    for part in objects.mappings:
        if part.offset == 0 and is_agent(part.file.path):
            try:
                exports = Exports(objects.memory, objects.image(part))
                stub, area, stack, *functions = (exports.definitions(f"live_{it}")[0].start for it in _NAMES)
                version = AREA.unpack(objects.memory.content(area, AREA.size))[1]
            except (Unreadable, IndexError):
                continue
            if version != AREA_VERSION:
                raise TargetError("its live.so is of another version, which this daemon does not know")
            return Arrived(part, Place(stub, stack + STACK_SIZE), stack, area, *functions)
    return None


def functions_of(objects: MappedObjects) -> dict[str, int]:
    """The addresses of what libc and the dynamic linker offer. Raises TargetError where something of it is missing."""
    found: dict[str, int] = {}
    for part in objects.mappings:
        if part.offset == 0 and part.file.path.removesuffix(" (deleted)").rpartition("/")[2] in _LIBRARIES:
            exports = Exports(objects.memory, objects.image(part))
            for name in (*_FUNCTIONS, *_WHERE_THERE):
                for definition in exports.definitions(name):
                    found.setdefault(name, definition.start)
    missing = [it for it in _FUNCTIONS if it not in found]
    if missing:
        raise TargetError(
            f"its C library does not offer {missing[0]}: it is statically linked, or its glibc is older than 2.34"
        )
    return found


async def arrive(
    visit: Visit, path: str, name_in_memory: str, objects: MappedObjects, functions: Mapping[str, int]
) -> Arrived:
    """Let the thread open live.so from a path, which it does not see where there is a `name_in_memory` (open_unseen).
    Raises TargetError where that cannot be: the process is as it was."""
    stub_at, before = _unused_code(visit, objects)
    top = visit.stack_pointer - _RED_ZONE
    _require_room(visit, objects.mappings, top)
    visit.write(stub_at, visit.calls.stub)
    try:
        await _open(visit, path, name_in_memory, functions, Place(stub_at, top))
    except BaseException:
        if not visit.is_adrift:  # else the thread will come back there
            visit.write(stub_at, before)
        raise
    visit.write(stub_at, before)
    found = arrived(visit.objects())
    if found is None:
        raise TargetError("live.so is not where it was opened")
    return found


async def _open(visit: Visit, path: str, name_in_memory: str, functions: Mapping[str, int], place: Place) -> None:
    """Open live.so on memory that is made for that: the thread's stack may be small."""
    room = await new_memory(visit, functions, place, _ROOM)
    large = Place(place.stub, room + _ROOM)
    try:
        if name_in_memory:
            handle = await open_unseen(visit, functions, large, room, path, name_in_memory, NOW)
        else:
            visit.write(room, os.fsencode(path) + b"\0")
            handle = await visit.call(functions["dlopen"], [room, NOW], large, limit=CALL_LIMIT, standstill=ALONE)
        reason = "" if handle else f"the dynamic linker says: {await loader_error(visit, functions, large)}"
    except TargetError as error:
        if visit.is_adrift:
            raise
        reason = str(error)
    await visit.call(functions["munmap"], [room, _ROOM], place, limit=CALL_LIMIT)
    if reason:
        raise TargetError(reason)


async def new_memory(visit: Visit, functions: Mapping[str, int], place: Place, size: int) -> int:
    """The address of memory that the process maps. Raises TargetError where it gets none."""
    arguments = [0, size, _READ_WRITE, _ANONYMOUS, _NO_FILE, 0]
    found = await visit.call(functions["mmap"], arguments, place, limit=CALL_LIMIT)
    if found >= _FAILED:
        raise TargetError("it has no memory for what an update needs")
    return found


async def room_at(visit: Visit, functions: Mapping[str, int], place: Place, start: int, size: int) -> None:
    """Let the process map memory for code at an address where nothing is mapped. Raises PlaceTaken, TargetError
    where it does not."""
    arguments = [start, size, _READ_EXECUTE, _ANONYMOUS, _NO_FILE, 0]
    found = await visit.call(functions["mmap"], arguments, place, limit=CALL_LIMIT)
    if found < _FAILED and found != start:
        await visit.call(functions["munmap"], [found, size], place, limit=CALL_LIMIT)
    if found != start:
        raise (PlaceTaken if found < _FAILED else TargetError)("it gets no memory for code near its libraries")


async def loader_error(visit: Visit, functions: Mapping[str, int], place: Place) -> str:
    """What dlerror(3) says."""
    text = await visit.call(functions["dlerror"], [], place, limit=CALL_LIMIT)
    return visit.read_text(text, _LONGEST_TEXT) if text else "not found"


def _unused_code(visit: Visit, objects: MappedObjects) -> tuple[int, bytes]:
    """Where a stub can be written: between the end of an object's code and the end of its last page, and what is there.
    Raises TargetError where there is no such place."""
    size = len(visit.calls.stub)
    for part in objects.mappings:
        if part.offset or not part.file.inode:
            continue
        try:
            code = objects.image(part).code
        except Unreadable:
            continue
        for it in code:
            place = -(-it.stop // 16) * 16
            if place + size <= -(-it.stop // _PAGE) * _PAGE and _is_code(objects.mappings, place):
                return place, visit.read(place, size)
    raise TargetError("there is no room in its memory for a call")


def _is_code(parts: Sequence[Part], place: int) -> bool:
    return any(it.start <= place < it.end and it.is_executable and not it.is_shared for it in parts)


def _require_room(visit: Visit, parts: Sequence[Part], top: int) -> None:
    """What a signal's handler could need on the stack. Raises TargetError where it is not there."""
    part = next((it for it in parts if it.start <= top < it.end), None)
    if (
        part is None
        or not part.is_writable
        or (part.start > top - visit.frame_size - _PAGE and "[stack]" not in part.file.path)
    ):
        raise TargetError("its thread's stack has no room for a call")
