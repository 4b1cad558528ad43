"""What `liveso history` shows of many events: what happened to one library at once is one line."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from liveso.history import Event

_TOGETHER = 60.0  # seconds between two that are one line
_SHOWN = 12  # characters of a version's name


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The same, in `pids` of one service: `first` of them, and the longest time in ms that it took in one. `last` is
    the time (seconds since 1970) of the last."""

    first: Event
    last: float
    pids: tuple[int, ...]
    milliseconds: float

    @property
    def before(self) -> str:
        return (self.first.before_build_id or self.first.before)[:_SHOWN]

    @property
    def after(self) -> str:
        return (self.first.after_build_id or self.first.after)[:_SHOWN]


def occurrences(events: Iterable[Event]) -> list[Occurrence]:
    """The events put together, the oldest first."""
    found: list[Occurrence] = []
    latest: dict[object, int] = {}
    for event in events:
        it = Occurrence(event, event.time, event.pids, event.milliseconds)
        key = (event.kind, event.library, event.before, event.after, event.reason, event.by, event.service)
        number = latest.get(key)
        if number is not None and event.time - found[number].last <= _TOGETHER:
            known = found[number]
            found[number] = replace(
                known,
                last=event.time,
                pids=tuple(dict.fromkeys((*known.pids, *event.pids))),
                milliseconds=max(known.milliseconds, event.milliseconds),
            )
        else:
            latest[key] = len(found)
            found.append(it)
    return found
