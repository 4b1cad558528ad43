"""What happened, in SQLite: it survives the daemon, and is read without one."""

from liveso.history.event import ACTS, Event, plain
from liveso.history.reading import FILE_NAME, Wanted, read_events
from liveso.history.writing import Bounds, History
from liveso.kinds import Kind

__all__ = [
    "ACTS",
    "FILE_NAME",
    "NO_STEPS",
    "Bounds",
    "Event",
    "History",
    "Kind",
    "Wanted",
    "plain",
    "read_events",
]
