"""Folders and files that no user but this one and root can change: only these are written, loaded or believed.

A folder is reached from the root directory entry by entry, each opened before it is looked at, so that nobody can put
another in its place in between (openat(2), O_NOFOLLOW). What has passed stays as it was for other users: its names may
be used from then on.
"""

import errno
import os
import pwd
import secrets
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from liveso.errors import UnsafePath

_MOST_LINKS = 40  # path_resolution(7)
_PLAIN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH  # with access control lists the group's bits are their mask (acl(5))
TEMPORARY = ".new-"
_LONGEST_WRITE = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder. `cure` says what a user can do who may not use it; it ends the sentence of each refusal."""

    path: Path
    descriptor: int
    cure: str

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.descriptor)

    def open_trusted(self, name: str) -> int:
        """A descriptor to read a file by. Raises UnsafePath unless it is a regular file that only root and this user
        can write to, OSError where it cannot be opened."""
        return self._open(name, os.O_RDONLY, may_be_roots=True)

    def open_own(self, name: str, flags: int) -> int:
        """A descriptor by which a file of this user is written, which nobody else may read; it is made if it is not
        there. Raises UnsafePath where it is another user's, or known by another name, too; OSError."""
        while True:
            try:
                return os.open(name, flags | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600, dir_fd=self.descriptor)
            except FileExistsError:
                pass
            try:
                descriptor = self._open(name, flags, may_be_roots=False)
            except FileNotFoundError:
                continue  # removed at this moment
            os.fchmod(descriptor, 0o600)
            return descriptor

    def _open(self, name: str, flags: int, *, may_be_roots: bool) -> int:
        try:
            descriptor = os.open(name, flags | _PLAIN, dir_fd=self.descriptor)
        except OSError:
            # a sentence about what it is says more than the error
            self._check(name, os.stat(name, dir_fd=self.descriptor, follow_symlinks=False), may_be_roots)
            raise
        try:
            self._check(name, os.fstat(descriptor), may_be_roots)
        except UnsafePath:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self, name: str, info: os.stat_result, may_be_roots: bool) -> None:
        path = self.path / name
        if stat.S_ISLNK(info.st_mode):
            raise _unsafe(path, f"is a symbolic link of {_user(info)}", f"remove it, or {self.cure}")
        if not stat.S_ISREG(info.st_mode):
            raise _unsafe(path, "is not a regular file", f"remove it, or {self.cure}")
        if info.st_uid != os.geteuid() and not (may_be_roots and info.st_uid == 0):
            raise _unsafe(path, f"belongs to {_user(info)}", self.cure)
        if may_be_roots and info.st_mode & _OTHERS_WRITE:
            raise _unsafe(path, _writable(info), f"run `chmod go-w {path}`, or {self.cure}")
        if not may_be_roots and info.st_nlink > 1:
            raise _unsafe(path, "has another name, too (a hard link)", f"remove it, or {self.cure}")

    def remove_socket(self, name: str) -> None:
        """Make room for a socket of ours. Raises UnsafePath where something else has its name."""
        try:
            info = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(info.st_mode):
            raise _unsafe(self.path / name, "is not a socket, and is left alone", self.cure)
        if info.st_uid != os.geteuid():
            raise _unsafe(self.path / name, f"belongs to {_user(info)}", self.cure)
        os.unlink(name, dir_fd=self.descriptor)

    def write(self, name: str, blocks: Iterable[bytes], mode: int) -> os.stat_result:
        """Make a file in one step: complete, or not at all. Raises OSError, and what `blocks` raises."""
        temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self.descriptor)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for block in blocks:
                    rest = memoryview(block)
                    while rest:
                        rest = rest[file.write(rest) :]
                os.fchmod(descriptor, mode)
                os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
                return os.fstat(descriptor)
        except BaseException:
            os.unlink(temporary, dir_fd=self.descriptor)
            raise


