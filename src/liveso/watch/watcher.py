"""Tells which libraries may have changed on disk."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from asyncinotify import Event, Inotify, Mask
from asyncinotify import Watch as DirectoryWatch

from liveso.watch.chain import chain
from liveso.watch.file_systems import silent_kind
from liveso.withheld import NoAnswer, in_time

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
_LOOK_EVERY = 2.0  # seconds
_MOST_LOOKS = 1000  # entries at a time, so that the time it takes is bounded
_REASONS = {
    errno.ENOSPC: "no inotify watches are left; raise fs.inotify.max_user_watches",
    errno.EACCES: "its folder may not be read by this user",
    errno.ENOMEM: "the kernel has no memory for a watch",
}
_NO_INSTANCE = "no inotify instances are left; raise fs.inotify.max_user_instances"
_NO_DESCRIPTOR = "no file descriptors are left; raise the limit of open files (ulimit -n)"
_FOR_ALL = (_REASONS[errno.ENOSPC], _NO_INSTANCE, _NO_DESCRIPTOR)

_Entry = tuple[str, str]
_Seen = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an entry on the way to `path`. `is_complete`: nothing more is to be waited for."""

    path: str
    is_complete: bool


class Watcher:
    """Watches the directories of every entry that leads to one of its paths (inotify(7)).

    Where the kernel gives no watch, or the file system tells of no changes, the entries are looked at every two seconds
    instead, and what changed is told likewise.
    """

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._no_inotify = ""
        self._chains: dict[str, frozenset[_Entry]] = {}
        self._watches: dict[str, DirectoryWatch] = {}
        self._unwatched: dict[str, str] = {}  # why, by folder
        self._silent: dict[str, str] = {}  # those with a watch that tells only of some changes
        self._seen: dict[_Entry, _Seen] = {}  # of the entries in these folders, the longest unseen first
        self._found: asyncio.Queue[Change | BaseException] = asyncio.Queue()
        self._begin()

    @property
    def paths(self) -> set[str]:
        """What is watched."""
        return set(self._chains)

    @property
    def unwatched(self) -> Mapping[str, str]:
        """The paths that are looked at from time to time only, and why."""
        reasons = self._silent | self._unwatched
        found = {}
        for path, entries in self._chains.items() if reasons else ():
            folder = next((folder for folder, _name in sorted(entries) if folder in reasons), None)
            if folder is not None:
                found[path] = reasons[folder]
        return found

    def problems(self) -> list[str]:
        """What a user should know of that: a sentence for each reason."""
        paths: dict[str, list[str]] = {}
        for path, reason in sorted(self.unwatched.items()):
            paths.setdefault(reason, []).append(path)
        return [_problem(its, reason) for reason, its in paths.items()]

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
        if self._inotify is not None:
            self._inotify.close()

    async def changes(self) -> AsyncIterator[Change]:
        """The changes as they come. Raises what ends the watching."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look_again())]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            while True:
                found = await self._found.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            for task in tasks:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._found.put_nowait(error)

    async def _listen(self) -> None:
        while True:
            if self._inotify is None:
                await asyncio.sleep(_LOOK_EVERY)
                continue
            event = await self._inotify.get()
            if Mask.Q_OVERFLOW in event.mask:
                for path in self._chains:
                    self._found.put_nowait(Change(path, False))
            elif event.watch is not None:
                # one folder has one watch, whatever it is called (bind mounts)
                for folder in [folder for folder, watch in self._watches.items() if watch is event.watch]:
                    self._take_event(folder, event)

    def _take_event(self, folder: str, event: Event) -> None:
        if event.mask & Mask.IGNORED:
            self._forget(folder)  # the kernel ended it, with the folder
        elif event.name is not None:
            entry = (folder, str(event.name))
            if event.mask & _REPLACED:
                self._drop_below(os.path.join(*entry))
            self._tell(entry, _is_complete(event, entry))

    def _tell(self, entry: _Entry, is_complete: bool) -> None:
        for path in [path for path, entries in self._chains.items() if entry in entries]:
            self._found.put_nowait(Change(path, is_complete))

    # --- what is not watched

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if not self._unwatched and not self._silent:
                continue
            entries = list(self._seen)[:_MOST_LOOKS]
            # in a thread, for a file system on the network can keep whoever looks waiting
            now = await asyncio.to_thread(list, map(_state, entries))
            for entry, state in zip(entries, now, strict=True):
                self._take_in(entry, state)
            self._try_again()

    def _take_in(self, entry: _Entry, state: _Seen) -> None:
        before = self._seen.pop(entry, None)
        if before is None:
            return  # nobody wants to know any more
        self._seen[entry] = state
        if state != before:
            self._drop_below(os.path.join(*entry))
            self._tell(entry, False)

    def _try_again(self) -> None:
        """Watch again what can be. What changed since the last look is seen by a look behind the watch."""
        before = dict(self._seen)
        self._unwatched.clear()
        self._adjust()
        for entry, state in before.items():
            if entry[0] in self._watches and entry not in self._seen and _state(entry) != state:
                self._tell(entry, False)

    # --- watches

    def _begin(self) -> None:
        try:
            self._inotify = Inotify()
        except OSError as error:
            is_limit = error.errno == errno.EMFILE and _can_open()
            self._no_inotify = _NO_INSTANCE if is_limit else _REASONS.get(error.errno or 0, _NO_DESCRIPTOR)

    def _adjust(self) -> None:
        entries = {entry for its in self._chains.values() for entry in its}
        folders = {folder for folder, _name in entries}
        for folder in self._watches.keys() - folders:
            self._drop(folder)
        for folder in self._unwatched.keys() - folders:
            del self._unwatched[folder]
        reason = ""
        for folder in sorted(folders - self._watches.keys() - self._unwatched.keys()):
            reason = reason if reason in _FOR_ALL else self._watch(folder)
            if reason:
                self._unwatched[folder] = reason
        polled = self._unwatched.keys() | self._silent.keys()
        if polled or self._seen:
            looked_at = {entry for entry in entries if entry[0] in polled}
            for entry in self._seen.keys() - looked_at:
                del self._seen[entry]
            for entry in looked_at - self._seen.keys():
                self._seen[entry] = _state(entry)

    def _watch(self, folder: str) -> str:
        """Watch a folder. Returns why that cannot be, or nothing."""
        if self._inotify is None:
            self._begin()
        inotify = self._inotify
        if inotify is None:
            return self._no_inotify
        try:
            self._watches[folder] = in_time(folder, lambda: inotify.add_watch(folder, _EVENTS))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return ""  # gone: its parent is watched too
            return _REASONS.get(error.errno or 0, f"no watch can be had ({error.strerror})")
        if kind := silent_kind(folder):
            self._silent[folder] = f"its file system ({kind}) does not tell of all changes"
        return ""

    def _drop_below(self, path: str) -> None:
        """A folder that was moved or removed takes its watch along: the name may stand for another folder now."""
        for folder in [folder for folder in self._watches if folder == path or folder.startswith(path + "/")]:
            self._drop(folder)

    def _drop(self, folder: str) -> None:
        watch = self._forget(folder)
        if self._inotify is not None and watch not in self._watches.values():
            try:
                self._inotify.rm_watch(watch)
            except (OSError, KeyError):
                pass  # the kernel ended it already, with the folder

    def _forget(self, folder: str) -> DirectoryWatch:
        self._silent.pop(folder, None)
        return self._watches.pop(folder)


def _problem(paths: list[str], reason: str) -> str:
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"not watched, looked at every {_LOOK_EVERY:.0f} s: {paths[0]}{others}: {reason}"


def _state(entry: _Entry) -> _Seen:
    """What an entry of a folder leads to; nothing where it is not there, or does not come. Of a folder only which one
    it is: each file in it that comes or goes changes its times."""
    path = os.path.join(*entry)
    try:
        info = in_time(path, lambda: os.lstat(path))
    except OSError:
        return ()
    which = (info.st_dev, info.st_ino)
    return which if stat.S_ISDIR(info.st_mode) else (*which, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _can_open() -> bool:
    try:
        os.close(os.open("/", os.O_PATH | os.O_CLOEXEC))
        return True
    except OSError:
        return False


def _is_complete(event: Event, entry: _Entry) -> bool:
    """A file that was renamed here or closed by its writer is there; so is a new symbolic link."""
    if event.mask & (Mask.MOVED_TO | Mask.CLOSE_WRITE):
        return True
    return bool(event.mask & Mask.CREATE) and _is_link(os.path.join(*entry))


def _is_link(path: str) -> bool:
    with suppress(NoAnswer):
        return in_time(path, lambda: os.path.islink(path))
    return False
