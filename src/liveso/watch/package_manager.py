"""Whether a package manager is at work: it holds its lock until all files of all packages are in their places."""

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from liveso.roots import open_file, stat

_KINDS = ("POSIX", "OFDLCK")
_LOCK = struct.Struct("hhqqi4x")  # struct flock (fcntl(2)): type, whence, start, length, process


def holders(locks: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Those of these files on which a process holds a write lock (fcntl(2)), and the process; one of another namespace
    has no number here. A read lock, or one of flock(2), anybody can hold who may read the file. A file that does not
    exist is held by nobody."""
    hidden = []
    for lock in locks:
        try:
            descriptor = open_file(lock, os.O_RDONLY | os.O_NONBLOCK)
        except PermissionError:
            hidden.append(lock)
            continue
        except OSError:
            continue
        try:
            holder = _holder(descriptor)
        finally:
            os.close(descriptor)
        if holder is not None:
            yield lock, holder
    if hidden:
        yield from _listed(hidden)


def _holder(descriptor: int) -> int | None:
    question = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    kind, _whence, _start, _length, pid = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))
    return pid if kind == fcntl.F_WRLCK else None


def _listed(locks: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The same for files that this user may not read (proc(5), /proc/locks). It costs some 10 ms: the kernel waits for
    all processors before it shows them."""
    files = {}
    for lock in locks:
        try:
            info = stat(lock)
        except OSError:
            continue
        files[f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"] = lock
    held = (line.split()[1:6] for line in Path("/proc/locks").read_text().splitlines() if "->" not in line)
    for kind, _how, mode, pid, file in held:
        if kind in _KINDS and mode == "WRITE" and file in files:
            yield files[file], int(pid)