def open_trusted(path: Path, cure: str) -> BinaryIO:
    """Open a file to be read that only this user and root can write to, or replace. Symbolic links are followed and
    judged as `open_folder` does. Raises UnsafePath, OSError."""
    for _link in range(_MOST_LINKS):
        with open_folder(path.parent, cure) as folder:
            info = os.stat(path.name, dir_fd=folder.descriptor, follow_symlinks=False)
            if not stat.S_ISLNK(info.st_mode):
                return os.fdopen(folder.open_trusted(path.name), "rb")
            _check_owner(folder.path / path.name, info, cure)
            path = folder.path / os.readlink(path.name, dir_fd=folder.descriptor)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def remove_left_overs(root: Path) -> None:
    """Remove what `Folder.write` has not finished, because its process died, in all folders below `root`, and folders
    that are named likewise."""
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in folders if name.startswith(TEMPORARY)):
            if seconds_since_change(path) > _LONGEST_WRITE:
                shutil.rmtree(path, ignore_errors=True)
        for path in (Path(folder, name) for name in names if name.startswith(TEMPORARY)):
            if seconds_since_change(path) > _LONGEST_WRITE:
                path.unlink(missing_ok=True)


def seconds_since_change(path: Path) -> float:
    """Since the content of a file was changed last; none where it is not there."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def open_folder(path: Path, cure: str, *, make: bool = False) -> Folder:
    """Open a folder that only this user and root can change, on a way that only they can change; symbolic links on
    the way are followed and judged likewise. What is missing is made if `make` says so: for this user alone, or for
    everybody to read if that is root, whose daemon serves the programs of all users.

    A folder that everybody may write to is passed if it is sticky, as /tmp is, since nobody can replace in it what
    another owns; but it is not opened for use. Raises UnsafePath, or OSError where the folder is not there, cannot be
    made or entered.
    """
    waiting, links = list(reversed(path.absolute().parts[1:])), 0
    here, place = os.open("/", os.O_PATH | os.O_CLOEXEC), Path("/")
    try:
        info = os.fstat(here)
        _check_folder(place, info, cure)
        while waiting:
            name = waiting.pop()
            entry = _enter(here, name, make)
            try:
                info = os.fstat(entry)
                if stat.S_ISLNK(info.st_mode):
                    _check_owner(place / name, info, cure)
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                    target = os.readlink("", dir_fd=entry)
                    waiting.extend(reversed([part for part in target.split("/") if part not in ("", ".")]))
                    if not target.startswith("/"):
                        continue
                    following, place = os.open("/", os.O_PATH | os.O_CLOEXEC), Path("/")
                elif stat.S_ISDIR(info.st_mode):
                    place = place.parent if name == ".." else place / name
                    _check_folder(place, info, cure)
                    following, entry = entry, -1
                else:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place / name))
            finally:
                if entry >= 0:
                    os.close(entry)
            os.close(here)
            here = following
        info = os.fstat(here)
        if info.st_mode & _OTHERS_WRITE:
            raise _unsafe(place, _writable(info), cure)
        return Folder(place, here, cure)
    except BaseException:
        os.close(here)
        raise


def _enter(here: int, name: str, make: bool) -> int:
    """The entry `name` of an open folder, which is not followed if it is a link. Made if it is not there."""
    try:
        return os.open(name, _PIN, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(name, 0o700, dir_fd=here)
        os.chmod(name, 0o700 if os.geteuid() else 0o755, dir_fd=here)  # whatever the umask
    except FileExistsError:
        pass  # made at this moment; judged like any other
    return os.open(name, _PIN, dir_fd=here)


def _check_folder(path: Path, info: os.stat_result, cure: str) -> None:
    _check_owner(path, info, cure)
    if info.st_mode & _OTHERS_WRITE and not info.st_mode & stat.S_ISVTX:
        raise _unsafe(path, _writable(info), f"run `chmod go-w {path}`, or {cure}")


def _check_owner(path: Path, info: os.stat_result, cure: str) -> None:
    if info.st_uid not in (0, os.geteuid()):
        raise _unsafe(path, f"belongs to {_user(info)}", cure)


def _unsafe(path: Path, fact: str, cure: str) -> UnsafePath:
    return UnsafePath(f"{path} {fact}, so it is not used; {cure}")


def _writable(info: os.stat_result) -> str:
    return f"can be written by other users (mode {stat.S_IMODE(info.st_mode):04o})"


def _user(info: os.stat_result) -> str:
    try:
        return f"user {pwd.getpwuid(info.st_uid).pw_name}"
    except KeyError:
        return f"user {info.st_uid}"
