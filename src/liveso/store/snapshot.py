"""Take a file's content in one piece, or find out that it is still being written."""

import errno
import fcntl
import os
import signal
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from liveso.errors import FileInFlux, StoreError

_LARGEST_LIBRARY = 4 << 30  # bytes
_JUST_WRITTEN = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells one state of a file from another without reading it (stat(2); times in ns)."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity_of(info: os.stat_result) -> FileIdentity:
    return FileIdentity(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Snapshot:
    content: bytes
    identity: FileIdentity
    mode: int


def take_snapshot(path: Path) -> Snapshot:
    """Read a whole file.

    Raises FileInFlux while somebody writes to it or if it changes while it is read, StoreError where it cannot be
    read at all.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise StoreError(f"{path}: not a regular file")
        if before.st_size > _LARGEST_LIBRARY:
            raise StoreError(f"{path}: larger than {_LARGEST_LIBRARY >> 30} GiB")
        if _has_writer(descriptor, before):
            raise FileInFlux(f"{path}: still being written")
        try:
            content = file.read()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
        after = os.fstat(descriptor)
    if len(content) != after.st_size or identity_of(before) != identity_of(after):
        raise FileInFlux(f"{path}: changed while it was read")
    return Snapshot(content, identity_of(after), after.st_mode)


def _has_writer(descriptor: int, info: os.stat_result) -> bool:
    """A read lease is granted only where nobody has the file open for writing (fcntl(2), F_SETLEASE).

    Whoever opens it now causes a signal, which by default is ignored, and waits for this moment."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        # leases are for the file's owner, and not on every file system: judge by the time of the last change
        return time.time() - info.st_mtime < _JUST_WRITTEN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
