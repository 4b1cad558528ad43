"""What happened, in SQLite: it survives the daemon, and is read without one."""

from liveso.history.event import ACTS, TROUBLE, Event, Kind, plain
from liveso.history.reading import FILE_NAME, Wanted, read_events
from liveso.history.writing import Bounds, History

__all__ = [
    "ACTS",
    "FILE_NAME",
    "NO_STEPS",
    "TROUBLE",
    "Bounds",
    "Event",
    "History",
    "Kind",
    "Wanted",
    "plain",
    "read_events",
]
