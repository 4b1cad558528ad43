"""Processes grouped by what is restarted together, and the sentence that an operator reads first."""

from typing import Any

import pytest

from liveso.client.answer import read_status
from liveso.client.claims import Claim
from liveso.services import overview
from liveso.services.by_service import Service, services
from liveso.services.needs import Need, Seen, needs, titles_by_standing
from liveso.services.standing import Standing, headline, sentence
from tests.made_up import library, status, target


def grouped(*targets: dict[str, Any]) -> list[Service]:
    return services(read_status(status(*targets)).targets)


def said(*targets: dict[str, Any]) -> str:
    return sentence([it.standing for it in grouped(*targets)])


def test_a_unit_a_container_a_session_and_a_command_are_services() -> None:
    found = grouped(
        target(1, "nginx.service"),
        target(2, "nginx.service"),
        target(3, "", container="web", units=["docker-0123456789ab.scope"]),
        target(4, "", units=["user.slice", "user-0.slice", "session-3.scope"]),
        target(5, "", command="/usr/bin/redis-server *:6379"),
        target(6, "", command="/usr/local/bin/redis-server *:6380"),
    )
    assert {it.name: [target.pid for target in it.targets] for it in found} == {
        "nginx.service": [1, 2],
        "container 0123456789ab": [3],
        "session-3.scope of root": [4],
        "redis-server of root": [5, 6],
    }
    assert len({it.key for it in found}) == 4


def test_the_same_command_of_two_users_is_two_services() -> None:
    found = grouped(target(1, "", command="sh"), target(2, "", command="sh", user=65534))
    assert sorted(it.name for it in found) == ["sh of nobody", "sh of root"]


def test_what_asks_for_attention_comes_first() -> None:
    found = grouped(
        target(1, "a.service", library("x.so")),
        target(2, "b.service", library("x.so", "updated")),
        target(3, "c.service", library("x.so", "updated", stale_functions=["f"])),
        target(4, "d.service", library("x.so", "refused")),
        target(5, "e.service", library("x.so", "waiting")),
    )
    assert [it.name[0] for it in found] == ["d", "e", "c", "b", "a"]


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ([], "No process is kept up to date here."),
        (["current"], "The only service runs what is on disk."),
        (["current", "updated"], "All 2 services run what is on disk."),
        (["current", "rolled back"], "All 2 services run what is on disk or what a person chose."),
        (["refused", "current", "failed"], "2 of 3 services need a restart."),
        (["refused", "waiting", "held back"], "1 of 3 services needs a restart. 1 waits for a person. 1 is held back."),
        (["rolled back"], "The only service runs what is on disk or what a person chose."),
        (["refused"], "The only service needs a restart."),
        (["waiting", "current"], "1 of 2 services waits for a person."),
        (["a word of a later daemon", "current"], "1 of 2 services needs a restart."),
    ],
)
def test_the_sentence_counts_each_service_once(results: list[str], sentence: str) -> None:
    found = [target(it, f"{it}.service", library("x.so", result)) for it, result in enumerate(results)]
    assert said(*found) == sentence


def test_old_code_that_is_left_needs_a_restart_and_what_is_not_served_is_said() -> None:
    stale = target(1, "a.service", library("x.so", "updated", stale_functions=["f"]))
    unserved = target(2, "b.service", note="it runs under valgrind")
    assert said(stale, unserved) == "1 of 2 services needs a restart. 1 is not served."
    assert not any(it.standing.is_clear for it in grouped(stale, unserved))


MIXED = [
    target(1, "a.service", library("x.so", "refused"), library("y.so", "waiting")),
    target(2, "b.service", library("x.so", "updated", stale_functions=["f"])),
    target(3, "c.service", library("x.so", "waiting"), library("y.so", "held back")),
    target(4, "d.service", library("x.so", "held back")),
    target(5, "e.service", note="it runs under valgrind"),
    target(6, "f.service", library("x.so", "rolled back")),
    target(7, "g.service", library("x.so", "updated")),
    target(8, "h.service", library("x.so", "a word of a later daemon")),
]


def needed(*targets: dict[str, Any]) -> list[Need]:
    """What `restart-needed` finds where processes have mapped what their daemon says."""
    known = read_status(status(*targets)).targets
    places = {it.targets[0].pid: it.place for it in services(known)}
    seen = [Seen(it.pid, it.command, 0, places[it.pid], tuple(overview.said_of(it))) for it in known]
    return needs(seen, {}, 0)


def test_all_that_show_services_judge_them_alike() -> None:
    """`top` and the page, `status`, and `restart-needed`."""
    targets = read_status(status(*MIXED)).targets
    shown = {it.name: it.standing for it in services(targets)}
    assert shown == {it.title: it.standing for it in overview.services(map(Claim, targets), {})}
    assert list(shown.values()).count(Standing.RESTART) == 3
    assert [it.name for it in services(targets)] == [it.title for it in overview.services(map(Claim, targets), {})]
    listed = {it.place.name: it.standing for it in needed(*MIXED)}
    assert listed == {name: it for name, it in shown.items() if not it.is_clear and it is not Standing.UNSERVED}


def test_the_line_says_what_the_sentence_says_with_names() -> None:
    assert said(*MIXED) == ("3 of 8 services need a restart. 1 waits for a person. 1 is held back. 1 is not served.")
    assert headline(titles_by_standing(needed(*MIXED)), 8) == (
        "3 of 8 services need a restart: a.service, b.service, h.service; 1 waits for a person: c.service; "
        "1 is held back: d.service"
    )
    assert headline({Standing.WAITING: ["c"]}, 1) == "1 of 1 service waits for a person: c"
    assert headline({}, 2, is_chosen=True) == "all 2 services run what is on disk or what a person chose"
