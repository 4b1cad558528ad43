"""What lies on disk at the paths of files that processes have mapped. Each file is looked at once."""

import hashlib
import os
import time
from pathlib import Path
from stat import S_ISREG

from liveso import roots
from liveso.errors import TargetError
from liveso.process.memory_map import MappedFile, Mapping
from liveso.process.withheld import in_time

_LARGEST = 1 << 30  # bytes: no library is larger
_MOST_FOR_OTHERS = 5.0  # seconds
_NO_DEVICE = "00:"  # a file system without a device (btrfs, overlayfs, NFS): maps and stat(2) need not say the same


class Disk:
    """As the asking process sees it, and as those do that see other mounts, through /proc/PID/root."""

    def __init__(self) -> None:
        self._here = os.readlink("/proc/self/ns/mnt")
        self._is_other: dict[tuple[str, MappedFile, str], bool] = {}
        self._digests: dict[tuple[int, int, int], str] = {}
        self._spent = 0.0

    def is_other(self, pid: int, mapping: Mapping) -> bool:
        """Whether another file lies at the path of what a process has mapped; no where that is not to be told."""
        root = self._root(pid)
        key = self._space(root), mapping.file, mapping.file.path
        if key not in self._is_other:
            self._is_other[key] = _differs(pid, root, mapping)
        return self._is_other[key]

    def exists(self, pid: int, path: str) -> bool:
        """Whether something lies at a path of a process's memory map."""
        return _stat(pid, self._root(pid), path) is not None

    def leads_to(self, pid: int, path: str, mapped: tuple[str, int]) -> bool:
        """Whether a path leads to the very file that a process has mapped, by device and inode as its map has them."""
        try:
            info = in_time(pid, lambda: roots.stat(path))
        except (OSError, TargetError):
            return False
        return info.st_ino == mapped[1] and (mapped[0].startswith(_NO_DEVICE) or _device(info) == mapped[0])

    def digest(self, pid: int, path: str, *, is_trusted: bool) -> str:
        """The SHA-256 of a regular file; empty where it cannot be read, or not in time. For paths that another user has
        named, if not `is_trusted`, some seconds are spent in all."""
        since = time.monotonic()
        if not is_trusted and self._spent > _MOST_FOR_OTHERS:
            return ""
        try:
            return in_time(pid, lambda: self._digest(path))
        except (OSError, TargetError):
            return ""
        finally:
            self._spent += 0.0 if is_trusted else time.monotonic() - since

    def _digest(self, path: str) -> str:
        pinned = roots.open_file(path, os.O_PATH)  # to open a device or a pipe could do something
        try:
            info = os.fstat(pinned)
            if not S_ISREG(info.st_mode) or info.st_size > _LARGEST:
                return ""
            key = info.st_dev, info.st_ino, info.st_mtime_ns
            if key not in self._digests:
                with Path(f"/proc/self/fd/{pinned}").open("rb") as file:
                    self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._digests[key]
        finally:
            os.close(pinned)

    def _root(self, pid: int) -> str | None:
        """What leads to the files that a process sees: nothing where it sees the same mounts; None where it may not be
        looked at."""
        try:
            return "" if os.readlink(f"/proc/{pid}/ns/mnt") == self._here else f"/proc/{pid}/root"
        except OSError:
            return None

    def _space(self, root: str | None) -> str:
        """What processes have in common that see the same mounts."""
        if not root:
            return self._here if root == "" else ""
        try:
            return os.readlink(f"{root.removesuffix('root')}ns/mnt") + os.readlink(root)
        except OSError:
            return root


def _differs(pid: int, root: str | None, mapping: Mapping) -> bool:
    there = _stat(pid, root, mapping.file.path)
    if there is None:
        return False  # a way that is not ours to go, or the process has ended: a removed file is marked by the kernel
    try:  # for root: what is mapped, asked in the same way
        link = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
        mapped = in_time(pid, lambda: os.stat(link))
        return (mapped.st_dev, mapped.st_ino) != (there.st_dev, there.st_ino)
    except (OSError, TargetError):
        pass
    if mapping.file.device.startswith(_NO_DEVICE):
        return False
    return (_device(there), there.st_ino) != (mapping.file.device, mapping.file.inode)


def _stat(pid: int, root: str | None, path: str) -> os.stat_result | None:
    if root is None:
        return None
    try:
        return in_time(pid, lambda: roots.stat(roots.below(root, path)))
    except (OSError, TargetError):
        return None


def _device(info: os.stat_result) -> str:
    """As a memory map has it (proc(5))."""
    return f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
