"""How a process ends that is not a child of this one."""

import asyncio
import fcntl
import os
import struct
import time
from contextlib import suppress

from liveso.errors import TargetError
from liveso.process import proc
from liveso.process.descriptors import process_descriptor

_INFO = struct.Struct("=Q52xi")  # struct pidfd_info: mask, and exit_code behind numbers of processes and users
_GET_INFO = 0xC040FF0B  # PIDFD_GET_INFO, of 64 bytes (linux/pidfd.h, since Linux 6.13)
_EXIT = 1 << 3  # PIDFD_INFO_EXIT, since Linux 6.15
_REAPED_LIMIT, _PAUSE = 2.0, 0.01  # seconds: before its parent has waited for it, the pidfd does not tell


UNKNOWN = -1
"""The status of a process where the kernel does not tell this user."""


async def ending_of(pid: int, limit: float) -> int | None:
    """The status of a process, as waitpid(2) gives it, or UNKNOWN, if it ends within `limit` seconds; None where it
    goes on. Raises TargetGone where it has ended before."""
    process = process_descriptor(pid)
    try:
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(process, over.set)
        try:
            async with asyncio.timeout(limit):
                await over.wait()
        except TimeoutError:
            return None
        finally:
            asyncio.get_running_loop().remove_reader(process)
        return await _status(pid, process)
    finally:
        os.close(process)


async def _status(pid: int, process: int) -> int:
    end = time.monotonic() + _REAPED_LIMIT
    while time.monotonic() < end:
        with suppress(TargetError):  # its parent has not waited for it
            status = proc.exit_status(pid)
            if status is not None:
                return status
        content = bytearray(_INFO.pack(_EXIT, 0))
        try:
            fcntl.ioctl(process, _GET_INFO, content)
        except OSError:  # an older kernel, or not yet
            content = bytearray(_INFO.size)
        mask, status = _INFO.unpack(content)
        if mask & _EXIT:
            return int(status)
        await asyncio.sleep(_PAUSE)
    return UNKNOWN
