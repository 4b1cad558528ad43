"""Files of processes that have another root than the daemon, or see other mounts (chroot(2), mount_namespaces(7)).

`/proc/PID/root/…` names a file as that process sees it (proc(5)). Symbolic links on the way are its own, and lead to
its own files: the kernel looks them up so where it is asked to (openat2(2), RESOLVE_IN_ROOT), and nobody there can lead
the daemon to a file of another root.

Whoever asks for a file here does not wait long for one that does not come: NoAnswer is an OSError (liveso.withheld).
"""

import ctypes
import errno
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from liveso.withheld import in_time

_ROOT = re.compile(r"/proc/[0-9]+/root(?=/)")
_OPENAT2 = 437  # the same on every machine
_HOW = struct.Struct("=QQQ")  # struct open_how: flags, mode, resolve
_RESOLVE_IN_ROOT = 0x10


class OutsideRoot(OSError):
    """A file that no path below a root leads to."""


_libc = ctypes.CDLL(None, use_errno=True)


def root_of(path: str) -> str:
    """The root that a path is below, as `/proc/PID/root`; empty where that is the daemon's own."""
    found = _ROOT.match(path)
    return found[0] if found else ""


def inside(path: str) -> str:
    """The path as the processes of its root know it."""
    return path[len(root_of(path)) :]


def open_file(path: str, flags: int) -> int:
    """open(2), with O_CLOEXEC, to read. Raises OSError."""
    return in_time(path, lambda: _open(path, flags), os.close)


def _open(path: str, flags: int) -> int:
    root = root_of(path)
    if not root:
        return os.open(path, flags | os.O_CLOEXEC)
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        found: int = _libc.syscall(_OPENAT2, top, os.fsencode(inside(path)), how, ctypes.c_size_t(len(how)))
        if found < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)
        return found
    finally:
        os.close(top)


@contextmanager
def _pinned(path: str) -> Iterator[int]:
    descriptor = _open(path, os.O_PATH)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stat(path: str) -> os.stat_result:
    """stat(2). Raises OSError."""
    return in_time(path, lambda: _stat(path))


def _stat(path: str) -> os.stat_result:
    if not root_of(path):
        return os.stat(path)
    with _pinned(path) as descriptor:
        return os.fstat(descriptor)


def real_path(path: str) -> str:
    """The path without symbolic links. Raises OSError where there is no file."""
    return in_time(path, lambda: _real_path(path))


def _real_path(path: str) -> str:
    root = root_of(path)
    if not root:
        return os.path.realpath(path, strict=True)
    with _pinned(path) as descriptor:
        return below(root, os.readlink(f"/proc/self/fd/{descriptor}"))


def below(root: str, shown: str) -> str:
    """The path below a root of a file that the kernel shows, as for what is mapped, under another name: by the way from
    its own root to the file (proc(5), the links of /proc/PID). Raises OSError, OutsideRoot for what lies elsewhere: a
    process may have gone into that root (chroot(2)) with files of another one mapped."""
    if not root:
        return shown
    top = os.readlink(root)
    if shown != top and not shown.startswith(top.rstrip("/") + "/"):
        raise OutsideRoot(errno.ENOENT, f"it lies outside of {top}", shown)
    return root + "/" + shown[len(top) :].lstrip("/")
