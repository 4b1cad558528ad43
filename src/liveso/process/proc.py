"""What the kernel shows of a target (proc(5))."""

import ctypes
import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liveso.elf import printable
from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone

_PROTECTION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ([-r][-w][-x])", re.M)
_QUERY = struct.Struct("=QQQQQQQQQIIIIQQ")  # struct procmap_query
_PROCMAP_QUERY = 0xC0686611  # _IOWR('f', 17, struct procmap_query)
_CODE = re.compile(r"^([0-9a-f]+)-\S+ ..x. \S+ \S+ (\d+) *(.*)$", re.M)
_BITS = {f"{r}{w}{x}": (r > "-") + 2 * (w > "-") + 4 * (x > "-") for r in "-r" for w in "-w" for x in "-x"}
_AUXILIARY = struct.Struct("=QQ")
_KCMP_VM = 1
_LARGEST_PROGRAM = 1 << 30  # bytes
_LONGEST_COMMAND = 4096  # characters that are shown of a command line

_libc = ctypes.CDLL(None, use_errno=True)


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


@dataclass(frozen=True, slots=True)
class ThreadCount:
    """The threads of a process, and whether its first one has ended (pthread_exit(3))."""

    count: int
    leader_ended: bool


def _read(pid: int, name: str) -> str:
    return _read_bytes(pid, name).decode(errors="surrogateescape")  # no other ends of lines


