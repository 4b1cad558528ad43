"""Whether a package manager is at work: it holds its lock until all files of all packages are in their places."""

import os
from collections.abc import Iterable
from pathlib import Path

_KINDS = ("POSIX", "OFDLCK")


def is_at_work(locks: Iterable[str]) -> bool:
    """Whether a process holds a write lock on one of these files (fcntl(2); proc(5), /proc/locks): a read lock, or one
    of flock(2), anybody can hold who may read the file. A file that does not exist, or that this user may not see, is
    held by nobody."""
    files = set()
    for lock in locks:
        try:
            info = os.stat(lock)
        except OSError:
            continue
        files.add(f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}")
    if not files:
        return False
    held = (line.split()[1:6] for line in Path("/proc/locks").read_text().splitlines() if "->" not in line)
    return any(kind in _KINDS and mode == "WRITE" and file in files for kind, _how, mode, _pid, file in held)
