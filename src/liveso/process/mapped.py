"""The ELF images that a process executes, as they are in its memory: what is on disk may be another file by now."""

import re
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from liveso.elf import printable, tables
from liveso.machine import Machine
from liveso.process import memory_map, proc
from liveso.process.memory import Memory, Unreadable
from liveso.process.memory_map import Mapping

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # gABI, "ELF Header"
_IDENTIFICATION = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian
_SEGMENT = struct.Struct("<IIQQQQQQ")  # gABI, "Program Header"
_MOST_SEGMENTS = 64
_LARGEST_SEGMENT = 1 << 40  # bytes
_PAGE = 4096
_PT_INTERP = 3
_VDSO = "[vdso]"
_DELETED = re.compile(r" \(deleted\)$")


@dataclass(frozen=True, slots=True)
class MappedObject:
    """An image in memory. `base` is what is added to the addresses in it; `code` are the ranges of its instructions,
    `headers` is where its program headers lie, `unwind_table` where .eh_frame_hdr, and `dynamic` its dynamic section,
    all absolute."""

    name: str
    base: int
    headers: int
    header_count: int
    code: tuple[range, ...]
    unwind_table: range
    dynamic: range
    is_program: bool
    is_vdso: bool


class MappedObjects:
    """Finds the image that an address lies in, among the mappings of a process, which are in order."""

    def __init__(self, memory: Memory, mappings: Sequence[Mapping], machine: Machine) -> None:
        self.memory = memory
        self.machine = machine
        self.mappings = mappings
        self._starts = [it.start for it in mappings]
        self._images: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        for it in mappings:
            if it.offset == 0:
                self._images[_file(it)].append(it.start)
        self._known: dict[int, MappedObject] = {}

    def at(self, address: int) -> MappedObject:
        """The image whose code is at `address`. Raises Unreadable where there is none, or where it is not sound."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self.mappings[index].end or not self.mappings[index].is_executable:
            raise Unreadable(f"no code is mapped at {address:#x}")
        mapping = self.mappings[index]
        if not mapping.file.inode and mapping.file.path != _VDSO:
            raise Unreadable(f"the code at {address:#x} is no file's, but made at run time")
        found = self._image_with(mapping)
        if not any(address in it for it in found.code):
            raise Unreadable(f"{found.name} has no code at {address:#x}")
        return found

    def around(self, address: int) -> MappedObject:
        """The image that has something of its file at `address`. Raises Unreadable where there is none."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self.mappings[index].end:
            raise Unreadable(f"nothing is mapped at {address:#x}")
        return self._image_with(self.mappings[index])

    def _image_with(self, mapping: Mapping) -> MappedObject:
        images = self._images.get(_file(mapping), [])
        index = bisect_right(images, mapping.start) - 1
        if index < 0:
            raise Unreadable(f"{_name(mapping)} is mapped without its header")
        found = self._known.get(images[index])
        if found is None:
            found = self._known[images[index]] = self._read(images[index], mapping)
        return found

    def image(self, mapping: Mapping) -> MappedObject:
        """The image whose header is at the beginning of a mapping. Raises Unreadable where there is none."""
        found = self._known.get(mapping.start)
        if found is None:
            found = self._known[mapping.start] = self._read(mapping.start, mapping)
        return found

    def _read(self, start: int, mapping: Mapping) -> MappedObject:
        name = _name(mapping)
        identification, kind, machine, *rest = _HEADER.unpack(self.memory.content(start, _HEADER.size))
        at, size, count = rest[2], rest[6], rest[7]
        if not identification.startswith(_IDENTIFICATION) or kind not in (tables.ET_EXEC, tables.ET_DYN):
            raise Unreadable(f"{name} is no ELF object")
        if machine != self.machine.e_machine or size != _SEGMENT.size or count > _MOST_SEGMENTS:
            raise Unreadable(f"{name} is no ELF object of {self.machine.name}")
        rows = list(_SEGMENT.iter_unpack(self.memory.content(start + at, count * size)))
        loads = [row for row in rows if row[0] == tables.PT_LOAD]
        if not loads or loads[0][2] >= _PAGE:
            raise Unreadable(f"{name} has no segment with its header")
        if any(row[6] > _LARGEST_SEGMENT for row in rows):
            raise Unreadable(f"{name} has a segment that is larger than any object's")
        base = start - (loads[0][3] - loads[0][2])
        ranges = {row[0]: range(base + row[3], base + row[3] + row[6]) for row in reversed(rows)}
        return MappedObject(
            name=name,
            base=base,
            headers=start + at,
            header_count=count,
            code=tuple(range(base + it[3], base + it[3] + it[6]) for it in loads if it[1] & tables.PF_X),
            unwind_table=ranges.get(tables.PT_GNU_EH_FRAME, range(0)),
            dynamic=ranges.get(tables.PT_DYNAMIC, range(0)),
            is_program=_PT_INTERP in ranges,
            is_vdso=not mapping.file.inode,
        )


def mapped_now(pid: int, machine: Machine) -> MappedObjects:
    """What a process has mapped, while it runs. Raises TargetGone, TargetError where it may not be looked at."""
    return MappedObjects(memory_now(pid), memory_map.mappings(pid, proc.living_thread(pid)), machine)


def memory_now(pid: int) -> Memory:
    """The memory of a process while it runs. Raises TargetGone."""
    thread = proc.living_thread(pid)
    return Memory(lambda address, size: proc.read_memory(pid, thread, address, size))


def _file(mapping: Mapping) -> tuple[str, int, str]:
    file = mapping.file
    return file.device, file.inode, "" if file.inode else file.path


def _name(mapping: Mapping) -> str:
    return printable(_DELETED.sub("", mapping.file.path).rpartition("/")[2]) or "a file without a name"
