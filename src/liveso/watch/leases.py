"""Read leases on library files (fcntl(2), F_SETLEASE): whoever opens one for writing waits until it is let go of."""

import errno
import fcntl
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from liveso.process.memory_map import MappedFile
from liveso.roots import open_file
from liveso.store import Version
from liveso.watch.file_systems import silent_kind

_BREAK_TIME = 45.0  # seconds, where the kernel does not say
_REASONS = {
    errno.EACCES: "it belongs to another user, so that only root's daemon can hold its writers up",
    errno.EINVAL: "its file system has no leases",
}
IN_WRITING = "somebody has it open for writing"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease on a file, of which `descriptor` is the daemon's own, and the version that it holds."""

    file: MappedFile
    version: Version
    descriptor: int


class Leases:
    """The leases that are held. Whoever takes them gets a SIGIO when one is to be let go of."""

    def __init__(self) -> None:
        self._held: dict[MappedFile, Lease] = {}

    def take(self, file: MappedFile, version: Version) -> str:
        """Hold writers of a file up from now on. Returns why that cannot be, or nothing."""
        if file in self._held or file.is_deleted:
            return ""
        if kind := silent_kind(os.path.dirname(file.path)):
            # who has a file there open cannot end before the file system answers (FUSE_FLUSH)
            return f"its file system ({kind}) does not hold all of its writers up"
        try:
            descriptor = open_file(file.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            return f"it cannot be opened ({error.strerror})"
        try:
            if os.fstat(descriptor).st_ino != file.inode:
                return "another file lies at its path by now"
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            self._held[file] = Lease(file, version, descriptor)
            return ""
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, f"no lease on it can be had ({os.strerror(error.errno or 0)})")
            return IN_WRITING if error.errno == errno.EAGAIN else reason
        finally:
            if file not in self._held:
                os.close(descriptor)

    def broken(self) -> list[Lease]:
        """Those that a writer waits for (F_GETLEASE tells what it is to become)."""
        return [it for it in self._held.values() if fcntl.fcntl(it.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK]

    def release(self, lease: Lease) -> None:
        """Let the writer go on."""
        if self._held.get(lease.file) is lease:
            del self._held[lease.file]
            os.close(lease.descriptor)

    def keep_only(self, files: Iterable[MappedFile]) -> None:
        """Let go of what is none of `files`, unless a writer waits for it: then somebody is at that."""
        unused = self._held.keys() - set(files)
        broken = {it.file for it in self.broken()} if unused else set()
        for file in unused - broken:
            self.release(self._held[file])


def break_time() -> float:
    """Seconds after which the kernel lets a writer go on by itself (proc(5), lease-break-time)."""
    try:
        return float(Path("/proc/sys/fs/lease-break-time").read_text())
    except (OSError, ValueError):
        return _BREAK_TIME
