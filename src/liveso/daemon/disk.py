"""What the paths of libraries lead to on disk, once what changes there has settled."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from liveso.daemon.log import log
from liveso.daemon.package_locks import PackageLocks
from liveso.daemon.provenances import Provenances
from liveso.daemon.supervision import Supervisor
from liveso.errors import FileInFlux, FileWithheld, ImageError, StoreError
from liveso.process.identity import Identity
from liveso.roots import root_of
from liveso.settings import Settings
from liveso.store import Store, Version
from liveso.watch import Settling, Watcher
from liveso.withheld import LOOK_AGAIN, NoAnswer, aside

_LONGEST_RETRY = 1.0  # seconds
_TOGETHER = 3.0  # seconds that what changed together waits for one of it that is read

Changed = Callable[[frozenset[str], float], None]
"""Told of paths that may lead to other versions by now, and how long it took to find out, in ms."""


class Disk:
    """The versions on disk of all paths that are watched. `changed` is called where they may have become others."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        supervisor: Supervisor,
        locks: PackageLocks,
        provenances: Provenances,
        changed: Changed,
    ) -> None:
        self._store = store
        self._settings = settings
        self._supervisor = supervisor
        self._locks = locks
        self._provenances = provenances
        self._changed = changed
        self._watcher = Watcher()
        self._settling = Settling(self._must_wait)
        self._is_waiting = False
        self._found: dict[str, Version | str] = {}
        self._libraries: set[str] = set()
        self._users: dict[str, int] = {}
        self._examining: dict[str, asyncio.Lock] = {}
        self._retries: dict[str, float] = {}
        self._silent: set[str] = set()

    def run(self) -> None:
        """Start what takes changes in."""
        self._supervisor.vital("watch", self._watch)
        self._supervisor.vital("settle", self._take_settled)

    def watch_library(self, path: str, user: int) -> None:
        """Find out what `path` leads to, now and whenever that changes, on behalf of a user."""
        self._libraries.add(path)
        self._users.setdefault(path, user)
        self._watcher.add(path)
        if path not in self._found:
            self._settling.put(path, 0.0)

    def watch_file(self, path: str, identity: Identity) -> None:
        """Tell whenever `path` may lead to something else than what a process has in memory. Its content is nobody's
        concern here."""
        self._watcher.add(path)
        self._provenances.saw(path, identity)

    def keep_only(self, libraries: Iterable[str], files: Iterable[str]) -> None:
        """Watch nothing else any more."""
        self._libraries &= set(libraries)
        used = self._libraries.union(files)
        for path in self._watcher.paths - used:
            self._watcher.remove(path)
        for kept in (self._found, self._users, self._examining, self._retries):
            for path in kept.keys() - self._libraries:
                del kept[path]
        self._silent &= self._libraries

    def version(self, path: str) -> Version | None:
        """The version that `path` leads to; None where it is not known, or still changes."""
        found = self._found.get(path)
        return found if isinstance(found, Version) and self.is_settled(path) else None

    def problem(self, path: str) -> str:
        """Why what `path` leads to is no version of a library; empty where it is one, or that is not known yet."""
        found = self._found.get(path)
        return found if isinstance(found, str) and self.is_settled(path) else ""

    def is_settled(self, path: str) -> bool:
        return path in self._found and not self._settling.is_waiting(path) and not self._is_examined(path)

    def is_watched(self, path: str) -> bool:
        """Whether it is a library that some target uses still."""
        return path in self._libraries

    def look_again(self) -> None:
        """Take in all libraries, though no change of theirs was seen."""
        for path in self._libraries:
            self._settling.put(path, self._settings.settle)

    def _look_at(self, path: str) -> None:
        if path in self._libraries:
            self._settling.put(path, 0.0, holds_others=False)

    def problems(self) -> list[str]:
        """What is not watched as it should be, and why."""
        return self._watcher.problems()

    async def _watch(self) -> None:
        """Take in changes. A file that is complete, and has no neighbour that may come with it, is taken at once."""
        async for change in self._watcher.changes():
            if change.path in self._libraries:
                is_ready = change.is_complete and not self._has_neighbours(change.path)
                self._settling.put(change.path, 0.0 if is_ready else self._settings.settle)
            elif change.path in self._watcher.paths:
                self._watcher.follow(change.path)
                self._changed(frozenset({change.path}), 0.0)

    def _has_neighbours(self, path: str) -> bool:
        folder = os.path.dirname(path)
        return any(other != path and os.path.dirname(other) == folder for other in self._libraries)

    def _must_wait(self) -> bool:
        """Whether a package manager has not finished."""
        roots = {"", *map(root_of, self._libraries)}
        before, self._is_waiting = self._is_waiting, self._locks.are_held(roots)
        if self._is_waiting and not before:
            log.info("waiting", reason="a package manager is at work")
        return self._is_waiting

    async def _take_settled(self) -> None:
        async for paths in self._settling.batches():
            self._supervisor.start(self._examine(paths))

    async def _examine(self, paths: frozenset[str]) -> None:
        """Take in what changed together. A file that does not come is waited for alone."""
        start = time.perf_counter()
        busy = {path for path in paths & self._libraries if self._is_examined(path)}
        for path in busy:
            self._settling.put(path, _LONGEST_RETRY, holds_others=False)
        due = {asyncio.create_task(self._take_in(path)): path for path in sorted(paths & self._libraries - busy)}
        late = set((await asyncio.wait(due, timeout=_TOGETHER))[1]) if due else set()
        for task in due.keys() - late:
            task.result()
        self._changed(paths - busy - {due[task] for task in late}, (time.perf_counter() - start) * 1000)
        for task in late:
            await task
            self._changed(frozenset({due[task]}), (time.perf_counter() - start) * 1000)

    def _is_examined(self, path: str) -> bool:
        lock = self._examining.get(path)
        return lock is not None and lock.locked()

    async def _take_in(self, path: str) -> None:
        async with self._examining.setdefault(path, asyncio.Lock()):
            found = await self._take_snapshot(path)
            if found is not None and path in self._libraries:
                self._found[path] = found

    def _take(self, path: str) -> Version:
        version = self._store.add(Path(path), self._users.get(path))
        self._store.image(version)
        return version

    async def _take_snapshot(self, path: str) -> Version | str | None:
        """The version that `path` leads to now, or why that is none; None where it cannot be taken yet."""
        self._watcher.follow(path)
        try:
            version = await aside(path, partial(self._take, path))
        except FileInFlux as error:
            log.info("settling", library=path, reason=str(error))
            self._retries[path] = min(_LONGEST_RETRY, max(self._settings.settle, 2 * self._retries.get(path, 0.0)))
            self._settling.put(path, self._retries[path], holds_others=False)
            return None
        except (NoAnswer, FileWithheld):
            asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look_at, path)
            if path not in self._silent:  # it may only be slow
                self._silent.add(path)
                return None
            return f"{path}: cannot be read: its file system does not answer"
        except (StoreError, ImageError) as error:
            self._retries.pop(path, None)
            self._silent.discard(path)
            return str(error) if str(error).startswith(path) else f"{path}: {error}"
        self._retries.pop(path, None)
        self._silent.discard(path)
        before = self._found.get(path)
        self._provenances.took(path, version, before if isinstance(before, Version) else None)
        return version
