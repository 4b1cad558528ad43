"""A line for a program's standard error, from outside."""

import ctypes
import os
import select

_PIDFD_GETFD = 438  # the same on every machine (pidfd_getfd(2))

_libc = ctypes.CDLL(None, use_errno=True)


def say(process: int, file: tuple[int, int], line: str) -> None:
    """Write a line to the standard error of a process, given by a descriptor (pidfd_open(2)), if that is still the file
    with this device and inode, and has room for it."""
    copy = _libc.syscall(_PIDFD_GETFD, process, 2, 0)
    if copy < 0:
        return
    try:
        info = os.fstat(copy)
        poll = select.poll()
        poll.register(copy, select.POLLOUT)
        if (info.st_dev, info.st_ino) == file and any(event & select.POLLOUT for _copy, event in poll.poll(0)):
            os.write(copy, (line + "\n").encode()[: select.PIPE_BUF])
    except OSError:
        pass
    finally:
        os.close(copy)
