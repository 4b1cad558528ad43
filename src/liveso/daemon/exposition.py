"""The figures as Prometheus reads them."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from liveso import __version__
from liveso.daemon.metrics import BOUNDS, Metrics
from liveso.daemon.state import is_in_force

_BOUNDS = [str(it).replace("inf", "+Inf") for it in (*BOUNDS, float("inf"))]


def exposed(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The text, and its type: OpenMetrics where that is asked for, else Prometheus's own format."""
    encode, kind = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Figures(metrics))
    return encode(registry), kind


class _Figures(Collector):
    """What happened, and what is at the moment that it is asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        results = CounterMetricFamily(
            "liveso_updates", "Results of updates in processes.", labels=("library", "result")
        )
        for labels, total in self._metrics.results.items():
            results.add_metric(labels, total.count, created=total.since)
        yield results
        name = "liveso_update_step_seconds"
        steps = HistogramMetricFamily(name, "How long each step of an update took.", labels=("step",))
        for step, it in self._metrics.steps.items():
            steps.add_metric((step,), list(zip(_BOUNDS, accumulate(it.counts), strict=True)), it.sum)
            steps.add_sample(f"{name}_created", {"step": step}, it.since)
        yield steps
        targets = list(self._metrics.targets.values())
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
