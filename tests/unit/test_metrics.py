"""What Prometheus is told."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from liveso.daemon.metrics import Metrics
from liveso.daemon.state import Result
from liveso.history import Event, Kind
from liveso.places import place_of

_EVENT = Event(Kind.UPDATED, 1000.0, library="/lib/libz.so.1", pids=(4711,), steps={"open": 20.0, "redirect": 3.0})


def values(metrics: Metrics, accept: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = metrics.answer(accept)
    read = read_openmetrics if "openmetrics" in answer.media_type else read_text  # type: ignore[operator]
    families = read(bytes(answer.body).decode())
    return {(it.name, frozenset(it.labels.items())): it.value for family in families for it in family.samples}


def library(result: Result, changed: float = 0.0, stale: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(result=result, changed=changed, stale=stale, inside=(), is_as_wanted=True)


def target(unit: str, *libraries: Any, command: str = "x", mode: str = "visited") -> Any:
    place = place_of((unit,) if unit else (), "", 0, command)
    return SimpleNamespace(mode=mode, place=place, libraries=dict(enumerate(libraries)))


@pytest.mark.parametrize("accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0"])
def test_events_are_counted_by_library_and_result_and_steps_are_seconds(accept: str) -> None:
    metrics = Metrics({})
    metrics.note(_EVENT)
    metrics.note(_EVENT)
    metrics.note(replace(_EVENT, kind=Kind.REFUSED, steps={}))
    metrics.note(replace(_EVENT, kind=Kind.ALLOWED, steps={}))  # no result
    found = values(metrics, accept)
    assert found["liveso_updates_total", frozenset({("library", "libz.so.1"), ("result", "updated")})] == 2
    assert found["liveso_updates_total", frozenset({("library", "libz.so.1"), ("result", "refused")})] == 1
    assert found["liveso_update_step_seconds_sum", frozenset({("step", "open")})] == pytest.approx(0.04)
    assert found["liveso_update_step_seconds_count", frozenset({("step", "redirect")})] == 2
    assert not any("4711" in value for _name, labels in found for _label, value in labels)


def test_what_is_now_is_said_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 2000.0)
    targets: dict[int, Any] = {}
    metrics = Metrics(targets)
    assert values(metrics)["liveso_services", frozenset()] == 0
    targets |= {
        1: target("web.service", library(Result.UPDATED), library(Result.REFUSED, 1500.0)),
        2: target("web.service", library(Result.CURRENT)),
        3: target("db.service", library(Result.UPDATED, 1900.0, stale=("f",)), mode="resident"),
        4: target("", library(Result.ROLLED_BACK), command="/usr/bin/game -x"),
    }
    found = values(metrics)
    assert found["liveso_services", frozenset()] == 3
    assert found["liveso_services_needing_restart", frozenset()] == 2
    assert found["liveso_oldest_version_seconds", frozenset()] == 500
    assert found["liveso_targets", frozenset({("mode", "visited")})] == 3
    assert found["liveso_libraries", frozenset({("result", "refused")})] == 1


def test_names_that_users_choose_do_not_fill_the_memory() -> None:
    metrics = Metrics({})
    for number in range(2000):
        metrics.note(replace(_EVENT, library=f"/home/user/lib{number}\udcff\n.so"))
    libraries = {dict(labels)["library"] for name, labels in values(metrics) if name == "liveso_updates_total"}
    assert len(libraries) == 501
    assert values(metrics)["liveso_updates_total", frozenset({("library", "other"), ("result", "updated")})] == 1500


def test_a_step_is_counted_among_those_that_took_as_long_or_less() -> None:
    metrics = Metrics({})
    for milliseconds in (0.5, 1.0, 1.1, 30_001.0):
        metrics.note(replace(_EVENT, steps={"open": milliseconds}))
    found = values(metrics, "application/openmetrics-text; version=1.0.0")

    def at_most(bound: str) -> float:
        return found["liveso_update_step_seconds_bucket", frozenset({("step", "open"), ("le", bound)})]

    assert (at_most("0.001"), at_most("0.0025"), at_most("30.0"), at_most("+Inf")) == (2, 3, 3, 4)


def test_what_speaks_to_others_is_loaded_when_it_is_asked_for() -> None:
    names = "[it for it in ('prometheus_client', 'urllib.request') if it in sys.modules]"
    line = f"import sys, liveso.daemon.run; print({names})"
    assert subprocess.check_output([sys.executable, "-c", line], text=True) == "[]\n"
