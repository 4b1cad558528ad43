"""Whether a package manager is at work: it holds its lock until all files of all packages are in their places."""

import fcntl
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from liveso.roots import open_file, stat

_KINDS = ("POSIX", "OFDLCK")
_LOCK = struct.Struct("hhqqi4x")  # struct flock (fcntl(2)): type, whence, start, length, process


def is_at_work(locks: Iterable[str]) -> bool:
    """Whether a process holds a write lock on one of these files (fcntl(2)): a read lock, or one of flock(2), anybody
    can hold who may read the file. A file that does not exist is held by nobody."""
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
            if _is_locked(descriptor):
                return True
        finally:
            os.close(descriptor)
    return bool(hidden) and _is_listed(hidden)


def _is_locked(descriptor: int) -> bool:
    question = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    kind: int = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))[0]
    return kind == fcntl.F_WRLCK


def _is_listed(locks: Iterable[str]) -> bool:
    """The same for files that this user may not read (proc(5), /proc/locks). It costs some 10 ms: the kernel waits for
    all processors before it shows them."""
    files = set()
    for lock in locks:
        try:
            info = stat(lock)
        except OSError:
            continue
        files.add(f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}")
    held = (line.split()[1:6] for line in Path("/proc/locks").read_text().splitlines() if "->" not in line)
    return any(kind in _KINDS and mode == "WRITE" and file in files for kind, _how, mode, _pid, file in held)
