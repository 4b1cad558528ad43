"""Which libraries of a target are kept up to date, and which version of each it runs."""

import os
import re
from pathlib import Path

from liveso.errors import FileInFlux, LivesoError, StoreError
from liveso.settings import is_served
from liveso.store import Store, Version
from liveso.target import LoadedObject
from liveso.target.process import Mapping

_NEVER = re.compile(r"(ld-linux[^/]*|ld64|libc|linux-vdso|linux-gate|live)\.so(\.\d+)*$|^ld-linux|^libc-\d")


def served_path(
    it: LoadedObject, folder: str, store: Store, ignore: tuple[str, ...], only: tuple[str, ...]
) -> str | None:
    """The absolute path of a library that is to be kept up to date; None for everything else.

    The program itself, libc, ld.so, the vdso, live.so and the copies in the store are not.
    """
    if not it.name or _NEVER.search(os.path.basename(it.name)) or store.version_of(it.name):
        return None
    path = os.path.normpath(os.path.join(folder, it.name))
    return path if is_served(path, ignore, only) else None


def mapping_of(it: LoadedObject, mappings: list[Mapping]) -> Mapping | None:
    """The mapping that an object's program headers lie in."""
    return next((mapping for mapping in mappings if mapping.start <= it.headers < mapping.end), None)


def running_version(pid: int, path: str, mapping: Mapping, store: Store, same_inode: Version | None) -> Version:
    """The version that a target loaded by itself.

    A copy in the store, to which the target was carried over, tells by its path. Otherwise the path may lead to another
    file by now: then the mapped file is read through /proc/PID/map_files, which only root
    may; `same_inode` is what another target, that has the same file mapped, is known to run. Raises StoreError where
    nothing tells.
    """
    carried = store.version_of(mapping.file.path)
    if carried is not None:
        return carried
    try:
        info = os.stat(path)
        if info.st_ino == mapping.file.inode and not mapping.file.is_deleted:
            return store.add(Path(path))
    except (FileNotFoundError, NotADirectoryError):
        pass
    if same_inode is not None:
        return same_inode
    try:
        return store.add(Path(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"))
    except FileInFlux:
        raise
    except LivesoError as error:
        raise StoreError(
            f"{path}: the file was replaced before liveso saw it, so the version that runs is not known; "
            "restart the program once"
        ) from error
