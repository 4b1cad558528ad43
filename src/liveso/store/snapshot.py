"""Take a file's content in one piece, or find out that it is still being written."""

import errno
import fcntl
import hashlib
import os
import signal
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from liveso.errors import FileInFlux, FileWithheld, StoreError
from liveso.roots import open_file
from liveso.withheld import NoAnswer

_LARGEST_LIBRARY = 1 << 30  # bytes
_MOST_HOLES = 64 << 20  # bytes; linkers leave some up to the next page, of 2 MiB at most, between segments
_JUST_WRITTEN = 0.02  # seconds
_BLOCK = 1 << 20  # bytes
_READ_ONCE = 16 << 20  # bytes; what is larger is read again to be written, and not held in memory
_HEADER_SIZE, _CLASS_64, _LITTLE_ENDIAN, _ET_DYN = 64, 2, 1, 3  # gABI, "ELF Header"


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
    """An open library file in one state: what is read of it is of that state, or FileInFlux is raised."""

    path: Path
    descriptor: int
    identity: FileIdentity
    mode: int
    digest: str
    """The SHA-256 of its content, in hexadecimal."""
    content: tuple[bytes, ...]

    def blocks(self) -> Iterable[bytes]:
        """The content once more, from the first byte to the last."""
        if self.content:
            return self.content
        return checked(blocks_of(self.descriptor), self.digest, self.path)


@contextmanager
def take_snapshot(path: Path) -> Iterator[Snapshot]:
    """Read a shared library, in blocks.

    Raises FileInFlux while somebody writes to it or if it changes while it is read, StoreError where it cannot be
    read at all, or is none.
    """
    descriptor = _open_regular(path)
    try:
        yield _snapshot(path, descriptor)
    finally:
        os.close(descriptor)


def _snapshot(path: Path, descriptor: int) -> Snapshot:
    try:
        before = os.fstat(descriptor)
        if before.st_size > _LARGEST_LIBRARY:
            raise StoreError(f"{path}: larger than {_LARGEST_LIBRARY >> 30} GiB, so not taken")
        if _has_writer(descriptor, before):
            raise FileInFlux(f"{path}: still being written")
        _check_header(path, os.pread(descriptor, _HEADER_SIZE, 0))
        _check_holes(path, descriptor, before)
        content = tuple(blocks_of(descriptor)) if before.st_size <= _READ_ONCE else ()
        digest = digest_of(content or blocks_of(descriptor))
        after = os.fstat(descriptor)
    except OSError as error:
        raise unreadable(path, error) from error
    if identity_of(before) != identity_of(after):
        raise FileInFlux(f"{path}: changed while it was read")
    return Snapshot(path, descriptor, identity_of(after), after.st_mode, digest, content)


def blocks_of(descriptor: int) -> Iterator[bytes]:
    """The content of an open file. Raises OSError."""
    position, end = 0, os.fstat(descriptor).st_size  # not to the end of one that grows meanwhile
    while block := os.pread(descriptor, min(_BLOCK, end - position), position):
        yield block
        position += len(block)


def digest_of(blocks: Iterable[bytes]) -> str:
    """SHA-256, in hexadecimal."""
    computed = hashlib.sha256()
    for block in blocks:
        computed.update(block)
    return computed.hexdigest()


def checked(blocks: Iterable[bytes], digest: str, path: Path) -> Iterator[bytes]:
    """The blocks as they come. Raises FileInFlux behind the last where they are not those of `digest`."""
    computed = hashlib.sha256()
    for block in blocks:
        computed.update(block)
        yield block
    if computed.hexdigest() != digest:
        raise FileInFlux(f"{path}: changed while it was read")


def _open_regular(path: Path) -> int:
    """Open a file to be read; a device or a FIFO is not even opened, since that alone may do something or wait."""
    try:
        pinned = open_file(str(path), os.O_PATH)
        try:
            if not stat.S_ISREG(os.fstat(pinned).st_mode):
                raise StoreError(f"{path}: not a regular file")
            return os.open(f"/proc/self/fd/{pinned}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        finally:
            os.close(pinned)
    except BlockingIOError:
        raise FileInFlux(f"{path}: another process holds its readers up (a lease)") from None
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StoreError:
    """What is raised where a file cannot be read; FileWithheld where it only did not come."""
    kind = FileWithheld if isinstance(error, NoAnswer) else StoreError
    return kind(f"{path}: cannot be read ({error.strerror})")


def _check_header(path: Path, header: bytes) -> None:
    """Raises StoreError unless a file may be a shared library of a processor with 64 bits."""
    if header[:4] != b"\x7fELF":
        raise StoreError(f"{path}: {'not an ELF file' if header else 'the file is empty'}")
    if len(header) < _HEADER_SIZE:
        raise StoreError(f"{path}: not a readable ELF file (it ends in its header)")
    if (header[4], header[5]) != (_CLASS_64, _LITTLE_ENDIAN):
        raise StoreError(f"{path}: a file for another machine (not a 64-bit little-endian one)")
    if int.from_bytes(header[16:18], "little") != _ET_DYN:
        raise StoreError(f"{path}: not a shared library (ELF type is not ET_DYN)")


def _check_holes(path: Path, descriptor: int, info: os.stat_result) -> None:
    """Raises StoreError where a file is much smaller on disk than what would have to be read of it: anybody can make
    one of any size at once. What a file system compresses is no hole (lseek(2))."""
    if info.st_blocks * 512 + _MOST_HOLES >= info.st_size:
        return
    holes = position = 0
    while position < info.st_size:
        hole = os.lseek(descriptor, position, os.SEEK_HOLE)
        try:
            position = os.lseek(descriptor, hole, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data behind the hole
                raise
            position = info.st_size
        holes += position - hole
        if holes > _MOST_HOLES:
            raise StoreError(f"{path}: a sparse file with more than {_MOST_HOLES >> 20} MiB of holes, so not a library")


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
