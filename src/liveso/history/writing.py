"""Writing the history: by a thread of its own, so that a slow disk holds nothing up."""

import os
import queue
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from liveso.errors import UnsafePath
from liveso.folders import open_folder
from liveso.history.event import Event
from liveso.history.reading import FILE_NAME
from liveso.history.schema import CREATE, INSERT, VERSION, row_of
from liveso.settings import HISTORY_CURE

_MOST_WAITING = 10_000  # events: what comes while the disk takes none
_AT_ONCE = 500  # events in one transaction
_PATIENCE = 30.0  # seconds that a reader may hold the file
_SHARE = 10  # of what is there, one part in so many goes when the file is full
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: no event that is older than so many `days`, and a file of `size` bytes."""

    days: float
    size: int


class History:
    """The history in a folder. `tell` gets what is wrong with it, an empty text when that is over."""

    def __init__(self, folder: Path, bounds: Bounds, tell: Callable[[str], object]) -> None:
        self._folder, self._bounds, self._tell = folder, bounds, tell
        self._waiting: queue.Queue[Event | None] = queue.Queue(_MOST_WAITING)
        self._thread = Thread(target=self._write_all, name="history", daemon=True)
        self._problem = ""
        self._lost = 0

    def start(self) -> None:
        self._thread.start()

    def keep(self, event: Event) -> None:
        """Have an event written, soon. Never waits; what there is no room for is lost, and counted."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._lost += 1

    def close(self, limit: float) -> None:
        """Wait until everything is written, for at most `limit` seconds."""
        try:
            self._waiting.put(None, timeout=limit)
        except queue.Full:
            return
        self._thread.join(limit)

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            events = [self._waiting.get()]
            while len(events) < _AT_ONCE and not self._waiting.empty():
                events.append(self._waiting.get_nowait())
            is_last = None in events
            self._write([it for it in events if it is not None])

    def _write(self, events: list[Event]) -> None:
        problem = ""
        try:
            with closing(self._open()) as database:
                with database:
                    database.executemany(INSERT, [row_of(it) for it in events])
                _prune(database, self._bounds)
        except (sqlite3.Error, OSError, UnsafePath) as error:
            self._lost += len(events)
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            problem = f"{self._folder / FILE_NAME}: the history cannot be written ({why}); what happens is not kept"
        if not problem and self._lost:
            missing = "1 event is" if self._lost == 1 else f"{self._lost} events are"
            problem = f"{missing} missing in the history, for it could not be written"
            self._lost = 0
        if problem != self._problem:
            self._problem = problem
            self._tell(problem)

    def _open(self) -> sqlite3.Connection:
        """The file, ready to be written: what cannot be read, or is of another liveso, is put aside and begun anew."""
        file = self._folder / FILE_NAME
        with open_folder(self._folder, HISTORY_CURE, make=True) as folder:
            os.close(folder.open_own(FILE_NAME, os.O_RDWR))
        try:
            return _ready(file)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, full: the file is none the worse
        except _Foreign:
            pass
        aside = file.with_name(f"{FILE_NAME}.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
        file.rename(aside)
        with open_folder(self._folder, HISTORY_CURE) as folder:
            os.close(folder.open_own(FILE_NAME, os.O_RDWR))
        return _ready(file)


class _Foreign(Exception):
    """The file has another format."""


def _ready(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_PATIENCE)
    try:
        # a journal that works on any file system; what was committed survives the process, and a crash of the system
        database.execute("PRAGMA journal_mode = TRUNCATE")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(CREATE)
        elif version != VERSION:
            raise _Foreign
        return database
    except BaseException:
        database.close()
        raise


def _prune(database: sqlite3.Connection, bounds: Bounds) -> None:
    """Let go of the oldest. The file does not shrink, but what is free in it is used again."""
    with database:
        database.execute("DELETE FROM events WHERE time < ?", (time.time() - bounds.days * _DAY,))
        while _used(database) > bounds.size:
            (count,) = database.execute("SELECT count(*) FROM events").fetchone()
            if count <= 1:
                return
            most = max(1, count // _SHARE)
            database.execute(
                "DELETE FROM events WHERE number IN (SELECT number FROM events ORDER BY number LIMIT ?)", (most,)
            )


def _used(database: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    return sum(
        sign * database.execute(f"PRAGMA {name}").fetchone()[0] * database.execute("PRAGMA page_size").fetchone()[0]
        for sign, name in ((1, "page_count"), (-1, "freelist_count"))
    )
