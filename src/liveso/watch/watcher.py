"""Tells which libraries may have changed on disk."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from asyncinotify import Event, Inotify, Mask
from asyncinotify import Watch as DirectoryWatch

from liveso.watch.chain import chain

_EVENTS = (
    Mask.CREATE
    | Mask.DELETE
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.CLOSE_WRITE
    | Mask.ATTRIB
    | Mask.ONLYDIR
    | Mask.EXCL_UNLINK
)
_REPLACED = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an entry on the way to `path`. `is_complete`: nothing more is to be waited for."""

    path: str
    is_complete: bool


class Watcher:
    """Watches the directories of every entry that leads to one of its paths (inotify(7))."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._chains: dict[str, frozenset[tuple[str, str]]] = {}
        self._watches: dict[str, DirectoryWatch] = {}

    @property
    def paths(self) -> set[str]:
        """What is watched."""
        return set(self._chains)

    def add(self, path: str) -> None:
        if path not in self._chains:
            self._chains[path] = frozenset()
            self.follow(path)

    def remove(self, path: str) -> None:
        if self._chains.pop(path, None) is not None:
            self._adjust()

    def follow(self, path: str) -> None:
        """Find out anew which way `path` goes. A way that changes while it is looked up is looked up again. One that is
        not watched any more is left alone."""
        settled = path not in self._chains
        while not settled:
            found = chain(path)
            settled = found == self._chains[path]
            self._chains[path] = found
            self._adjust()

    def close(self) -> None:
        self._inotify.close()

    async def changes(self) -> AsyncIterator[Change]:
        async for event in self._inotify:
            if Mask.Q_OVERFLOW in event.mask:
                for path in list(self._chains):
                    yield Change(path, False)
                continue
            if event.watch is None or event.name is None:
                continue
            entry = (str(event.watch.path), str(event.name))
            if event.mask & _REPLACED:
                self._drop_below(os.path.join(*entry))
            for path in [path for path, entries in self._chains.items() if entry in entries]:
                yield Change(path, _is_complete(event, entry))

    def _adjust(self) -> None:
        folders = {folder for entries in self._chains.values() for folder, _name in entries}
        for folder in self._watches.keys() - folders:
            self._drop(folder)
        for folder in folders - self._watches.keys():
            try:
                self._watches[folder] = self._inotify.add_watch(folder, _EVENTS)
            except OSError:
                continue  # gone, or not readable: its parent is watched too

    def _drop_below(self, path: str) -> None:
        """A folder that was moved or removed takes its watch along: the name may stand for another folder now."""
        for folder in [folder for folder in self._watches if folder == path or folder.startswith(path + "/")]:
            self._drop(folder)

    def _drop(self, folder: str) -> None:
        watch = self._watches.pop(folder)
        try:
            self._inotify.rm_watch(watch)
        except (OSError, KeyError):
            pass  # the kernel ended it already, with the folder


def _is_complete(event: Event, entry: tuple[str, str]) -> bool:
    """A file that was renamed here or closed by its writer is there; so is a new symbolic link."""
    if event.mask & (Mask.MOVED_TO | Mask.CLOSE_WRITE):
        return True
    return bool(event.mask & Mask.CREATE) and os.path.islink(os.path.join(*entry))
