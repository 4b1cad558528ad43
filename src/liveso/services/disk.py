"""What lies on disk at the paths of files that processes have mapped. Each file is looked at once."""

import os
import time

from liveso import roots
from liveso.process.memory_map import MappedFile, Mapping
from liveso.services import looker
from liveso.services.looker import Looker

_MOST_FOR_OTHERS = 5.0  # seconds
_NO_DEVICE = "00:"  # a file system without a device (btrfs, overlayfs, NFS): maps and stat(2) need not say the same


class Disk:
    """As the asking process sees it, and as those do that see other mounts, through /proc/PID/root."""

    def __init__(self) -> None:
        self._here = os.readlink("/proc/self/ns/mnt")
        self._is_other: dict[tuple[str, MappedFile, str], bool] = {}
        self._digests: dict[tuple[int, int, int], str] = {}
        self._spent = 0.0
        self._looker = Looker()

    def close(self) -> None:
        self._looker.close()

    def is_other(self, pid: int, mapping: Mapping) -> bool:
        """Whether another file lies at the path of what a process has mapped; no where that is not to be told."""
        root = self._root(pid)
        key = self._space(root), mapping.file, mapping.file.path
        if key not in self._is_other:
            self._is_other[key] = self._differs(pid, root, mapping)
        return self._is_other[key]

    def exists(self, pid: int, path: str) -> bool:
        """Whether something lies at a path of a process's memory map."""
        return self._stat(pid, self._root(pid), path) is not None

    def leads_to(self, pid: int, path: str, mapped: tuple[str, int]) -> bool:
        """Whether a path leads to the very file that a process has mapped, by device and inode as its map has them."""
        try:
            info = self._looker.look(pid, roots.stat, path)
        except OSError:
            return False
        return info.st_ino == mapped[1] and (mapped[0].startswith(_NO_DEVICE) or _device(info) == mapped[0])

    def digest(self, pid: int, path: str, *, is_trusted: bool) -> str:
        """The SHA-256 of a regular file; empty where it cannot be read, or not in time. For paths that another user has
        named, if not `is_trusted`, some seconds are spent in all."""
        since = time.monotonic()
        if not is_trusted and self._spent > _MOST_FOR_OTHERS:
            return ""
        try:
            key, digest = self._looker.look(pid, looker.digest, path, self._digests)
            self._digests[key] = digest
            return digest
        except OSError:
            return ""
        finally:
            self._spent += 0.0 if is_trusted else time.monotonic() - since

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

    def _differs(self, pid: int, root: str | None, mapping: Mapping) -> bool:
        there = self._stat(pid, root, mapping.file.path)
        if there is None:
            return False  # not our way to go, or the process has ended: a removed file is marked by the kernel
        try:  # for root: what is mapped, asked in the same way
            link = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
            mapped = self._looker.look(pid, roots.stat, link)
            return (mapped.st_dev, mapped.st_ino) != (there.st_dev, there.st_ino)
        except OSError:
            pass
        if mapping.file.device.startswith(_NO_DEVICE):
            return False
        return (_device(there), there.st_ino) != (mapping.file.device, mapping.file.inode)

    def _stat(self, pid: int, root: str | None, path: str) -> os.stat_result | None:
        if root is None:
            return None
        try:
            return self._looker.look(pid, looker.stat_below, root, path)
        except OSError:
            return None


def _device(info: os.stat_result) -> str:
    """As a memory map has it (proc(5))."""
    return f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
