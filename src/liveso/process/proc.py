"""What the kernel shows of a target (proc(5))."""

import ctypes
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from liveso.elf import printable
from liveso.errors import TargetError, TargetGone
from liveso.process.withheld import in_time

_AUXILIARY = struct.Struct("=QQ")
_PF_KTHREAD = 0x00200000
_BLOCK = 1 << 16  # bytes
_OF_MEMORY = ("maps", "environ", "cmdline")
"""The files of a process that say what is in its memory."""
_KCMP_VM = 1
_LARGEST_PROGRAM = 1 << 30  # bytes
_LONGEST_COMMAND = 4096  # characters that are shown of a command line

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ThreadCount:
    """The threads of a process, and whether its first one has ended (pthread_exit(3))."""

    count: int
    leader_ended: bool


def read_text(pid: int, name: str) -> str:
    """A file of /proc/PID. Raises TargetGone, TargetError where it may not be read."""
    return read_bytes(pid, name).decode(errors="surrogateescape")  # no other ends of lines


def read_bytes(pid: int, name: str) -> bytes:
    """As `read_text`."""
    if name.endswith(_OF_MEMORY):
        return in_time(pid, lambda: _read_bytes(pid, name))
    return _read_bytes(pid, name)


def _read_bytes(pid: int, name: str) -> bytes:
    blocks = []
    try:  # asked all the time, and so without the cost of a file object
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            while block := os.read(descriptor, _BLOCK):
                blocks.append(block)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise not_readable(pid, name, error) from error
    return b"".join(blocks)


def not_readable(pid: int, name: str, error: OSError) -> TargetError:
    """What it means that a file of /proc/PID cannot be read."""
    if isinstance(error, PermissionError):
        return TargetError(f"/proc/{pid}/{name} may not be read; run the daemon as the same user or as root")
    return TargetGone(f"process {pid} has ended")


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
    return " ".join(read_text(pid, f"task/{thread}/cmdline")[:_LONGEST_COMMAND].split("\0")).strip()


def users(pid: int) -> frozenset[int]:
    """The users that a process acts as: real, effective, saved, and for files (proc(5), /proc/PID/status)."""
    for line in read_text(pid, "status").splitlines():
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
        raise not_readable(pid, "statm", error) from error


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
        fields = read_text(pid, f"task/{thread}/syscall").split()
        if len(fields) < 3 and _has_ended(pid, thread):
            return None
    except TargetGone:
        return None
    if len(fields) < 3:
        raise StillRuns(f"thread {thread} of process {pid} runs")
    return Position(thread, int(fields[-2], 16), int(fields[-1], 16), fields[0] != "-1")


def read_memory(pid: int, thread: int, address: int, size: int) -> bytes:
    """Read memory from outside, by one thread of the process: less than `size` bytes where it ends before. Raises
    TargetGone, TargetError where it may not be read, MemoryWithheld."""
    return in_time(pid, lambda: _read_memory(pid, thread, address, size))


def _read_memory(pid: int, thread: int, address: int, size: int) -> bytes:
    try:
        memory = os.open(f"/proc/{pid}/task/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, size, address)
        finally:
            os.close(memory)
    except OSError as error:
        raise not_readable(pid, "mem", error) from error


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
    return read_text(pid, f"task/{thread}/stat").rpartition(")")[2].split()[0] in ("Z", "X")


def exit_status(pid: int) -> int | None:
    """The status of a process that has ended, and that its parent has not waited for yet (proc(5), /proc/PID/stat,
    exit_code); None where it has not ended. Raises TargetGone."""
    fields = _stat(pid)
    return int(fields[49]) if fields[0] == "Z" else None


def thread_name(pid: int, thread: int) -> str:
    """What a thread is called (proc(5), comm), for people; empty where it has ended."""
    try:
        return printable(read_text(pid, f"task/{thread}/comm").rstrip("\n"))
    except TargetGone:
        return ""


def has_memory(pid: int) -> bool:
    """Whether it is a process with a program, and no thread of the kernel's, nor one that has ended."""
    return any(memory_use(pid, thread)[0] for thread in thread_numbers(pid)[:2])


def is_of_kernel(pid: int) -> bool:
    """Whether it is a thread of the kernel's (proc(5), /proc/PID/stat, flags; PF_KTHREAD of linux/sched.h). Raises
    TargetGone."""
    return bool(int(_stat(pid)[6]) & _PF_KTHREAD)


def living_thread(pid: int) -> int:
    """A thread of a process that has not ended, its first one if that has not. Raises TargetGone where all have."""
    with suppress(TargetGone):
        if not _has_ended(pid, pid):
            return pid
    for thread in thread_numbers(pid):
        with suppress(TargetGone):
            if not _has_ended(pid, thread):
                return thread
    raise TargetGone(f"process {pid} has ended")


def shares_memory(pid: int, other: int, call: int) -> bool:
    """Whether two processes have the same memory, as the child of vfork(2) and its parent have; no where that is not to
    be told. `call` is the number of kcmp(2)."""
    return other > 0 and _libc.syscall(call, pid, other, _KCMP_VM, 0, 0) == 0


def environment(pid: int, thread: int) -> dict[str, str]:
    """The variables that the program started with (environ(7)), as far as they still lie there."""
    pairs = (it.partition("=") for it in read_text(pid, f"task/{thread}/environ").split("\0"))
    return {name: value for name, _equals, value in pairs if name}


def auxiliary_vector(pid: int, thread: int) -> dict[int, int]:
    """What the kernel told the program at its start, by type (getauxval(3))."""
    content = read_bytes(pid, f"task/{thread}/auxv")
    return dict(_AUXILIARY.iter_unpack(content[: len(content) // _AUXILIARY.size * _AUXILIARY.size]))


def has_thread(pid: int, thread: int) -> bool:
    return os.path.exists(f"/proc/{pid}/task/{thread}")


def is_stopped(pid: int) -> bool:
    """Whether a signal stopped the process (SIGSTOP and its like; proc(5), state T)."""
    return _stat(pid)[0] == "T"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on."""
    return read_text(pid, "stat").rpartition(")")[2].split()


def status_lines(pid: int, thread: int) -> list[str]:
    """What a thread is (proc(5), /proc/PID/status). Raises TargetGone."""
    return read_text(pid, f"task/{thread}/status").splitlines()


def system_call_filters(pid: int, thread: int) -> int:
    """How many seccomp filters hold for a thread (0 where none do); strict mode, and filters that an older kernel does
    not count, are one."""
    values = dict(line.split(":\t", 1) for line in status_lines(pid, thread) if line.startswith("Seccomp"))
    return max(int(values.get("Seccomp_filters", 0)), int(values.get("Seccomp", 0)) > 0)


def has_shadow_stack(pid: int, thread: int) -> bool:
    """Whether the processor compares where a thread's calls return to with a stack of its own (Linux,
    Documentation/arch/x86/shstk.rst)."""
    lines = [line for line in status_lines(pid, thread) if line.startswith("x86_Thread_features:")]
    return any("shstk" in line.split() for line in lines)


def folder_of(pid: int, thread: int) -> str:
    """The working folder of the agent's thread: what relative names of libraries are relative to."""
    try:
        return os.readlink(f"/proc/{pid}/task/{thread}/cwd")
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error
