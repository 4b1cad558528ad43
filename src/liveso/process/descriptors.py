"""Descriptors of another process."""

import ctypes
import os

_PIDFD_GETFD = 438  # the same on every machine (pidfd_getfd(2))

_libc = ctypes.CDLL(None, use_errno=True)


def duplicate(process: int, number: int) -> int:
    """A duplicate of a process's descriptor, with what that may be used for: `process` is one of it itself
    (pidfd_open(2)). Raises OSError."""
    found: int = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    if found < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return found
