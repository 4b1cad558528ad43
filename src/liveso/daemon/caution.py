"""New versions of libraries go into a few targets first, and no further where one of these crashes.

A library counts by the path that its processes know it by: containers with the same one learn from each other.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from liveso.daemon.crashes import Crashes
from liveso.daemon.events import Events
from liveso.daemon.naming import is_called
from liveso.daemon.pins import Process
from liveso.daemon.state import ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.daemon.wanted import process_of
from liveso.history import Kind
from liveso.process.ending import UNKNOWN, ending_of
from liveso.roots import inside
from liveso.store import Version

_QUIET = 60.0  # seconds
_MOST_WATCHED = 256  # updates that are watched at a time: each takes a descriptor
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS}
)
_SIGNAL = 0x7F  # of a status (waitpid(2))


@dataclass
class _Trial:
    """A version of a library that is new. `first` are the targets that may have it before others, with the time
    (time.monotonic()) at which each got it, 0 where it has not yet. `is_over` once others may have it; `crash` says why
    nobody is to get it."""

    first: dict[Process, float] = field(default_factory=dict)
    is_over: bool = False
    crash: str = ""


class Caution:
    """Lets `canaries` of the `targets` have a version first, all of them where it is 0."""

    def __init__(
        self,
        canaries: int,
        crashes: Crashes,
        events: Events,
        supervisor: Supervisor,
        targets: Mapping[int, ServedTarget],
    ) -> None:
        self._canaries = canaries
        self._crashes = crashes
        self._events = events
        self._supervisor = supervisor
        self._targets = targets
        self._trials = {known: _Trial(crash=said) for known, said in crashes.read().items()}
        for (path, version), trial in self._trials.items():
            supervisor.tell(_subject(path, version), f"{path}: {trial.crash}")
        self._watched = 0

    def stands_against(self, served: ServedTarget, path: str, version: Version) -> str:
        """Why a target may not have a version of the library at `path` now; empty where it may. Then it counts as one
        of the first until it has it, or `gives_up`."""
        trial = self._trials.setdefault((inside(path), version), _Trial())
        process = process_of(served)
        if trial.crash:
            return trial.crash
        if not self._canaries or trial.is_over or process in trial.first:
            return ""
        self._drop_ended(trial)
        if len(trial.first) < self._canaries:
            trial.first[process] = 0.0
            return ""
        first = "one other process goes" if self._canaries == 1 else f"{self._canaries} other processes go"
        return f"{first} first (canary); this one follows after a quiet minute"

    def gives_up(self, served: ServedTarget, path: str, version: Version) -> None:
        """It could not be brought into the target: another one may have its turn."""
        trial = self._trials.get((inside(path), version))
        if trial and not trial.first.get(process_of(served), 1.0):
            del trial.first[process_of(served)]
            self._try_others(inside(path))

    def updated(self, served: ServedTarget, path: str, version: Version) -> None:
        """The target runs the version from now on: how it gets on is watched for a minute."""
        trial = self._trials.setdefault((inside(path), version), _Trial())
        if process_of(served) in trial.first:
            trial.first[process_of(served)] = time.monotonic()
        if self._watched < _MOST_WATCHED:
            self._watched += 1
            self._supervisor.start(self._watch(served, inside(path), version, trial))

    async def _watch(self, served: ServedTarget, path: str, version: Version, trial: _Trial) -> None:
        since = time.monotonic()
        try:
            status = await ending_of(served.pid, _QUIET)
        finally:
            self._watched -= 1
        if status is not None and status != UNKNOWN and status & _SIGNAL in _CRASHES:
            self._crashed(served, path, version, trial, signal.Signals(status & _SIGNAL), time.monotonic() - since)
        elif status is not None:
            trial.first.pop(process_of(served), None)  # it tells nothing: another one takes its place
            self._try_others(path)
        elif trial.first and all(at and time.monotonic() - at >= _QUIET for at in trial.first.values()):
            trial.is_over = True
            self._try_others(path)

    def _crashed(
        self, served: ServedTarget, path: str, version: Version, trial: _Trial, number: signal.Signals, after: float
    ) -> None:
        name = os.path.basename(path)
        fact = f"process {served.pid} ended with {number.name} {after:.0f} s after it got this version"
        fact += f" ({served.command})"
        trial.crash = f"{fact}, which others do not get: `liveso resume {name}` lets them have it"
        self._crashes.keep(path, version, trial.crash)  # before it is said: the daemon may end any time
        self._events.of_process(Kind.CRASHED, served, path, after=version, reason=fact)
        self._supervisor.tell(_subject(path, version), f"{path}: {trial.crash}")
        self._try_others(path)  # they say why they do not get it

    def resume(self, library: str) -> Iterator[tuple[str, Version]]:
        """Let targets have what was held back because of a crash, of the library that is named by path or base name."""
        for (path, version), trial in self._trials.items():
            if trial.crash and is_called(path, library):
                trial.crash, trial.is_over = "", True
                self._crashes.drop(path, version)
                self._supervisor.tell(_subject(path, version), "")
                self._try_others(path)
                yield path, version

    def _try_others(self, path: str) -> None:
        for served in self._targets.values():
            if any(inside(it) == path for it in served.libraries):
                served.due.set()

    def _drop_ended(self, trial: _Trial) -> None:
        """Targets that have ended before they got the version."""
        living = {process_of(it) for it in self._targets.values()}
        trial.first = {it: at for it, at in trial.first.items() if at or it in living}


def _subject(path: str, version: Version) -> str:
    return f"crash {path} {version}"
