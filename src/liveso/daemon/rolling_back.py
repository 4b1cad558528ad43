"""`liveso rollback` and `liveso resume`: a person takes a library back from what lies on disk, and forward again."""

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from liveso.daemon.caution import Caution
from liveso.daemon.disk import Disk
from liveso.daemon.events import Events
from liveso.daemon.log import log
from liveso.daemon.naming import beginning_of_version, is_called, libraries_called, only_one
from liveso.daemon.pins import Choice, Pin, Pins
from liveso.daemon.state import NOT_BROUGHT_IN, Library, Result, ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.daemon.wanted import WantedVersions, process_of
from liveso.errors import Declined, ExitCode, LivesoError, StoreError
from liveso.history import Kind
from liveso.roots import root_of
from liveso.store import Store, Version

_LOOK_EVERY = 0.02  # seconds, for results
_LONGEST = 600.0  # seconds, until nobody looks for them any more
_SEE = "`liveso status` lists libraries and their versions"

Named = list[tuple[ServedTarget, Library]]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A library at a path goes back to `to` in targets, by the pin `pin`, which took the place of `before`."""

    to: Version
    pin: Pin
    before: Pin | None
    targets: Named


@dataclass(frozen=True, slots=True)
class _Report:
    """What came of an attempt: the targets that run the version; those that do not, with the reason; those for which
    the pin stays all the same, since a person is asked; and those that have not tried yet, or try again."""

    running: list[ServedTarget]
    refused: list[tuple[ServedTarget, str]]
    waiting: list[tuple[ServedTarget, str]]
    pending: list[tuple[ServedTarget, str]]


class RollingBack:
    """Rolls libraries back in `targets`, by process, and lets them go forward again."""

    def __init__(
        self,
        store: Store,
        disk: Disk,
        wanted: WantedVersions,
        pins: Pins,
        caution: Caution,
        events: Events,
        supervisor: Supervisor,
        targets: Mapping[int, ServedTarget],
    ) -> None:
        self._store = store
        self._disk = disk
        self._wanted = wanted
        self._pins = pins
        self._caution = caution
        self._events = events
        self._supervisor = supervisor
        self._targets = targets
        self._turn = asyncio.Lock()

    async def rollback(
        self, library: str, beginning: str, pids: Sequence[int], wait: float, by: str
    ) -> dict[str, object]:
        """Take a library, named by path or base name, back to the version whose SHA-256 or build ID starts with
        `beginning`, or to the one before; in the processes `pids`, or in all and those to come. Returns what came of it
        within `wait` seconds, as JSON (docs/commands.md).

        Raises Declined where that cannot be begun, StoreError where it cannot be kept. No pin is kept for a process in
        which nothing was rolled back.
        """
        async with self._turn:
            wanted = beginning and beginning_of_version(beginning, _SEE)
            named, others = self._named(library, pids)
            attempts = [await self._attempt(named, path, wanted, bool(pids)) for path in _paths(named)]
            for it in attempts:
                await asyncio.to_thread(self._pins.keep, it.pin)
                self._events.act(Kind.ROLLBACK, it.pin.path, by, before=it.pin.over, after=it.to, pids=pids)
        for it in attempts:
            for served, one in it.targets:
                one.refused, one.tried = None, frozenset()
                served.due.set()
        reports: dict[str, _Report] = {}
        await asyncio.wait([self._supervisor.start(self._see_to(it, reports)) for it in attempts], timeout=wait)
        found = [self._shown(it, reports.get(it.pin.path) or self._report(it)) for it in attempts]
        return {"libraries": found, "not_there": others}

    async def resume(self, library: str, pids: Sequence[int], by: str) -> dict[str, object]:
        """Let a library run what lies on disk again, in the processes `pids` or in all; there also what is held back
        because a process crashed. Returns what goes forward, as JSON (docs/commands.md).

        Raises Declined where it was neither, StoreError where that cannot be kept.
        """
        async with self._turn:
            released = [] if pids else list(self._caution.resume(library))
            for path, version in released:
                self._events.act(Kind.RESUME, path, by, after=version)
            pins = [pin for path in self._pins.paths if is_called(path, library) and (pin := self._pins.of(path))]
            if not pins and not released:
                raise Declined(f"{library} is not rolled back or held back after a crash anywhere; {_SEE}", ExitCode.NO)
            going = {pin.path: [it for it in self._back(pin) if not pids or it.pid in pids] for pin in pins}
            there = {it.pid for targets in going.values() for it in targets}
            if pids and not there:
                raise Declined(f"{library} is not rolled back in any of these processes; {_SEE}", ExitCode.NO)
            pins = [pin for pin in pins if going[pin.path] or not pids]
            for pin in pins:
                self._events.act(Kind.RESUME, pin.path, by, after=pin.over, pids=pids)
                if pids:
                    forward = pin.forward([process_of(it) for it in going[pin.path]], time.time())
                    await asyncio.to_thread(self._pins.keep, forward)
                else:
                    await asyncio.to_thread(self._pins.drop, pin.path)
        for served in list(self._targets.values()):
            if any(pin.path in served.libraries for pin in pins):
                served.due.set()
        shown = [self._named_version(it.path, it.over) | {"pids": [one.pid for one in going[it.path]]} for it in pins]
        return {
            "libraries": shown,
            "released": [self._named_version(path, version) for path, version in released],
            "not_there": [pid for pid in pids if pid not in there],
        }

    def _back(self, pin: Pin) -> list[ServedTarget]:
        """The targets in which a library was rolled back, or is to be."""
        return [
            it for it in self._targets.values() if pin.path in it.libraries and pin.rollback(process_of(it)) is not None
        ]

    def _named(self, library: str, pids: Collection[int]) -> tuple[Named, list[int]]:
        """The libraries that are meant, and those of `pids` that have none."""
        named = libraries_called(library, list(self._targets.values()), _SEE)
        if pids:
            named = [(served, it) for served, it in named if served.pid in pids]
        if not named:
            raise Declined(f"none of these processes is served and has a library {library}; {_SEE}", ExitCode.NO)
        known = [(served, it) for served, it in named if it.state]
        if not known:
            raise Declined(
                f"{named[0][1].path}: {named[0][1].reason or 'the version that runs is not known'}", ExitCode.NO
            )
        there = {served.pid for served, _it in known}
        return known, [pid for pid in pids if pid not in there]

    async def _attempt(self, named: Named, path: str, beginning: str, only_these: bool) -> _Attempt:
        targets = [(served, it) for served, it in named if it.path == path]
        over = self._disk.version(path)
        if over is None:
            problem = self._disk.problem(path) or f"{path}: changes on disk just now; try again"
            raise Declined(f"{problem}; a library is rolled back from what lies on disk", ExitCode.NO)
        if beginning:
            states = [it.target.libraries.get(path) for it in self._targets.values()]
            known = {loaded.version for state in states if state for loaded in state.versions} | {over}
            to = await asyncio.to_thread(self._version, path, beginning, known)
        else:
            to = self._before(path, over, targets)
        if to == over:
            raise Declined(f"{path}: version {to} is what lies on disk: `liveso resume` lets it run", ExitCode.NO)
        before = self._pins.of(path)
        before = before if before and before.over == over else None
        pin, choice = before or Pin(path, over), Choice(to, time.time())
        processes = [process_of(served) for served, _it in targets]
        is_theirs = only_these or root_of(path)  # a root's processes have it by their own number
        pin = pin.to(choice, processes) if is_theirs else pin.everywhere_to(choice)
        return _Attempt(to, pin, before, targets)

    def _version(self, path: str, beginning: str, known: set[Version]) -> Version:
        """The version in the store that begins so, and is one of this library, of which others are `known`."""
        found = self._store.find_beginning(beginning)
        sonames = {self._soname(it) for it in known} - {""}
        own = {it: names for it, names in found.items() if it in known or self._soname(it) in sonames}
        version = only_one(beginning, own, path)
        if version:
            return version
        if found:
            other = self._soname(next(iter(found))) or "something without a SONAME"
            raise Declined(
                f"{beginning}: is a version of {other}, and not known as one of {path}; {_SEE}",
                ExitCode.BAD_INPUT,
            )
        raise Declined(f"{beginning}: no version in the store begins so; {_SEE}", ExitCode.NO)

    def _before(self, path: str, over: Version, targets: Named) -> Version:
        """The version that was opened before the one that runs, in the targets that run what lies on disk; in all of
        them, where none does. Raises Declined where that are several, or none."""
        states = [(served.pid, it.state) for served, it in targets if it.state]
        states = [(pid, it) for pid, it in states if it.current == over] or states
        found: dict[Version, list[int]] = {}
        for pid, it in states:
            place = [loaded.version for loaded in it.versions].index(it.current)
            if place:
                found.setdefault(it.versions[place - 1].version, []).append(pid)
        if not found:
            raise Declined(
                f"{path}: runs in the version that each process began with, so that none is known to go back to; say "
                f"which: `liveso rollback {os.path.basename(path)} VERSION`",
                ExitCode.NO,
            )
        if len(found) > 1:
            several = ", ".join(f"{it} (process {' '.join(map(str, pids))})" for it, pids in found.items())
            raise Declined(f"{path}: processes ran different versions before; say which: {several}", ExitCode.BAD_INPUT)
        return next(iter(found))

    async def _see_to(self, it: _Attempt, reports: dict[str, _Report]) -> None:
        """Look until something came of an attempt everywhere, report it, and keep no pin where nothing was rolled
        back."""
        end = time.monotonic() + _LONGEST
        while (report := self._report(it)).pending and time.monotonic() < end:
            await asyncio.sleep(_LOOK_EVERY)
        reports[it.pin.path] = report
        if not report.refused:
            return
        async with self._turn:
            pin = self._pins.of(it.pin.path)
            if pin is None or pin.over != it.pin.over:
                return
            try:
                await asyncio.to_thread(self._pins.keep, self._without_refused(it, pin, report))
            except StoreError as error:
                log.warning("failed", library=it.pin.path, reason=str(error))
        for served, _reason in report.refused:
            served.due.set()

    def _without_refused(self, it: _Attempt, pin: Pin, report: _Report) -> Pin:
        if not (report.running or report.waiting or report.pending):
            return it.before or Pin(pin.path, pin.over)
        for served, _reason in report.refused:
            process = process_of(served)
            earlier = it.before.rollback(process) if it.before else None
            if earlier:
                pin = pin.to(Choice(earlier.to, earlier.since), [process])
            else:
                pin = pin.forward([process], time.time())
        return pin

    def _report(self, it: _Attempt) -> _Report:
        report = _Report([], [], [], [])
        for served, library in it.targets:
            if self._targets.get(served.pid) is not served or served.libraries.get(library.path) is not library:
                continue  # it has ended, or has unloaded the library
            rollback = self._wanted.of(served, library.path).rollback
            is_said = library.refused == it.to and library.result in NOT_BROUGHT_IN
            if library.state and library.state.current == it.to:
                report.running.append(served)
            elif rollback is None or rollback.to != it.to:
                report.waiting.append((served, "the file changed, or another command came, in the meantime"))
            elif not is_said:
                report.pending.append((served, ""))
            elif library.is_tried_again:
                report.pending.append((served, library.reason))
            elif library.result is Result.WAITING:
                report.waiting.append((served, library.reason))
            else:
                report.refused.append((served, library.reason))
        return report

    def _shown(self, it: _Attempt, report: _Report) -> dict[str, object]:
        return self._named_version(it.pin.path, it.to) | {
            "over": it.pin.over.digest,
            "running": [served.pid for served in report.running],
            "refused": {str(served.pid): reason for served, reason in (*report.refused, *report.waiting)},
            "pending": {str(served.pid): reason for served, reason in report.pending},
        }

    def _named_version(self, path: str, version: Version) -> dict[str, object]:
        try:
            build_id = self._store.build_id(version)
        except LivesoError:
            build_id = ""
        return {"path": path, "version": version.digest, "build_id": build_id}

    def _soname(self, version: Version) -> str:
        try:
            return self._store.image(version).soname
        except LivesoError:
            return ""


def _paths(named: Iterable[tuple[ServedTarget, Library]]) -> list[str]:
    return sorted({it.path for _served, it in named})