def _read_bytes(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError as error:
        raise _not_readable(pid, name, error) from error


def _not_readable(pid: int, name: str, error: OSError) -> TargetError:
    if isinstance(error, PermissionError):
        return TargetError(f"/proc/{pid}/{name} may not be read; run the daemon as the same user or as root")
    return TargetGone(f"process {pid} has ended")


def mappings(pid: int, thread: int) -> list[Mapping]:
    """The memory map, by one thread of the process: the first one may have ended.

    Raises TargetGone where the process has ended, TargetError where it may not be read.
    """
    found = []
    for line in _read(pid, f"task/{thread}/maps").split("\n")[:-1]:
        fields = line.split(maxsplit=5)
        start, _dash, end = fields[0].partition("-")
        protection = sum(bit for bit, letter in ((1, "r"), (2, "w"), (4, "x")) if letter in fields[1])
        path = fields[5] if len(fields) > 5 else ""
        file = MappedFile(fields[3], int(fields[4]), path)
        found.append(Mapping(int(start, 16), int(end, 16), protection, "s" in fields[1], int(fields[2], 16), file))
    return found


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
    wanted = np.unique(addresses)
    try:
        maps = os.open(f"/proc/{pid}/task/{thread}/maps", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_readable(pid, "maps", error) from error
    try:
        rows = list(_asked(maps, wanted))
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise TargetError("memory is not mapped as expected") from error
        rows = _read_protections(pid, thread)  # a kernel before 6.11
    finally:
        os.close(maps)
    table = np.array(rows, "<u8").reshape(-1, 3)
    return Protections(table[:, 0], table[:, 1], table[:, 2].astype("<u4"))


def _asked(maps: int, addresses: Table) -> Iterator[tuple[int, int, int]]:
    """The mappings of sorted addresses (PROCMAP_QUERY, linux/fs.h; its flags are the bits of mmap(2))."""
    at = 0
    while at < len(addresses):
        question = bytearray(_QUERY.pack(_QUERY.size, 0, int(addresses[at]), *[0] * 12))
        fcntl.ioctl(maps, _PROCMAP_QUERY, question)
        start, end, flags = _QUERY.unpack(question)[3:6]
        yield start, end, flags & 7
        at = int(np.searchsorted(addresses, end))


def _read_protections(pid: int, thread: int) -> list[tuple[int, int, int]]:
    rows = _PROTECTION.findall(_read(pid, f"task/{thread}/maps"))
    return [(int(start, 16), int(end, 16), _BITS[it]) for start, end, it in rows]


def mapped_code(pid: int, thread: int, besides: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """Address and inode of each file that is mapped to be executed, but for those whose paths begin like one of
    `besides`: it changes when the process loads or unloads objects by itself."""
    rows = _CODE.findall(_read(pid, f"task/{thread}/maps"))
    return frozenset((start, inode) for start, inode, path in rows if inode != "0" and not path.startswith(besides))


def program(pid: int, thread: int) -> bytes:
    """The file that the process executes. Raises TargetGone, or TargetError where it may not be read."""
    path = Path(f"/proc/{pid}/task/{thread}/exe")
    try:
        if path.stat().st_size > _LARGEST_PROGRAM:
            raise TargetError(f"the program of process {pid} is larger than {_LARGEST_PROGRAM >> 30} GiB")
        return path.read_bytes()
    except PermissionError as error:
        raise TargetError(f"the program of process {pid} may not be read") from error
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def command(pid: int, thread: int) -> str:
    """The command line, for people."""
    return " ".join(_read(pid, f"task/{thread}/cmdline")[:_LONGEST_COMMAND].split("\0")).strip()


def users(pid: int) -> frozenset[int]:
    """The users that a process acts as: real, effective, saved, and for files (proc(5), /proc/PID/status)."""
    for line in _read(pid, "status").splitlines():
        name, _colon, value = line.partition(":")
        if name == "Uid":
            return frozenset(int(it) for it in value.split())
    raise TargetGone(f"process {pid} has ended")


def memory_use(pid: int, thread: int) -> tuple[int, int]:
    """How much address space a process has, and how much of files is in its memory, in pages (proc(5), statm), by one
    thread of the process: one of them changes when it loads or unloads a library. A thread that has ended has none."""
    try:  # asked of every target each second, and so without the cost of a file object
        descriptor = os.open(f"/proc/{pid}/task/{thread}/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(descriptor, 256).split()
        finally:
            os.close(descriptor)
        return int(fields[0]), int(fields[2])
    except OSError as error:
        raise _not_readable(pid, "statm", error) from error


@dataclass(frozen=True, slots=True)
class Position:
    """Where a thread that does not run is: its number, stack pointer and program counter, and whether it is in a system
    call."""

    thread: int
    stack: int
    code: int
    is_in_call: bool


class StillRuns(TargetError):
    """A thread runs, so that it is not to be told where it is."""


def positions(pid: int, besides: int) -> list[Position]:
    """Where the threads of a process are, which stand still, without one of them (proc(5), /proc/PID/task/TID/syscall).
    Raises TargetError where one runs or may not be looked at."""
    return [it for it in (position(pid, thread) for thread in thread_numbers(pid) if thread != besides) if it]


def position(pid: int, thread: int) -> Position | None:
    """Where one thread is; None where it has ended. Raises TargetError as `positions` does."""
    try:
        fields = _read(pid, f"task/{thread}/syscall").split()
        if len(fields) < 3 and _has_ended(pid, thread):
            return None
    except TargetGone:
        return None
    if len(fields) < 3:
        raise StillRuns(f"thread {thread} of process {pid} runs")
    return Position(thread, int(fields[-2], 16), int(fields[-1], 16), fields[0] != "-1")


def read_memory(pid: int, thread: int, address: int, size: int) -> bytes:
    """Read memory from outside, by one thread of the process: less than `size` bytes where it ends before."""
    try:
        memory = os.open(f"/proc/{pid}/task/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, size, address)
        finally:
            os.close(memory)
    except OSError as error:
        raise _not_readable(pid, "mem", error) from error


def program_path(pid: int, thread: int) -> str:
    """The path of the file that the process executes, ending in " (deleted)" where it leads there no more."""
    try:
        return os.readlink(f"/proc/{pid}/task/{thread}/exe")
    except PermissionError as error:
        raise TargetError(f"the program of process {pid} may not be read") from error
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot: with its number, this names a process for good."""
    return int(_stat(pid)[19])


def threads(pid: int) -> ThreadCount:
    fields = _stat(pid)
    return ThreadCount(int(fields[17]), fields[0] == "Z")


def parent(pid: int) -> int:
    """The number of the process's parent."""
    return int(_stat(pid)[1])


def thread_numbers(pid: int) -> list[int]:
    """The threads of a process. Raises TargetGone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def _has_ended(pid: int, thread: int) -> bool:
    return _read(pid, f"task/{thread}/stat").rpartition(")")[2].split()[0] in ("Z", "X")


def exit_status(pid: int) -> int | None:
    """The status of a process that has ended, and that its parent has not waited for yet (proc(5), /proc/PID/stat,
    exit_code); None where it has not ended. Raises TargetGone."""
    fields = _stat(pid)
    return int(fields[49]) if fields[0] == "Z" else None


def thread_name(pid: int, thread: int) -> str:
    """What a thread is called (proc(5), comm), for people; empty where it has ended."""
    try:
        return printable(_read(pid, f"task/{thread}/comm").rstrip("\n"))
    except TargetGone:
        return ""


def has_memory(pid: int) -> bool:
    """Whether it is a process with a program, and no thread of the kernel's, nor one that has ended."""
    return any(memory_use(pid, thread)[0] for thread in thread_numbers(pid)[:2])


def living_thread(pid: int) -> int:
    """A thread of a process that has not ended, its first one if that has not. Raises TargetGone where all have."""
    for thread in sorted(thread_numbers(pid), key=lambda it: it != pid):
        try:
            if not _has_ended(pid, thread):
                return thread
        except TargetGone:
            continue
    raise TargetGone(f"process {pid} has ended")


def shares_memory(pid: int, other: int, call: int) -> bool:
    """Whether two processes have the same memory, as the child of vfork(2) and its parent have; no where that is not to
    be told. `call` is the number of kcmp(2)."""
    return other > 0 and _libc.syscall(call, pid, other, _KCMP_VM, 0, 0) == 0


def environment(pid: int, thread: int) -> dict[str, str]:
    """The variables that the program started with (environ(7)), as far as they still lie there."""
    pairs = (it.partition("=") for it in _read(pid, f"task/{thread}/environ").split("\0"))
    return {name: value for name, _equals, value in pairs if name}


def auxiliary_vector(pid: int, thread: int) -> dict[int, int]:
    """What the kernel told the program at its start, by type (getauxval(3))."""
    content = _read_bytes(pid, f"task/{thread}/auxv")
    return dict(_AUXILIARY.iter_unpack(content[: len(content) // _AUXILIARY.size * _AUXILIARY.size]))


def has_thread(pid: int, thread: int) -> bool:
    return os.path.exists(f"/proc/{pid}/task/{thread}")


def is_stopped(pid: int) -> bool:
    """Whether a signal stopped the process (SIGSTOP and its like; proc(5), state T)."""
    return _stat(pid)[0] == "T"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on."""
    return _read(pid, "stat").rpartition(")")[2].split()


def status_lines(pid: int, thread: int) -> list[str]:
    """What a thread is (proc(5), /proc/PID/status). Raises TargetGone."""
    return _read(pid, f"task/{thread}/status").splitlines()


def system_call_filters(pid: int, thread: int) -> int:
    """How many seccomp filters hold for a thread (0 where none do); strict mode, and filters that an older kernel does
    not count, are one."""
    values = dict(line.split(":\t", 1) for line in status_lines(pid, thread) if line.startswith("Seccomp"))
    return max(int(values.get("Seccomp_filters", 0)), int(values.get("Seccomp", 0)) > 0)


def folder_of(pid: int, thread: int) -> str:
    """The working folder of the agent's thread: what relative names of libraries are relative to."""
    try:
        return os.readlink(f"/proc/{pid}/task/{thread}/cwd")
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error
