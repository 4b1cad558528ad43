"""Figures for Prometheus: what happened is counted here, in plain numbers; what speaks Prometheus's formats is loaded
when somebody asks for them. A process ID is never a label; library names are bounded."""

import os
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import Response

from liveso.daemon.state import ServedTarget
from liveso.history import Event, Kind

_MOST_LIBRARIES = 500  # whose names are labels: users choose names, and each costs memory for good
_OTHER = "other"
_RESULTS = frozenset(
    {Kind.UPDATED, Kind.ROLLED_BACK, Kind.REFUSED, Kind.HELD_BACK, Kind.WAITING, Kind.FAILED, Kind.CRASHED}
)
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


@dataclass(slots=True)
class Total:
    """How often something happened, and since when (seconds since 1970) that is counted."""

    since: float = field(default_factory=time.time)
    count: int = 0


@dataclass(slots=True)
class Durations:
    """How many of something took at most each of BOUNDS and more than the one before, the last one for what took
    longer; and all of them together, in seconds."""

    since: float = field(default_factory=time.time)
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0


class Metrics:
    """Counts events, and describes `targets` when it is asked."""

    def __init__(self, targets: Mapping[int, ServedTarget]) -> None:
        self.targets = targets
        self.results: dict[tuple[str, str], Total] = {}
        """By library and result."""
        self.steps: dict[str, Durations] = {}
        self._libraries: set[str] = set()

    def note(self, event: Event) -> None:
        if event.kind in _RESULTS:
            self.results.setdefault((self._label(event.library), str(event.kind)), Total()).count += 1
        for step, milliseconds in event.steps.items():
            seconds, durations = milliseconds / 1000, self.steps.setdefault(step, Durations())
            durations.counts[bisect_left(BOUNDS, seconds)] += 1
            durations.sum += seconds

    def answer(self, accept: str) -> Response:
        """In OpenMetrics where that is asked for, else in Prometheus's own format."""
        from liveso.daemon.exposition import exposed  # prometheus_client is only for this

        content, kind = exposed(self, accept)
        return Response(content, media_type=kind)

    def _label(self, path: str) -> str:
        name = os.path.basename(path)
        if name not in self._libraries and len(self._libraries) >= _MOST_LIBRARIES:
            return _OTHER
        self._libraries.add(name)
        return name.encode(errors="backslashreplace").decode()
