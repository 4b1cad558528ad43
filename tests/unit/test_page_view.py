"""What the page shows, and what of it is sent when something changes."""

from typing import Any

from liveso.client.answer import read_status
from liveso.history import Event, Kind
from liveso.page.feed import told_of
from liveso.page.timeline import entries
from liveso.page.view import cell, difference, view
from liveso.services.acts import find_cell
from tests.made_up import NEW, OLD, library, status, target


def seen(*targets: dict[str, Any]) -> dict[str, Any]:
    return view(read_status(status(*targets)))


def test_a_cell_is_the_result_that_asks_most_with_its_count() -> None:
    found = seen(
        target(1, "a.service", library("x.so", "updated"), library("y.so")),
        target(2, "a.service", library("x.so", "refused")),
        target(3, "a.service", library("x.so", "updated")),
    )
    (row,) = found["services"].values()
    assert row["cells"] == {"x.so": ["refused", 1, 3], "y.so": ["current", 1, 1]}
    assert row["processes"] == 3


def test_an_opened_cell_puts_together_processes_of_which_the_same_is_to_be_said() -> None:
    known = read_status(
        status(
            target(1, "a.service", library("x.so", "refused", reason="r", details=["r", "s"], refused_version=NEW)),
            target(2, "a.service", library("x.so")),
            target(3, "a.service", library("x.so", "refused", reason="r", details=["r", "s"], refused_version=NEW)),
            target(4, "b.service", library("x.so")),
        )
    )
    key = next(it for it in view(known)["services"] if "a.service" in it)
    first, second = cell(find_cell(known, key, "x.so"))
    assert (first["word"], first["count"], first["details"], first["refused_version"]) == (
        "refused",
        2,
        ["r", "s"],
        NEW,
    )
    assert [it["pid"] for it in first["processes"]] == [1, 3]
    assert (second["word"], second["version"]) == ("current", OLD)
    assert find_cell(known, key, "z.so") == find_cell(known, "?", "x.so") == []


def test_only_what_has_changed_is_sent() -> None:
    before = seen(target(1, "a.service", library("x.so")), target(2, "b.service", library("x.so")))
    after = seen(target(1, "a.service", library("x.so", "updated")), target(3, "c.service", library("x.so")))
    told = difference(before, after)
    assert [it["name"] for it in told["services"].values()] == ["a.service", "c.service"]
    assert [key.partition("b.")[2] for key in told["gone"]] == ["service"]
    assert "head" not in told  # two services, and all of them clear
    assert difference(after, after) == {}
    assert difference(None, after)["is_all"]


def test_after_a_daemon_has_gone_all_is_sent_anew_and_the_past_is_kept() -> None:
    here: dict[str, Any] = {"view": seen(target(1, "a.service")), "error": "", "past": [{"number": 1}]}
    gone = {"view": None, "error": "no daemon answers", "past": [{"number": 1}]}
    assert told_of(here, {})["past"] == [{"number": 1}]
    assert told_of(gone, here) == {"error": "no daemon answers"}
    assert told_of(gone, gone) == {}
    assert told_of(here, gone) == {**here["view"], "is_all": True}
    grown = {**here, "past": [{"number": 1, "processes": 2}, {"number": 2}]}
    assert told_of(grown, here) == {"past": grown["past"]}


def test_the_time_line_has_what_happened_to_libraries_with_how_long_threads_were_held() -> None:
    of_a: dict[str, Any] = {
        "library": "/lib/x.so",
        "units": ("a.service",),
        "before": OLD,
        "after": NEW,
        "after_build_id": "cafe",
    }
    events = [
        Event(Kind.STARTED, 1.0, number=1),
        Event(Kind.UPDATED, 2.0, pids=(7,), milliseconds=12.34, steps={"still": 0.57, "open": 9.0}, number=2, **of_a),
        Event(Kind.UPDATED, 2.5, pids=(8,), milliseconds=8.0, number=3, **of_a),
        Event(Kind.ROLLBACK, 9.0, library="/lib/x.so", by="root", number=4),
    ]
    first, second = entries(events)
    assert (first["kind"], first["library"], first["service"], first["processes"]) == (
        "updated",
        "x.so",
        "a.service",
        2,
    )
    assert (first["milliseconds"], first["still"], first["before"], first["after"]) == (12.3, 0.6, OLD[:12], "cafe")
    assert (second["kind"], second["by"]) == ("rollback", "root")
