"""Reading the history: any process of the same user may, with or without a daemon."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from liveso.errors import StoreError
from liveso.history.event import Event
from liveso.history.schema import SELECT, VERSION, event_of

FILE_NAME = "history.sqlite"
_PATIENCE = 5.0  # seconds that the file may be locked


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: those of a `library` (path or file name), of a process (`pid`) or of a command or unit (`name`, a
    part of it), since a time (seconds since 1970), behind the one numbered `after`; and the last `limit` of them."""

    library: str = ""
    pid: int = 0
    name: str = ""
    since: float = 0.0
    after: int = 0
    limit: int = 1000


_ALL = Wanted()


def read_events(folder: Path, wanted: Wanted = _ALL) -> list[Event]:
    """The events in the history in a folder, the oldest first; none where nothing was written yet. Raises StoreError
    where it cannot be read."""
    file = folder / FILE_NAME
    if not os.path.lexists(file):
        return []
    where, values = _condition(wanted)
    try:
        # to be written, for a reader undoes what a daemon that was killed has left half done
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)) as database:
            database.row_factory = sqlite3.Row
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                return []  # just made
            if version != VERSION:
                raise StoreError(
                    f"{file}: it is the history of another liveso (its format is {version}, not {VERSION})"
                )
            rows = database.execute(f"{SELECT} WHERE {where} ORDER BY number DESC LIMIT ?", (*values, wanted.limit))
            return [event_of(it) for it in reversed(rows.fetchall())]
    except (sqlite3.Error, ValueError) as error:
        raise StoreError(f"{file}: the history cannot be read: {error}") from error


def _condition(wanted: Wanted) -> tuple[str, list[object]]:
    parts: list[str] = ["number > ?", "time >= ?"]
    values: list[object] = [wanted.after, wanted.since]
    if wanted.library:
        parts.append("(library = ? OR library LIKE ? ESCAPE '\\')")
        values += [wanted.library, f"%/{_literally(wanted.library)}"]
    if wanted.pid:
        parts.append("EXISTS (SELECT 1 FROM json_each(pids) WHERE value = ?)")
        values.append(wanted.pid)
    if wanted.name:
        pattern = f"%{_literally(wanted.name)}%"
        parts.append("(library LIKE ? ESCAPE '\\' OR command LIKE ? ESCAPE '\\' OR units LIKE ? ESCAPE '\\')")
        values += [pattern, pattern, pattern]
    return " AND ".join(parts), values


def _literally(text: str) -> str:
    """For LIKE, with a backslash as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
