"""Objects that a process opens although it does not see their files: it gets the content as a file of its own that is
in no folder (memfd_create(2)), and has no descriptor of that any more once it is open."""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG

from liveso.errors import TargetError
from liveso.holder.orders import ALONE
from liveso.process.descriptors import duplicate
from liveso.process.visit import Place, Visit

_CLOSES_ON_EXEC, _MAY_BE_SEALED, _NOT_TO_BE_EXECUTED = 1, 2, 8  # MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL
_FOR_GOOD = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_NAME_AT = 8  # l_name in struct link_map (link.h)
_WORD = 8
_PIECE = 1 << 20  # bytes
_CALL_LIMIT = 20.0  # seconds


async def open_unseen(
    it: Visit, functions: Mapping[str, int], place: Place, spare: int, path: str, name: str, mode: int
) -> int:
    """What dlopen(3) returns for the content of the daemon's file at `path`, 0 where it fails. The kernel shows it by
    `name` (proc(5), maps), the dynamic linker by its path. `spare` is where texts can be put.

    Raises TargetError where the process cannot be given a file."""
    descriptor = await _new_file(it, functions, place, spare, name)
    try:
        await asyncio.to_thread(_fill, it.pid, descriptor, path)
        text = _written(descriptor, os.fsencode(path))
        it.write(spare, text + b"\0")
        handle = await it.call(functions["dlopen"], [spare, mode], place, limit=_CALL_LIMIT, standstill=ALONE)
    except BaseException:
        if not it.is_adrift:
            await it.call(functions["close"], [descriptor], place, limit=_CALL_LIMIT)
        raise
    await it.call(functions["close"], [descriptor], place, limit=_CALL_LIMIT)
    if handle and not _call_by_path(it, handle, text, os.fsencode(path)):
        await it.call(functions["dlclose"], [handle], place, limit=_CALL_LIMIT, standstill=ALONE)
        raise TargetError(
            "its dynamic linker is of an unknown kind: it does not call an object by what it was asked for"
        )
    return handle


async def _new_file(it: Visit, functions: Mapping[str, int], place: Place, spare: int, name: str) -> int:
    if not functions.keys() >= {"memfd_create", "close"}:
        raise TargetError("its C library does not offer memfd_create(2), so that it cannot be given files")
    it.write(spare, os.fsencode(name) + b"\0")
    flags = _CLOSES_ON_EXEC | _MAY_BE_SEALED
    for more in (_NOT_TO_BE_EXECUTED, 0):  # demanded by some systems (vm.memfd_noexec), unknown before Linux 6.3
        found = await it.call(functions["memfd_create"], [spare, flags | more], place, limit=_CALL_LIMIT)
        if found & 0x80000000 == 0:
            return found & 0xFFFFFFFF
    raise TargetError("it may not make a file in memory (memfd_create(2)), so that it cannot be given any")


def _fill(pid: int, descriptor: int, path: str) -> None:
    """Let a new file of the process have the content of the daemon's. Raises TargetError where it cannot, or where the
    descriptor is something else by now: through a duplicate nothing is written that the process could not write."""
    try:
        with _file_of(pid, descriptor) as copy, Path(path).open("rb", buffering=0) as source:
            if not S_ISREG(os.fstat(copy).st_mode) or fcntl.fcntl(copy, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE:
                raise TargetError("what it made is no new file in memory")
            os.ftruncate(copy, 0)
            while block := source.read(_PIECE):
                while block:
                    block = block[os.write(copy, block) :]
            fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _FOR_GOOD)
    except OSError as error:
        raise TargetError(f"it cannot be given a file in memory ({os.strerror(error.errno or 0)})") from error


@contextmanager
def _file_of(pid: int, descriptor: int) -> Iterator[int]:
    process = os.pidfd_open(pid)
    try:
        copy = duplicate(process, descriptor)
    finally:
        os.close(process)
    try:
        yield copy
    finally:
        os.close(copy)


def _written(descriptor: int, path: bytes) -> bytes:
    """A way to write the path of a descriptor's file that no other file's is written in, for the dynamic linker takes
    what it was asked for in the same words before for the same. It is as long as `path`, or longer."""
    number = int.from_bytes(sha256(path).digest()[:8], "big")
    way = b"/proc/self/fd/" + b"".join(b"./" if number >> bit & 1 else b"/" for bit in range(64))
    end = b"%d" % descriptor
    return way.ljust(len(path) - len(end), b"/") + end


def _call_by_path(it: Visit, handle: int, text: bytes, path: bytes) -> bool:
    """Let the dynamic linker, and whoever asks it, call the object by its path: its descriptor's number is soon that of
    another file. Returns whether it was called by `text`."""
    at = int.from_bytes(it.read(handle + _NAME_AT, _WORD), "little")
    if it.read_some(at, len(text) + 1) not in (text + b"\0", path.ljust(len(text) + 1, b"\0")):
        return False
    it.write(at, path.ljust(len(text) + 1, b"\0"))
    return True
