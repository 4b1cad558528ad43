"""The time line: what happened, from the history; the same in several processes of a service at once is one entry."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from liveso.errors import StoreError
from liveso.history import FILE_NAME, Event, Kind, Wanted, read_events
from liveso.services.occurrences import Occurrence, occurrences

Json = dict[str, Any]
_MOST = 500  # events
_STILL = "still"
"""The step of an update for which all threads of the process are held still."""
_NOT_SHOWN = (Kind.STARTED, Kind.STOPPED)  # of the daemon itself


class TimeLine:
    """The newest entries of the history in a folder, read again when the file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state: object = None
        self._entries: list[Json] = []

    def entries(self) -> list[Json]:
        """The oldest first. A history that cannot be read has none: what runs now is worth more."""
        state = _state(self._folder / FILE_NAME)
        if state != self._state:
            try:
                self._entries = entries(read_events(self._folder, Wanted(limit=_MOST)))
            except StoreError:
                self._entries = []
            self._state = state
        return self._entries


def _state(file: Path) -> object:
    try:
        info = file.stat()
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns


def entries(events: Iterable[Event]) -> list[Json]:
    return [_entry(it) for it in occurrences(it for it in events if it.kind not in _NOT_SHOWN)]


def _entry(it: Occurrence) -> Json:
    first = it.first
    return {
        "number": first.number,
        "time": first.time,
        "kind": str(first.kind),
        "library": os.path.basename(first.library),
        "path": first.library,
        "service": first.service,
        "processes": len(it.pids),
        "before": it.before,
        "after": it.after,
        "milliseconds": round(it.milliseconds, 1),
        "still": round(first.steps.get(_STILL, 0.0), 1),
        "reason": first.reason,
        "by": first.by,
    }
