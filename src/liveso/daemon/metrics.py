"""Figures for Prometheus: what happened, and what is. A process ID is never a label; library names are bounded."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as Total
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from liveso import __version__
from liveso.daemon.state import ServedTarget, is_in_force
from liveso.history import Event, Kind

_MOST_LIBRARIES = 500  # whose names are labels: users choose names, and each costs memory for good
_OTHER = "other"
_RESULTS = frozenset(
    {Kind.UPDATED, Kind.ROLLED_BACK, Kind.REFUSED, Kind.HELD_BACK, Kind.WAITING, Kind.FAILED, Kind.CRASHED}
)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


class Metrics:
    """Counts events, and describes `targets` when it is asked."""

    def __init__(self, targets: Mapping[int, ServedTarget]) -> None:
        self._registry = CollectorRegistry()
        self._libraries: set[str] = set()
        self._results = Total(
            "liveso_updates", "Results of updates in processes.", ("library", "result"), registry=self._registry
        )
        self._steps = Histogram(
            "liveso_update_step_seconds",
            "How long each step of an update took.",
            ("step",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Present(targets))

    def note(self, event: Event) -> None:
        if event.kind in _RESULTS:
            self._results.labels(self._label(event.library), event.kind).inc()
        for step, milliseconds in event.steps.items():
            self._steps.labels(step).observe(milliseconds / 1000)

    def answer(self, accept: str) -> Response:
        """In OpenMetrics where that is asked for, else in Prometheus's own format."""
        encode, kind = choose_encoder(accept)
        return Response(encode(self._registry), media_type=kind)

    def _label(self, path: str) -> str:
        name = os.path.basename(path)
        if name not in self._libraries and len(self._libraries) >= _MOST_LIBRARIES:
            return _OTHER
        self._libraries.add(name)
        return name.encode(errors="backslashreplace").decode()


class _Present(Collector):
    """What is, at the moment that it is asked for."""

    def __init__(self, targets: Mapping[int, ServedTarget]) -> None:
        self._targets = targets

    def collect(self) -> Iterator[Metric]:
        targets = list(self._targets.values())
        libraries = [it for served in targets for it in served.libraries.values()]
        outdated = [it for it in libraries if not is_in_force(it)]
        yield InfoMetricFamily("liveso", "The daemon.", {"version": __version__})
        yield _counted("liveso_targets", "Processes that are served.", "mode", (it.mode for it in targets))
        yield _counted("liveso_libraries", "Libraries in processes.", "result", (it.result for it in libraries))
        yield GaugeMetricFamily(
            "liveso_services",
            "Units, containers and commands that are served.",
            len({it.place for it in targets}),
        )
        needing = {it.place for it in targets if not all(map(is_in_force, it.libraries.values()))}
        yield GaugeMetricFamily("liveso_services_needing_restart", "Those of them that run old code.", len(needing))
        yield GaugeMetricFamily(
            "liveso_oldest_version_seconds",
            "Since when some process runs a version that was to be replaced; 0 where none does.",
            max((time.time() - it.changed for it in outdated), default=0.0),
        )


def _counted(name: str, text: str, label: str, values: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in sorted(Counter(values).items()):
        family.add_metric((value,), count)
    return family
