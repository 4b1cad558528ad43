"""Descriptors of another process."""

import ctypes
import os

from liveso.errors import TargetError, TargetGone

_PIDFD_GETFD = 438  # the same on every machine (pidfd_getfd(2))

_libc = ctypes.CDLL(None, use_errno=True)


def process_descriptor(pid: int) -> int:
    """A descriptor that stands for a process, whatever becomes of its number (pidfd_open(2)). Raises TargetGone where
    it has ended, TargetError where the daemon has no descriptor left."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise TargetGone(f"process {pid} has ended") from error
    except OSError as error:
        raise TargetError(f"process {pid} cannot be held on to ({os.strerror(error.errno or 0)})") from error


def duplicate(process: int, number: int) -> int:
    """A duplicate of a process's descriptor, with what that may be used for: `process` is one of it itself
    (pidfd_open(2)). Raises OSError."""
    found: int = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    if found < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return found
