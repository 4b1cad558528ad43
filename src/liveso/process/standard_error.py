"""A line for a program's standard error, from outside."""

import os
import select
from contextlib import suppress

from liveso.process.descriptors import duplicate


def say(process: int, file: tuple[int, int], line: str) -> None:
    """Write a line to the standard error of a process, given by a descriptor (pidfd_open(2)), if that is still the file
    with this device and inode, and has room for it."""
    with suppress(OSError):
        copy = duplicate(process, 2)
        try:
            info = os.fstat(copy)
            poll = select.poll()
            poll.register(copy, select.POLLOUT)
            if (info.st_dev, info.st_ino) == file and any(event & select.POLLOUT for _copy, event in poll.poll(0)):
                os.write(copy, (line + "\n").encode()[: select.PIPE_BUF])
        finally:
            os.close(copy)
