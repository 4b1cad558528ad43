"""Processes grouped by what is restarted together, and the sentence that an operator reads first."""

from typing import Any

import pytest

from liveso.client.answer import read_status
from liveso.services.by_service import Service, answer_first, services
from tests.made_up import library, status, target


def grouped(*targets: dict[str, Any]) -> list[Service]:
    return services(read_status(status(*targets)).targets)


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
    assert answer_first(grouped(*found)) == sentence


def test_old_code_that_is_left_needs_a_restart_and_what_is_not_served_is_said() -> None:
    stale = target(1, "a.service", library("x.so", "updated", stale_functions=["f"]))
    unserved = target(2, "b.service", note="it runs under valgrind")
    assert answer_first(grouped(stale, unserved)) == "1 of 2 services needs a restart. 1 is not served."
    assert not any(it.is_clear for it in grouped(stale, unserved))
