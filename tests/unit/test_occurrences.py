"""What is one line of `liveso history`."""

from dataclasses import replace

import click
import pytest

from liveso.cli.past import Moment
from liveso.history import Event, Kind
from liveso.services.occurrences import occurrences

_EVENT = Event(
    Kind.UPDATED,
    1000.0,
    library="/lib/libz.so.1",
    pids=(1,),
    command="/usr/sbin/web -x",
    after="c" * 64,
    milliseconds=5,
)


def test_the_same_in_several_processes_of_a_service_is_one_line() -> None:
    others = [replace(_EVENT, time=1000.0 + it, pids=(it + 1,), milliseconds=5 + it) for it in range(1, 4)]
    (found,) = occurrences([_EVENT, *others])
    assert found.pids == (1, 2, 3, 4) and found.milliseconds == 8 and found.first is _EVENT
    assert found.first.service == "web" and found.after == "c" * 12


@pytest.mark.parametrize(
    "other",
    [
        replace(_EVENT, time=1061.0),
        replace(_EVENT, kind=Kind.ROLLED_BACK),
        replace(_EVENT, library="/usr/lib/libz.so.1"),
        replace(_EVENT, before="a" * 64),
        replace(_EVENT, after="a" * 64),
        replace(_EVENT, reason="why"),
        replace(_EVENT, by="alice"),
        replace(_EVENT, units=("web.service",)),
        replace(_EVENT, container="box"),
    ],
)
def test_what_differs_is_a_line_of_its_own(other: Event) -> None:
    assert len(occurrences([_EVENT, other])) == 2


def test_what_goes_on_for_minutes_is_one_line_as_long_as_no_minute_is_without() -> None:
    assert len(occurrences(replace(_EVENT, time=1000.0 + 50 * it) for it in range(10))) == 1


def test_two_libraries_that_change_together_are_two_lines() -> None:
    other = replace(_EVENT, library="/lib/libssl.so.3")
    assert [it.first.library for it in occurrences([_EVENT, other, _EVENT, other])] == [_EVENT.library, other.library]


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("3d", 259200), ("1w", 604800)])
def test_how_long_ago(text: str, ago: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    assert Moment().convert(text, None, None) == 1_800_000_000.0 - ago


def test_a_date_is_one_of_the_local_zone() -> None:
    assert Moment().convert("2026-01-31T12:30+00:00", None, None) == 1769862600.0
    day, hour = Moment().convert("2026-01-31", None, None), Moment().convert("2026-01-31 01:00", None, None)
    assert hour - day == 3600


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3h", "3y", "99999999d", "2026-13-01", "0001-01-01x"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        Moment().convert(text, None, None)
