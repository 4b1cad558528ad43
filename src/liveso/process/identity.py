"""What a target runs, told by what it has in memory: overlay file systems change a file's content under its inode, and
a path leads elsewhere after an upgrade."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from liveso.elf import Image, tables
from liveso.errors import TargetError, TargetGone
from liveso.process.agent import Agent, LoadedObject
from liveso.roots import open_file

_NT_GNU_BUILD_ID = 3
_LEAST_BUILD_ID = 16  # bytes, of an MD5 or UUID; the default is a SHA-1
_LARGEST_NOTES = 1 << 16  # bytes
_HEADER = 64  # bytes (gABI, "ELF Header")
_LARGEST_OFFSET = 1 << 62
_PIECE = 1 << 22  # bytes of code that are compared at a time


@dataclass(frozen=True, slots=True)
class Identity:
    """The program headers of a loaded object, and its build ID in hexadecimal, empty where it has none (gABI, "Note
    Section"; `ld --build-id`)."""

    headers: bytes
    build_id: str

    @property
    def is_unique(self) -> bool:
        """Whether the build ID is a hash or a random number, and not one that somebody chose."""
        return len(self.build_id) >= 2 * _LEAST_BUILD_ID


async def read_identities(agent: Agent, objects: Sequence[LoadedObject]) -> list[Identity]:
    """The identities of loaded objects, in two rounds of reading for all of them."""
    heads = await agent.read((it.headers, it.header_count * tables.SEGMENT.itemsize) for it in objects)
    notes = [_note_places(head, it.base) for it, head in zip(objects, heads, strict=True)]
    contents = iter(await agent.read([place for places in notes for place in places]))
    found = []
    for head, places in zip(heads, notes, strict=True):
        build_ids = [build_id for _place in places if (build_id := _build_id(next(contents)))]
        found.append(Identity(head, build_ids[0] if build_ids else ""))
    return found


def _note_places(head: bytes, base: int) -> list[tuple[int, int]]:
    segments = np.frombuffer(head, tables.SEGMENT)
    rows = segments[(segments["type"] == tables.PT_NOTE) & (segments["memory_size"] <= _LARGEST_NOTES)]
    return [((base + int(row["address"])) % (1 << 64), int(row["memory_size"])) for row in rows if row["memory_size"]]


def _build_id(notes: bytes) -> str:
    """The build ID among notes: each has the sizes of its name and content, its type, and both, in whole words."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = (int(it) for it in np.frombuffer(notes, "<u4", 3, at))
        start = at + 12 + -(-name_size // 4) * 4
        if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + -(-size // 4) * 4
    return ""


def read_file_identity(path: str) -> Identity | None:
    """The identity that the file at `path` has once it is loaded; None where it is no ELF file for a 64-bit machine."""
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            head = file.read(_HEADER)
            if len(head) != _HEADER or head[:5] != b"\x7fELF\x02":
                return None
            start = int.from_bytes(head[32:40], "little")
            size = int.from_bytes(head[56:58], "little") * tables.SEGMENT.itemsize
            headers = os.pread(file.fileno(), size, min(start, _LARGEST_OFFSET))
            if len(headers) != size:
                return None
            build_id = ""
            for row in np.frombuffer(headers, tables.SEGMENT):
                if row["type"] == tables.PT_NOTE and row["file_size"] <= _LARGEST_NOTES and not build_id:
                    at = min(int(row["offset"]), _LARGEST_OFFSET)
                    build_id = _build_id(os.pread(file.fileno(), int(row["file_size"]), at))
            return Identity(headers, build_id)
    except OSError:
        return None


def _restored(content: bytes, at: int, known: Iterable[tuple[int, bytes]]) -> bytes:
    """A piece of memory, which begins at `at`, with the bytes that were there before."""
    found = bytearray(content)
    for place, before in known:
        low, high = max(place, at), min(place + len(before), at + len(content))
        if low < high:
            found[low - at : high - at] = before[low - place : high - place]
    return bytes(found)


def _open_at_once(path: str, flags: int) -> int:
    return open_file(path, flags | os.O_NONBLOCK)


def may_be(identity: Identity, image: Image) -> bool:
    """Whether an object in memory may be of this image: program headers and build ID agree."""
    return identity.build_id == image.build_id and identity.headers == image.segments.tobytes()


async def is_of(
    agent: Agent,
    it: LoadedObject,
    identity: Identity,
    image: Image,
    *,
    thorough: bool = False,
    overwritten: Iterable[tuple[int, bytes]] = (),
) -> bool:
    """Whether an object in memory is of this image. Without a build ID that names one content, or if `thorough`, all
    its code and constants are compared, but for what was `overwritten`, by its address relative to the load address.

    What the dynamic linker fills in there (`DT_TEXTREL`) makes them differ from the file's: then it is not told. Raises
    TargetGone.
    """
    if not may_be(identity, image):
        return False
    if identity.is_unique and not thorough:
        return True
    for section in image.sections:
        if section.type == tables.SHT_PROGBITS and section.is_allocated and not section.is_writable:
            content = image.section_bytes(section)
            known = [(place - section.address, before) for place, before in overwritten]
            for at in range(0, len(content), _PIECE):
                expected = content[at : at + _PIECE]
                try:
                    found = await agent.read([(it.base + section.address + at, len(expected))])
                except TargetGone:
                    raise
                except TargetError:
                    return False
                if found[0] != expected and _restored(found[0], at, known) != expected:
                    return False
    return True
