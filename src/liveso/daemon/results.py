"""What becomes of a library in a target: noted for `status`, logged, and said on the program's standard error."""

import os
import time

from liveso.apply import Outcome
from liveso.daemon.events import Events
from liveso.daemon.pins import Rollback
from liveso.daemon.state import Library, Result, ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.errors import LivesoError
from liveso.history import Kind
from liveso.store import Store, Version
from liveso.verdict import Finding, describe


class Results:
    def __init__(self, supervisor: Supervisor, store: Store, events: Events) -> None:
        self._supervisor = supervisor
        self._store = store
        self._events = events

    def say(self, served: ServedTarget, level: int, line: str) -> None:
        """Put a line on the program's standard error, if that is so talkative."""
        if served.loglevel >= level:
            self._supervisor.start(served.target.agent.say(f"live.so: {line}"))

    def show_build_id(self, library: Library) -> None:
        try:
            library.build_id = self._store.build_id(library.state.current) if library.state else ""
        except LivesoError:
            library.build_id = ""

    def updated(
        self,
        served: ServedTarget,
        library: Library,
        before: Version,
        version: Version,
        outcome: Outcome,
        milliseconds: float,
        steps: dict[str, float],
        rollback: Rollback | None = None,
    ) -> None:
        """The library runs a version by now instead of the one `before`; by a `rollback`, where that is not what lies
        on disk."""
        library.stale, library.refused, library.tried = outcome.stale, None, frozenset()
        library.milliseconds, library.is_as_wanted = milliseconds, True
        library.note(Result.UPDATED)
        self.show_build_id(library)
        if rollback:
            self.rolled_back(library, rollback)
        name = os.path.basename(library.path)
        self._events.of_process(
            Kind.ROLLED_BACK if rollback else Kind.UPDATED,
            served,
            library.path,
            before=before,
            after=version,
            milliseconds=milliseconds,
            steps=steps,
            stale_functions=len(library.stale),
        )
        done = "rolled back" if rollback else "updated"
        self.say(served, 2, f"{name}: {done} to {_title(version, library)} in {milliseconds:.0f} ms")
        self.say(served, 3, f"{name}: " + ", ".join(f"{step} {value:.1f} ms" for step, value in steps.items()))

    def refused(
        self,
        served: ServedTarget,
        library: Library,
        version: Version | None,
        reason: str,
        details: tuple[str, ...] = (),
    ) -> None:
        if (library.result, library.reason, library.refused) == (Result.REFUSED, reason, version):
            return
        library.refused = version
        library.note(Result.REFUSED, reason, details)
        self._events.of_process(Kind.REFUSED, served, library.path, after=version, reason=reason)
        self.say(served, 1, f"{os.path.basename(library.path)}: not updated: {reason}")

    def held_back(self, served: ServedTarget, library: Library, version: Version, name: str, reason: str) -> None:
        """`name` is the library that it waits for, empty where it is none."""
        if (library.result, library.reason, library.refused) == (Result.HELD_BACK, reason, version):
            return
        library.refused = version
        library.note(Result.HELD_BACK, reason)
        library.waits_for = (name,) if name else ()
        self._events.of_process(Kind.HELD_BACK, served, library.path, after=version, reason=reason)
        self.say(served, 1, f"{os.path.basename(library.path)}: not updated yet: {reason}")

    def waiting(self, served: ServedTarget, library: Library, version: Version, findings: tuple[Finding, ...]) -> None:
        """A person is to say whether the version may be applied, because of these findings."""
        name = os.path.basename(library.path)
        cure = (
            f"if that is right for what the process remembers, `liveso allow {name} {self._short(version)}` applies it"
        )
        reason = f"{describe(findings)}; {cure}"
        if (library.result, library.reason, library.refused) == (Result.WAITING, reason, version):
            return
        library.refused = version
        details = (*(f"{found.rule}: {found.text}" for found in findings), cure)
        library.note(Result.WAITING, reason, details)
        self._events.of_process(Kind.WAITING, served, library.path, after=version, reason=reason)
        self.say(served, 1, f"{name}: not updated, but waits for a person: {reason}")

    def _title_of(self, version: Version) -> str:
        short = self._short(version)
        return f"version {short}" if version.digest.startswith(short) else f"build ID {short}"

    def _short(self, version: Version) -> str:
        """What people know a version by."""
        try:
            return self._store.build_id(version)[:12] or version.digest[:12]
        except LivesoError:
            return version.digest[:12]

    def rolled_back(self, library: Library, rollback: Rollback) -> None:
        """The library runs what it was rolled back to."""
        if (library.result, library.rollback) == (Result.ROLLED_BACK, rollback):
            return
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(rollback.since))
        fact = f"rolled back at {since}: runs instead of {self._title_of(rollback.over)}, which lies on disk"
        cure = f"`liveso resume {os.path.basename(library.path)}` brings it forward, and so does a change of the file"
        library.refused, library.tried = None, frozenset()
        library.note(Result.ROLLED_BACK, f"{fact}; {cure}")
        library.rollback = rollback

    def current(self, library: Library) -> None:
        """The library runs what lies on disk: what was refused or rolled back is gone again."""
        if library.result in (Result.REFUSED, Result.HELD_BACK, Result.WAITING, Result.ROLLED_BACK):
            library.refused, library.tried = None, frozenset()
            library.note(Result.UPDATED if library.state and len(library.state.versions) > 1 else Result.CURRENT)

    def failed(self, served: ServedTarget, library: Library, reason: str) -> None:
        library.note(Result.FAILED, reason)
        self._events.of_process(Kind.FAILED, served, library.path, reason=reason)
        self.say(served, 1, f"{os.path.basename(library.path)}: not served: {reason}")


def _title(version: Version, library: Library) -> str:
    return f"build ID {library.build_id[:12]}" if library.build_id else f"version {version}"
