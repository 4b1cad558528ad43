"""The daemon's work: targets come and go, libraries change, and each change is carried out in every target."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from liveso.daemon.discovery import mapping_of, running_version, served_path
from liveso.daemon.groups import groups
from liveso.daemon.log import log
from liveso.daemon.overwrite import carry_targets
from liveso.daemon.state import Library, Result, ServedTarget, view
from liveso.elf.machine import X86_64
from liveso.errors import (
    FileInFlux,
    ImageError,
    LivesoError,
    Refused,
    SettingsError,
    StoreError,
    TargetError,
    TargetGone,
)
from liveso.settings import Settings, loglevel, patterns
from liveso.store import Store, Version
from liveso.target import Agent, process
from liveso.target.process import MappedFile
from liveso.update import (
    Analyst,
    Change,
    LibraryState,
    LibraryUnloaded,
    LoadedVersion,
    Outcome,
    Target,
    decode_record,
    release_unloaded,
    sweep,
    take_over,
    update,
    warm,
)
from liveso.verdict import Policy
from liveso.watch import IN_WRITING, Lease, Leases, Settling, Watcher, is_at_work

_SWEEP_AFTER = 1.0  # seconds: a lazy binding that was under way during an update has ended by then
_LONGEST_RETRY = 1.0  # seconds
_ATTEMPTS = 25  # where the program unloads libraries meanwhile
_PRUNE_EVERY = 600.0  # seconds


class Service:
    """Everything that one daemon knows and does. Runs in one event loop; computing goes to threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.store)
        self.analyst = Analyst(self.store, Policy(settings.policy))
        self.watcher = Watcher()
        self.targets: dict[int, ServedTarget] = {}
        self.last_target = time.monotonic()
        self._jobs: set[asyncio.Task[None]] = set()
        self._settling = Settling(self._must_wait)
        self._is_waiting = False
        self._examining: dict[str, asyncio.Lock] = {}
        self._retries: dict[str, float] = {}
        self._leases = Leases()
        self._letting_go: set[MappedFile] = set()
        self._said_unprotected: set[tuple[MappedFile, str]] = set()

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run `job` besides; what goes wrong in it is logged and ends only itself."""
        task = asyncio.get_running_loop().create_task(_guarded(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # --- targets

    async def serve(self, connection: socket.socket) -> None:
        """Serve the agent that has connected, until it is gone."""
        pid, user = _peer(connection)
        agent = Agent(connection)
        receiving = asyncio.create_task(agent.receive_until_gone())
        served: ServedTarget | None = None
        try:
            if os.geteuid() not in (0, user):
                log.warning("rejected", pid=pid, reason="another user's process")
                return
            served = await self._welcome(pid, agent)
            self.targets[pid] = served
            log.info("target", pid=pid, command=served.command)
            await self._learn_libraries(served)
            await receiving
        except TargetGone:
            pass
        except (TargetError, SettingsError) as error:
            log.warning("not-served", pid=pid, reason=str(error))
            if served:
                served.note = str(error)
                await receiving
        finally:
            receiving.cancel()
            agent.disconnect()
            if served and self.targets.get(pid) is served:
                del self.targets[pid]
                log.info("gone", pid=pid)
                self._stop_watching_unused()
            self.last_target = time.monotonic()

    async def _welcome(self, pid: int, agent: Agent) -> ServedTarget:
        hello = await agent.greet()
        filters = process.system_call_filters(pid, hello.thread)
        target = Target(pid, agent, hello, X86_64, filters)
        level = loglevel(hello.settings.get("LIVE_LOGLEVEL") or self.settings.loglevel)
        return ServedTarget(target, process.command(pid, hello.thread), process.start_time(pid), level)

    async def _learn_libraries(self, served: ServedTarget) -> None:
        target = served.target
        if not process.has_same_root(target.pid, target.hello.thread):
            raise TargetError("it sees other files than the daemon (chroot, container): run a daemon there")
        target.libraries = decode_record(await target.agent.recall())
        await self._learn_objects(served)
        self._say(served, 4, f"served, {len(served.libraries)} libraries are kept up to date")

    async def _learn_objects(self, served: ServedTarget) -> None:
        """Take in what the target has loaded, and unloaded, since the last time."""
        async with served.learning:
            for attempt in range(_ATTEMPTS):
                try:
                    await self._learn_listed(served)
                    break
                except LibraryUnloaded:
                    if attempt == _ATTEMPTS - 1:
                        raise
        self._stop_watching_unused()

    async def _learn_listed(self, served: ServedTarget) -> None:
        target, hello = served.target, served.target.hello
        served.mapped = process.mapped_code(target.pid, hello.thread)
        listed = await target.agent.list_objects()
        ignore = patterns(hello.settings.get("LIVE_IGNORE", "")) or self.settings.ignore
        only = patterns(hello.settings.get("LIVE_ONLY", "")) or self.settings.only
        folder = process.folder_of(target.pid, hello.thread)
        mappings = process.mappings(target.pid, hello.thread)
        mapped = {it.base: mapping_of(it, mappings) for it in listed.objects}
        replaced = frozenset(
            path
            for path, it in served.libraries.items()
            if (mapping := mapped.get(it.base)) and mapping.file != it.file
        )
        gone = replaced | await release_unloaded(target, self.store, listed, replaced)
        for path in [path for path, it in served.libraries.items() if path in gone or it.base not in mapped]:
            log.info("unloaded", pid=target.pid, library=path)
            del served.libraries[path]
        kin = self._kin_of(served)
        if kin is not None:
            take_over(target, kin.target, listed.objects)
        learned = []
        for it in listed.objects:
            name = served_path(it, folder, self.store, ignore, only)
            mapping = mapped[it.base]
            if name is not None and mapping is not None and name not in served.libraries:
                await self._learn_library(served, name, it.base, mapping, kin)
                learned.append(name)
        for name in learned:  # only now, so that those that need each other are examined together
            if self._may_be_behind(served.libraries[name]):
                self._settling.put(name, 0.0)
        if not target.dynamics.keys() >= set(listed.objects):
            self.start(warm(target))

    def _kin_of(self, served: ServedTarget) -> ServedTarget | None:
        """A target that has the same files mapped at the same addresses, as processes have that come from one by
        fork(2): what was found out about its files need not be found out again for each of its children."""
        return next(
            (
                it
                for it in self.targets.values()
                if it is not served and it.mapped == served.mapped and not it.learning.locked()
            ),
            None,
        )

    def _may_be_behind(self, library: Library) -> bool:
        """Whether the path of a library that was just learned leads to another version than the one that runs, or to
        one that is not known yet."""
        return library.state is not None and self.store.known(Path(library.path)) != library.state.current

    async def _learn_library(
        self, served: ServedTarget, path: str, base: int, mapping: process.Mapping, kin: ServedTarget | None
    ) -> None:
        library = Library(path, mapping.file, base, served.target.libraries.get(path))
        served.libraries[path] = library
        self.watcher.add(path)
        if library.state is None:
            same = kin.libraries.get(path) if kin else None
            version = same.state.home.version if same and same.state and same.file == library.file else None
            # the file may have been overwritten since
            if version is not None and version == self.store.known(Path(path)):
                library.state = LibraryState(path, (LoadedVersion(version, base),), version)
            else:
                await self._learn_version(served, library, mapping)
        elif len(library.state.versions) > 1:
            library.note(Result.UPDATED)
        self._show_build_id(library)
        self._protect(library)

    async def _learn_version(self, served: ServedTarget, library: Library, mapping: process.Mapping) -> None:
        same = next(
            (
                other.state.home.version
                for others in self.targets.values()
                for other in others.libraries.values()
                if other.path == library.path and other.file == library.file and other.state
            ),
            None,
        )
        while library.state is None:
            try:
                version = await asyncio.to_thread(
                    running_version, served.target.pid, library.path, mapping, self.store, same
                )
                library.state = LibraryState(library.path, (LoadedVersion(version, library.base),), version)
            except FileInFlux:
                await asyncio.sleep(self.settings.settle)
            except StoreError as error:
                self._failed(served, library, str(error))
                return

    def _show_build_id(self, library: Library) -> None:
        if library.state is not None:
            try:
                library.build_id = self.store.build_id(library.state.current)
            except LivesoError:
                library.build_id = ""

    def _stop_watching_unused(self) -> None:
        used = {path for served in self.targets.values() for path in served.libraries}
        for path in list(self._examining.keys() - used):
            del self._examining[path]
        for path in self.watcher.paths - used:
            self.watcher.remove(path)
        self._leases.keep_only(it.file for served in self.targets.values() for it in served.libraries.values())

    # --- files that are overwritten in place

    def _protect(self, library: Library) -> None:
        """Hold up whoever wants to overwrite the file that a target has mapped."""
        if library.state is None:
            library.unprotected = "the version that runs is not known"
            return
        if self.store.version_of(library.file.path):
            return
        if self.settings.overwrite == "ignore":
            library.unprotected = "switched off (LIVE_OVERWRITE)"
            return
        library.unprotected = self._leases.take(library.file, library.state.home.version)
        said = (library.file, library.unprotected)
        if library.unprotected and said not in self._said_unprotected:
            self._said_unprotected.add(said)
            log.info("unprotected", library=library.path, reason=library.unprotected)

    def let_writers_go_on(self) -> None:
        """Somebody may wait to overwrite library files: carry the targets over to the store's copies first."""
        for lease in self._leases.broken():
            if lease.file not in self._letting_go:
                self._letting_go.add(lease.file)
                self.start(self._let_writer_go_on(lease))

    async def _let_writer_go_on(self, lease: Lease) -> None:
        start = time.perf_counter()
        log.info("overwrite", library=lease.file.path)
        try:
            await carry_targets(lease, self.targets, self.store, self._not_carried)
        finally:
            self._leases.release(lease)
            self._letting_go.discard(lease.file)
        milliseconds = (time.perf_counter() - start) * 1000
        log.info("overwrite-goes-on", library=lease.file.path, milliseconds=round(milliseconds, 1))

    def _not_carried(self, served: ServedTarget, file: MappedFile, reason: str) -> None:
        log.warning("not-carried", pid=served.target.pid, library=file.path, reason=reason)
        name = os.path.basename(file.path)
        self._say(served, 1, f"{name}: overwritten in place, which may end the program: not carried over: {reason}")
        for library in served.libraries.values():
            if library.file == file:
                library.unprotected = reason

    # --- changes on disk

    async def watch(self) -> None:
        """Take in changes. A file that is complete, and has no neighbour that may come with it, is taken at once."""
        async for change in self.watcher.changes():
            is_ready = change.is_complete and not self._has_neighbours(change.path)
            self._settling.put(change.path, 0.0 if is_ready else self.settings.settle)

    def _has_neighbours(self, path: str) -> bool:
        folder = os.path.dirname(path)
        return any(other != path and os.path.dirname(other) == folder for other in self.watcher.paths)

    def _must_wait(self) -> bool:
        """Whether a package manager has not finished."""
        before, self._is_waiting = self._is_waiting, is_at_work(self.settings.package_locks)
        if self._is_waiting and not before:
            log.info("waiting", reason="a package manager is at work")
        return self._is_waiting

    async def take_settled(self) -> None:
        async for paths in self._settling.batches():
            self.start(self._examine(paths))

    async def _examine(self, paths: frozenset[str]) -> None:
        """Bring every target to the versions that `paths` lead to now."""
        start = time.perf_counter()
        async with AsyncExitStack() as locks:
            for path in sorted(paths & self.watcher.paths):  # in one order, so that no two wait for each other
                await locks.enter_async_context(self._examining.setdefault(path, asyncio.Lock()))
            versions: dict[str, Version] = {}
            for path in paths & self.watcher.paths:
                version = await self._take_snapshot(path)
                if version is not None:
                    versions[path] = version
            snapshot = (time.perf_counter() - start) * 1000
            await asyncio.gather(*(self._bring(served, versions, snapshot) for served in list(self.targets.values())))

    async def _take_snapshot(self, path: str) -> Version | None:
        """The version that `path` leads to now; None where it cannot be taken, or not yet."""
        self.watcher.follow(path)
        problem = ""
        version: Version | None = None
        try:
            version = await asyncio.to_thread(self.store.add, Path(path))
            await asyncio.to_thread(self.store.image, version)
        except FileInFlux as error:
            log.info("settling", library=path, reason=str(error))
            self._retries[path] = min(_LONGEST_RETRY, max(self.settings.settle, 2 * self._retries.get(path, 0.0)))
            self._settling.put(path, self._retries[path], holds_others=False)
            return None
        except (StoreError, ImageError) as error:
            problem = str(error)
        self._retries.pop(path, None)
        if problem:
            for served in self.targets.values():
                if path in served.libraries:
                    self._refused(served, served.libraries[path], version, _about(path, problem))
            return None
        return version

    async def _bring(self, served: ServedTarget, versions: dict[str, Version], snapshot: float) -> None:
        """Bring the libraries of one target to `versions`: those that need each other together."""
        wanted: list[tuple[Library, Version]] = []
        due_again = {path for path, it in served.libraries.items() if _is_due_again(it, served, versions)}
        for library in served.libraries.values():
            version = versions.get(library.path)
            if library.path in due_again:
                version, library.failed = version or library.failed, None
            if version is not None and self._is_to_do(library, version):
                wanted.append((library, version))
        images = [await asyncio.to_thread(self.store.image, version) for _library, version in wanted]
        for group in groups(images):
            await self._update(served, [wanted[index] for index in group], snapshot)

    def _is_to_do(self, library: Library, version: Version) -> bool:
        """Whether a library does not run `version`, and this was not refused already."""
        if library.state is None or library.failed == version:
            return False
        if library.state.current != version:
            return True
        if library.result is Result.REFUSED:  # what was refused is gone again
            library.failed = None
            library.note(Result.UPDATED if len(library.state.versions) > 1 else Result.CURRENT)
        return False

    async def _update(self, served: ServedTarget, group: list[tuple[Library, Version]], snapshot: float) -> None:
        target, start = served.target, time.perf_counter()
        for attempt in range(_ATTEMPTS):
            group = [(library, version) for library, version in group if served.libraries.get(library.path) is library]
            changes = [Change(library.state, version) for library, version in group if library.state]
            if not changes:
                return
            try:
                outcomes = await update(target, changes, self.store, self.analyst)
                break
            except LibraryUnloaded as error:
                await self._learn_objects(served)
                if attempt == _ATTEMPTS - 1:
                    self._group_refused(served, group, f"it could not be done: {error}")
                    return
            except TargetGone:
                return
            except Refused as error:
                self._group_refused(served, group, str(error), error.details, error.library)
                return
            except LivesoError as error:
                self._group_refused(served, group, f"it could not be done: {error}")
                return
        milliseconds = snapshot + (time.perf_counter() - start) * 1000
        for (library, version), outcome in zip(group, outcomes, strict=True):
            self._updated(served, library, version, outcome, milliseconds, {"snapshot": snapshot, **outcome.steps})
        asyncio.get_running_loop().call_later(_SWEEP_AFTER, lambda: self.start(self._sweep(served)))

    def _updated(
        self,
        served: ServedTarget,
        library: Library,
        version: Version,
        outcome: Outcome,
        milliseconds: float,
        steps: dict[str, float],
    ) -> None:
        library.state = outcome.state
        library.stale, library.failed, library.together = outcome.stale, None, frozenset()
        library.milliseconds = milliseconds
        library.note(Result.UPDATED)
        self._show_build_id(library)
        name = os.path.basename(library.path)
        log.info(
            "updated",
            pid=served.target.pid,
            library=library.path,
            version=str(version),
            build_id=library.build_id,
            milliseconds=round(library.milliseconds, 1),
            stale_slots=library.stale,
            **{f"{step}_ms": round(value, 1) for step, value in steps.items()},
        )
        self._say(served, 2, f"{name}: updated to {_title(version, library)} in {library.milliseconds:.0f} ms")
        self._say(served, 3, f"{name}: " + ", ".join(f"{step} {value:.1f} ms" for step, value in steps.items()))

    def _group_refused(
        self,
        served: ServedTarget,
        group: list[tuple[Library, Version]],
        reason: str,
        details: tuple[str, ...] = (),
        culprit: str = "",
    ) -> None:
        """Say of the library that it is about why it was not updated, and of the others that they wait for it."""
        paths = frozenset(library.path for library, _version in group)
        for library, version in group:
            library.together = paths - {library.path}
            if culprit in ("", library.path):
                self._refused(served, library, version, reason, details)
            else:
                name = os.path.basename(culprit)
                self._refused(served, library, version, f"it goes together with {name}, which is refused: {reason}")

    async def _sweep(self, served: ServedTarget) -> None:
        try:
            found = await sweep(served.target, self.store)
        except LibraryUnloaded:
            await self._learn_objects(served)
            found = await sweep(served.target, self.store)
        if found:
            log.info("swept", pid=served.target.pid, slots=found)

    def _refused(
        self,
        served: ServedTarget,
        library: Library,
        version: Version | None,
        reason: str,
        details: tuple[str, ...] = (),
    ) -> None:
        if (library.result, library.reason, library.failed) == (Result.REFUSED, reason, version):
            return
        library.failed = version
        library.note(Result.REFUSED, reason, details)
        log.warning("refused", pid=served.target.pid, library=library.path, version=str(version or ""), reason=reason)
        self._say(served, 1, f"{os.path.basename(library.path)}: not updated: {reason}")

    def _failed(self, served: ServedTarget, library: Library, reason: str) -> None:
        library.note(Result.FAILED, reason)
        log.warning("failed", pid=served.target.pid, library=library.path, reason=reason)
        self._say(served, 1, f"{os.path.basename(library.path)}: not served: {reason}")

    def _say(self, served: ServedTarget, level: int, line: str) -> None:
        if served.loglevel >= level:
            self.start(served.target.agent.say(f"live.so: {line}"))

    # --- housekeeping

    async def keep_house(self) -> None:
        """Every second: look for libraries that targets have loaded or unloaded, without waking them, and let processes
        end that only their agent keeps alive."""
        while True:
            await asyncio.sleep(1)
            for served in list(self.targets.values()):
                target = served.target
                try:
                    threads = process.threads(target.pid)
                    if threads.leader_ended and threads.count == 2:
                        await target.agent.leave()
                    elif served.mapped not in (None, process.mapped_code(target.pid, target.hello.thread)):
                        self.start(self._learn_objects(served))
                except TargetError:
                    continue
                for library in served.libraries.values():
                    if library.unprotected == IN_WRITING:
                        self._protect(library)

    async def keep_store(self) -> None:
        """Keep the store from growing for ever. The first time comes when the targets of an earlier daemon are back."""
        while True:
            await asyncio.sleep(_PRUNE_EVERY)
            states = [it.state for served in self.targets.values() for it in served.libraries.values() if it.state]
            await asyncio.to_thread(self.store.prune, {loaded.version for it in states for loaded in it.versions})

    def status(self) -> dict[str, object]:
        return {"pid": os.getpid(), "targets": [view(served) for served in self.targets.values()]}


async def _guarded(job: Coroutine[Any, Any, None]) -> None:
    try:
        await job
    except TargetGone:
        pass
    except LivesoError as error:
        log.warning("failed", reason=str(error))
    except Exception as error:  # one target's trouble must not end the daemon
        log.error("internal-error", reason=f"{type(error).__name__}: {error}", exc_info=True)


def _is_due_again(library: Library, served: ServedTarget, versions: Mapping[str, Version]) -> bool:
    """Whether a library that was refused is to be tried once more: one that was to be updated together with it has
    changed since."""
    if library.failed is None:
        return False
    others = {path: served.libraries.get(path) for path in library.together & versions.keys()}
    return any(it is None or it.failed != versions[path] for path, it in others.items())


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end (unix(7), SO_PEERCRED)."""
    pid, user, _group = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, user


def _about(path: str, problem: str) -> str:
    return problem if problem.startswith(path) else f"{path}: {problem}"


def _title(version: Version, library: Library) -> str:
    return f"build ID {library.build_id[:12]}" if library.build_id else f"version {version}"
