"""The memory map of a process (proc(5), /proc/PID/maps)."""

import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.process.proc import not_readable, read_text
from liveso.process.withheld import in_time

_PROTECTION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ([-r][-w][-x])", re.M)
_QUERY = struct.Struct("=QQQQQQQQQIIIIQQ")  # struct procmap_query
_PROCMAP_QUERY = 0xC0686611  # _IOWR('f', 17, struct procmap_query)
_CODE = re.compile(r"^([0-9a-f]+)-\S+ ..x. \S+ \S+ (\d+) *(.*)$", re.M)
_FILE = re.compile(r"^([0-9a-f]+)-\S+ \S+ \S+ \S+ (\d+) *(.*)$", re.M)
_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ([-r][-w][-x])([-sp]) ([0-9a-f]+) (\S+) ([0-9]+) *(.*)$", re.M)
_FILES = 1 << 14
_BITS = {f"{r}{w}{x}": (r > "-") + 2 * (w > "-") + 4 * (x > "-") for r in "-r" for w in "-w" for x in "-x"}


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file as /proc/PID/maps shows it: the same one has the same device and inode, whatever its path is by now."""

    device: str
    inode: int
    path: str = field(compare=False)

    @property
    def is_deleted(self) -> bool:
        """Whether no path leads to it any more."""
        return self.path.endswith(" (deleted)")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A line of /proc/PID/maps. `protection` is in the bits of mmap(2)."""

    start: int
    end: int
    protection: int
    is_shared: bool
    offset: int
    file: MappedFile

    @property
    def is_writable(self) -> bool:
        return bool(self.protection & 2)

    @property
    def is_executable(self) -> bool:
        return bool(self.protection & 4)


def mappings(pid: int, thread: int) -> list[Mapping]:
    """The memory map, by one thread of the process: the first one may have ended.

    Raises TargetGone where the process has ended, TargetError where it may not be read.
    """
    return [
        Mapping(int(start, 16), int(end, 16), _BITS[bits], share == "s", int(offset, 16), _file(device, inode, path))
        for start, end, bits, share, offset, device, inode, path in _LINE.findall(read_text(pid, f"task/{thread}/maps"))
    ]


@lru_cache(_FILES)
def _file(device: str, inode: str, path: str) -> MappedFile:
    """Processes have the same files: each is kept once."""
    return MappedFile(device, int(inode), path)


@dataclass(frozen=True, slots=True)
class Protections:
    """The protection of some of a process's memory, in the bits of mmap(2): of what lies from each of `starts` to the
    same one of `ends`, in order."""

    starts: Table
    ends: Table
    bits: Table

    def at(self, addresses: Table) -> Table:
        """Which mapping each address lies in. Raises TargetError where one lies in none."""
        index = np.searchsorted(self.starts, addresses, side="right").astype("<i8") - 1
        if len(index) and (index.min() < 0 or (addresses >= self.ends[index]).any()):
            raise TargetError("memory is not mapped as expected")
        return index


def protections(pid: int, thread: int, addresses: Table) -> Protections:
    """Those of the mappings that `addresses` lie in, however many others there are. Raises TargetError where one of
    them is not mapped, TargetGone."""
    return _made(in_time(pid, lambda: _protections(pid, thread, distinct(addresses))))


def all_protections(pid: int, thread: int) -> Protections:
    """Those of all mappings. Raises as `mappings` does."""
    return protections_in(read_text(pid, f"task/{thread}/maps"))


def protections_in(text: str) -> Protections:
    """Those of all mappings that a memory map tells of."""
    return _made(np.array(_rows(text), "<u8").reshape(-1, 3))


def _made(table: Table) -> Protections:
    return Protections(table[:, 0], table[:, 1], table[:, 2].astype("<u4"))


def _protections(pid: int, thread: int, wanted: Table) -> Table:
    try:
        maps = os.open(f"/proc/{pid}/task/{thread}/maps", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise not_readable(pid, "maps", error) from error
    try:
        rows = list(_asked(maps, wanted))
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise TargetError("memory is not mapped as expected") from error
        return np.array(_rows(read_text(pid, f"task/{thread}/maps")), "<u8").reshape(-1, 3)  # a kernel before 6.11
    finally:
        os.close(maps)
    return np.array(rows, "<u8").reshape(-1, 3)


def _asked(maps: int, addresses: Table) -> Iterator[tuple[int, int, int]]:
    """The mappings of sorted addresses (PROCMAP_QUERY, linux/fs.h; its flags are the bits of mmap(2))."""
    at = 0
    while at < len(addresses):
        question = bytearray(_QUERY.pack(_QUERY.size, 0, int(addresses[at]), *[0] * 12))
        fcntl.ioctl(maps, _PROCMAP_QUERY, question)
        start, end, flags = _QUERY.unpack(question)[3:6]
        yield start, end, flags & 7
        at = int(np.searchsorted(addresses, end))


def _rows(text: str) -> list[tuple[int, int, int]]:
    return [(int(start, 16), int(end, 16), _BITS[it]) for start, end, it in _PROTECTION.findall(text)]


def mapped_code(
    pid: int, thread: int, besides: tuple[str, ...], *, is_translated: bool = False
) -> frozenset[tuple[str, str]]:
    """Address and inode of each file that is mapped to be executed, but for those whose paths begin like one of
    `besides`: it changes when the process loads or unloads objects by itself. The kernel does not execute what
    `is_translated`: then all files count."""
    rows = (_FILE if is_translated else _CODE).findall(read_text(pid, f"task/{thread}/maps"))
    return frozenset((start, inode) for start, inode, path in rows if inode != "0" and not path.startswith(besides))
