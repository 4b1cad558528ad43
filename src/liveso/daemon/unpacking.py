"""A package manager at work: what it brings is judged before it is in its place, and what came of it is told after."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liveso import dpkg, rpm
from liveso.daemon.disk import Disk
from liveso.daemon.log import log
from liveso.daemon.package_locks import PackageLocks
from liveso.daemon.packages import Packages
from liveso.daemon.pins import Process
from liveso.daemon.state import NOT_BROUGHT_IN, Library, ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.daemon.wanted import WantedVersions, process_of
from liveso.errors import LivesoError, StoreError
from liveso.folders import TEMPORARY, open_folder
from liveso.judging import Analyst
from liveso.roots import inside, real_path, root_of, stat
from liveso.settings import STORE_CURE
from liveso.store import Store, Version

_LOOK_EVERY = 0.05  # seconds, for results
_MOST_ARCHIVES = 4096


@dataclass(frozen=True, slots=True)
class _Before:
    """The processes that there were before packages were unpacked, and what lay on disk: the versions of libraries, and
    what tells other files apart, by path."""

    processes: frozenset[Process] = frozenset()
    libraries: Mapping[str, Version | None] = field(default_factory=dict)
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class Unpacking:
    """Between a package manager's two hooks (docs/apt.md, dnf.md). `targets` are all that are served, by process."""

    def __init__(
        self,
        store: Store,
        disk: Disk,
        locks: PackageLocks,
        wanted: WantedVersions,
        analyst: Analyst,
        packages: Packages,
        supervisor: Supervisor,
        targets: Mapping[int, ServedTarget],
    ) -> None:
        self._store = store
        self._disk = disk
        self._locks = locks
        self._wanted = wanted
        self._analyst = analyst
        self._packages = packages
        self._supervisor = supervisor
        self._targets = targets
        self._before = _Before()
        self._turn = asyncio.Lock()

    async def prejudge(self, archives: Iterable[Path]) -> dict[str, object]:
        """Remember what lies on disk, and judge what the package files will bring, which goes on after the answer."""
        self._locks.wait_again()
        self._packages.hurry()
        chosen = list(archives)[:_MOST_ARCHIVES]
        served = list(self._targets.values())
        libraries = {path for it in served for path in it.libraries}
        files = {fixed.path for it in served for fixed in it.fixed.values()}
        self._before = _Before(
            frozenset(map(process_of, served)),
            {path: self._disk.version(path) for path in libraries},
            {path: found for path in files if (found := _state_of(path))},
        )
        if chosen:
            self._supervisor.start(self._judge(chosen))
        return {"archives": len(chosen)}

    async def unpacked(self, pid: int, wait: float) -> dict[str, object]:
        """A hook, the process `pid`, says that all files are in their places: wait until it is known what came of them,
        but `wait` seconds at most, and tell of what has changed on disk since `prejudge`, as `Packages.answer`: `began`
        is what lay there then."""
        end = time.monotonic() + wait
        excused = self._locks.excuse(pid)
        log.info("unpacked", pid=pid, locks=excused)
        before, self._before = self._before, _Before()
        if not before.processes:
            return {"targets": [], "packages": {}, "is_complete": True}
        self._disk.look_again()
        while (is_pending := self._is_pending(before)) and time.monotonic() < end:
            await asyncio.sleep(_LOOK_EVERY)

        changed = self._changed(before)

        def has_changed(served: ServedTarget, path: str) -> bool:
            if process_of(served) not in before.processes:
                return False  # it has begun with what came
            if path in served.libraries:
                return path in changed
            return path in before.files and _state_of(path) not in (None, before.files[path])

        def since(_served: ServedTarget, path: str) -> Version | None:
            return before.libraries.get(path)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(1.0, end - time.monotonic())):
                return await self._packages.answer(has_changed, since) | {"is_complete": not is_pending}
        return {"targets": [], "packages": {}, "is_complete": False}

    def _changed(self, before: _Before) -> set[str]:
        """The libraries of which another version lies on disk by now."""
        return {
            path for path, old in before.libraries.items() if (new := self._disk.version(path)) and old and new != old
        }

    def _is_pending(self, before: _Before) -> bool:
        if not all(self._disk.is_settled(path) for path in before.libraries if self._disk.is_watched(path)):
            return True
        changed = self._changed(before)
        return bool(changed) and any(
            path in changed and self._is_under_way(served, it)
            for served in self._targets.values()
            if process_of(served) in before.processes
            for path, it in served.libraries.items()
        )

    def _is_under_way(self, served: ServedTarget, it: Library) -> bool:
        wanted = self._wanted.of(served, it.path).version
        if it.state is None or wanted in (None, it.state.current):
            return False
        return it.is_tried_again or not (it.result in NOT_BROUGHT_IN and it.refused == wanted)

    async def _judge(self, archives: list[Path]) -> None:
        """Judge the libraries in package files against what runs. Only the daemon's own root has packages unpacked."""
        async with self._turn:
            running: dict[str, dict[Version, int]] = {}
            for served in self._targets.values():
                for path, version in served.running().items():
                    if not root_of(path):
                        running.setdefault(path, {})[version] = served.target.user
            places = await asyncio.to_thread(_places, running)
            for archive in archives:
                found = await asyncio.to_thread(self._take, archive, list(places))
                for path, new in {(places[name], new) for name, new in found}:  # a library has several names
                    for old, user in running[path].items():
                        if old != new:
                            self._supervisor.start(self._judge_pair(path, old, new, user))

    async def _judge_pair(self, path: str, old: Version, new: Version, user: int) -> None:
        start = time.monotonic()
        try:
            await self._analyst.analyse(old, new, user)
        except LivesoError as error:
            log.info("not-judged", library=path, version=str(new), reason=str(error))
            return
        log.info("judged-before", library=path, version=str(new), seconds=round(time.monotonic() - start, 2))

    def _take(self, archive: Path, paths: list[str]) -> list[tuple[str, Version]]:
        """The libraries for these paths in a package file, taken into the store."""
        found = []
        manager = rpm if archive.suffix == ".rpm" else dpkg
        try:
            with (
                open_folder(self._store.root, STORE_CURE, make=True) as root,
                tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=root.path) as folder,
            ):
                for path, copy in manager.libraries_of(archive, paths, Path(folder)):
                    with contextlib.suppress(LivesoError):  # a linker script, or what else is no library
                        version = self._store.add(copy)
                        self._store.image(version)
                        found.append((path, version))
        except (OSError, StoreError) as error:
            log.info("not-judged", archive=os.fspath(archive), reason=str(error))
        return found


def _places(paths: Iterable[str]) -> dict[str, str]:
    """The paths by which libraries are loaded, by each of their names: a package may put a file where a link leads."""
    found: dict[str, str] = {}
    for path in paths:
        found[path] = path
        with contextlib.suppress(OSError):
            found.setdefault(inside(real_path(path)), path)
    return found


def _state_of(path: str) -> tuple[int, int] | None:
    """What tells a file from what has its place later."""
    try:
        info = stat(path)
    except OSError:
        return None
    return info.st_ino, info.st_ctime_ns
