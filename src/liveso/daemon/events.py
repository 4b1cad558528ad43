"""What happens in the daemon: told once, and read by log, history, metrics and notifications."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from liveso.daemon.log import log
from liveso.daemon.state import ServedTarget
from liveso.errors import LivesoError
from liveso.history import Event, Kind
from liveso.store import Store, Version

Reader = Callable[[Event], None]
_LEVELS = {Kind.REFUSED: "warning", Kind.WAITING: "warning", Kind.FAILED: "warning", Kind.CRASHED: "error"}


class Events:
    """Makes events of what happens, and hands each to the `readers`, none of which may wait. What goes wrong in one is
    logged, and keeps it from no other."""

    def __init__(self, store: Store, readers: Sequence[Reader]) -> None:
        self._store = store
        self._readers = (write_to_log, *readers)

    def tell(self, event: Event) -> None:
        for read in self._readers:
            try:
                read(event)
            except Exception as error:
                log.error("internal-error", reason=f"{type(error).__name__}: {error}", exc_info=True)

    def of_daemon(self, kind: Kind) -> None:
        self.tell(Event(kind, time.time(), pids=(os.getpid(),)))

    def of_process(
        self,
        kind: Kind,
        served: ServedTarget,
        path: str,
        *,
        before: Version | None = None,
        after: Version | None = None,
        reason: str = "",
        milliseconds: float = 0.0,
        steps: Mapping[str, float] | None = None,
        stale_functions: int = 0,
    ) -> None:
        """Something happened to the library at `path` in one process. `before` is what ran, where that is not what
        runs."""
        running = served.target.libraries.get(path)
        self._tell_of_versions(
            Event(
                kind,
                time.time(),
                library=path,
                pids=(served.pid,),
                command=served.command,
                user=served.target.user,
                container=served.container,
                units=served.units,
                reason=reason,
                milliseconds=milliseconds,
                steps=steps or {},
                stale_functions=stale_functions,
            ),
            before or (running.current if running else None),
            after,
        )

    def act(
        self,
        kind: Kind,
        library: str,
        by: str,
        *,
        before: Version | None = None,
        after: Version | None = None,
        pids: Sequence[int] = (),
    ) -> None:
        """A person did something about a library: in some processes, or in all that have it."""
        self._tell_of_versions(Event(kind, time.time(), library=library, pids=tuple(pids), by=by), before, after)

    def _tell_of_versions(self, event: Event, before: Version | None, after: Version | None) -> None:
        self.tell(
            replace(
                event,
                before=before.digest if before else "",
                before_build_id=self._build_id(before),
                after=after.digest if after else "",
                after_build_id=self._build_id(after),
            )
        )

    def _build_id(self, version: Version | None) -> str:
        try:
            return self._store.build_id(version) if version else ""
        except LivesoError:
            return ""


def write_to_log(event: Event) -> None:
    """One line, with what there is of the event."""
    named = {
        "pid": event.pids[0] if len(event.pids) == 1 else " ".join(map(str, event.pids)),
        "library": event.library,
        "version": event.after,
        "build_id": event.after_build_id,
        "before": event.before,
        "milliseconds": round(event.milliseconds, 1) or "",
        "stale_functions": event.stale_functions if event.kind in (Kind.UPDATED, Kind.ROLLED_BACK) else "",
        "reason": event.reason,
        "by": event.by,
    }
    steps = {f"{name}_ms": round(value, 1) for name, value in event.steps.items()}
    say = getattr(log, _LEVELS.get(event.kind, "info"))
    say(str(event.kind), **{name: it for name, it in named.items() if it != ""}, **steps)
