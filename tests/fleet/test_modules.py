"""The modules by themselves: check mode, diff, what is `changed`, and what they say where something is missing."""

import os
from typing import Any

import pytest

from tests.fleet.conftest import Fleet
from tests.fleet.repository import PACKAGE, SONAME
from tests.harness import wait_until

pytestmark = [
    pytest.mark.skipif("LIVESO_FLEET" not in os.environ, reason="make test-fleet"),
    pytest.mark.timeout(1800),
]


def facts_of(fleet: Fleet, name: str, **options: Any) -> dict[str, Any]:
    answer = fleet.ansible.module(name, "liveso_facts", **options)
    assert not answer["failed"], answer
    return dict(answer["ansible_facts"]["liveso"])


def test_a_rollout_says_by_service_what_went_in_and_changes_nothing_twice(fleet: Fleet) -> None:
    level, said = fleet.level(), fleet.repository.publish()
    old, new = level.split()[1], said.split()[1]
    options = {"packages": [PACKAGE], "update_cache": True, "timeout": 120}
    foreseen = fleet.ansible.module("m1", "liveso_rollout", "--check", "--diff", **options)
    assert foreseen["changed"] and foreseen["packages"] == [{"name": PACKAGE, "before": old, "after": new}]
    (verdict,) = foreseen["verdicts"]
    assert (verdict["verdict"], verdict["library"], verdict["services"]) == ("applies", SONAME, ["greeter.service"])
    assert fleet.says("m1") == level
    done = fleet.ansible.module("m1", "liveso_rollout", **options)
    assert done["changed"] and done["packages"] == foreseen["packages"] and not done["refused"]
    (line,) = done["results"]
    assert (line["service"], line["result"], line["in_force"]) == ("greeter.service", "updated", True)
    assert [it["library"] for it in done["undo"]] == [line["library"]] and fleet.says("m1") == said
    again = fleet.ansible.module("m1", "liveso_rollout", **options)
    assert not again["changed"] and again["packages"] == [] and again["undo"] == []


def test_a_rollout_fails_where_more_is_refused_than_is_allowed(fleet: Fleet) -> None:
    fleet.level()
    fleet.machines["m3"].run("systemctl start oldster")
    try:
        wait_until(lambda: "oldster" in fleet.machines["m3"].run("liveso status --json"), "oldster is served")
        fleet.repository.publish("WITHOUT_OLD")
        options = {"packages": [PACKAGE], "update_cache": True, "timeout": 120}
        foreseen = fleet.ansible.module("m3", "liveso_rollout", "--check", **options)
        assert [it["verdict"] for it in foreseen["verdicts"]] == ["depends on the process"]
        done = fleet.ansible.module("m3", "liveso_rollout", **options)
        assert done["failed"] and done["changed"]
        assert done["msg"].startswith(f"{SONAME}: refused in oldster.service: ")
        assert [it["service"] for it in done["refused"]] == ["oldster.service"]
        # nothing is upgraded any more, and what is refused still is
        again = fleet.ansible.module("m3", "liveso_rollout", **options)
        assert again["failed"] and not again["changed"]
        allowed = fleet.ansible.module("m3", "liveso_rollout", **options, refusals_allowed=1)
        assert not allowed["failed"] and not allowed["changed"]
    finally:
        fleet.machines["m3"].run("systemctl stop oldster")


def test_rolled_back_and_resumed_are_states(fleet: Fleet) -> None:
    before, said = fleet.level(), fleet.level()
    back = {"library": SONAME}
    assert fleet.ansible.module("m1", "liveso_rollback", "--check", **back)["changed"]
    assert fleet.says("m1") == said
    assert fleet.ansible.module("m1", "liveso_rollback", **back)["changed"]
    assert fleet.says("m1") == before
    for flags in ([], ["--check"]):
        assert not fleet.ansible.module("m1", "liveso_rollback", *flags, **back)["changed"]
    assert fleet.says("m1") == before
    forward = {**back, "state": "resumed"}
    assert fleet.ansible.module("m1", "liveso_rollback", "--check", **forward)["changed"]
    assert fleet.says("m1") == before
    assert fleet.ansible.module("m1", "liveso_rollback", **forward)["changed"]
    assert fleet.says("m1") == said
    assert not fleet.ansible.module("m1", "liveso_rollback", **forward)["changed"]
    unknown = fleet.ansible.module("m1", "liveso_rollback", library="libnobody.so.1")
    assert unknown["failed"] and "libnobody.so.1: no process that is served has it" in unknown["msg"]
    wrong = fleet.ansible.module("m1", "liveso_rollback", **back, version="abcdef0123")
    assert wrong["failed"] and not wrong["changed"]


def test_services_that_run_old_code_are_restarted(fleet: Fleet) -> None:
    fleet.level()
    machine = fleet.machines["m4"]
    machine.run("systemctl start oldster")
    try:
        wait_until(lambda: "oldster" in machine.run("liveso status --json"), "oldster is served")
        fleet.repository.publish("WITHOUT_OLD")
        options = {"packages": [PACKAGE], "update_cache": True, "timeout": 120, "refusals_allowed": -1}
        fleet.ansible.module("m4", "liveso_rollout", **options)
        facts = facts_of(fleet, "m4")
        assert [it["name"] for it in facts["restarts"]] == ["oldster.service"]
        before = fleet.pid("m4", "oldster"), fleet.pid("m4")
        foreseen = fleet.ansible.module("m4", "liveso_restart", "--check")
        assert foreseen["changed"] and foreseen["restarted"] == ["oldster.service"]
        assert (fleet.pid("m4", "oldster"), fleet.pid("m4")) == before
        # it needs a function that is gone: with the new library it cannot start
        done = fleet.ansible.module("m4", "liveso_restart")
        assert done["failed"] and done["changed"] and "oldster.service" in done["msg"]
        fleet.level()
        machine.run("systemctl reset-failed oldster; systemctl restart oldster greeter")
        none = fleet.ansible.module("m4", "liveso_restart")
        assert not none["changed"] and none["restarted"] == []
    finally:
        machine.run("systemctl stop oldster; systemctl reset-failed oldster || true")


def test_without_a_daemon_each_module_says_so_and_nothing_is_upgraded(fleet: Fleet) -> None:
    level = fleet.level()
    fleet.repository.publish()
    machine = fleet.machines["m2"]
    machine.run("systemctl stop liveso")
    try:
        facts = facts_of(fleet, "m2")
        assert not facts["answers"] and "no daemon of liveso answers on this machine" in facts["problems"][0]
        asked: dict[str, dict[str, Any]] = {
            "liveso_rollout": {"packages": [PACKAGE], "update_cache": True},
            "liveso_rollback": {"library": SONAME},
            "liveso_quiet": {"seconds": 1},
        }
        for name, options in asked.items():
            done = fleet.ansible.module("m2", name, **options)
            assert done["failed"] and not done["changed"]
            assert "no daemon of liveso answers on this machine; `systemctl start liveso`" in done["msg"]
        assert machine.run(f"dpkg-query -W -f '${{Version}}' {PACKAGE}") == level.split()[1]
    finally:
        machine.run("systemctl start liveso")
        wait_until(lambda: SONAME in machine.attempt("liveso status").stdout, "it serves again")


def test_without_liveso_and_with_what_is_no_liveso_there_is_a_sentence(fleet: Fleet) -> None:
    facts = facts_of(fleet, "m2", executable="liveso-none")
    assert "there is no `liveso-none` on this machine" in facts["problems"][0]
    for executable in ("/bin/true", "/bin/false", "/bin/ls"):
        done = fleet.ansible.module("m2", "liveso_rollback", executable=executable, library=SONAME)
        assert done["failed"] and done["msg"]


def test_what_is_no_package_is_named(fleet: Fleet) -> None:
    done = fleet.ansible.module("m1", "liveso_rollout", packages=[PACKAGE, "libnobody1"])
    assert done["failed"] and done["msg"].startswith("libnobody1: not installed on this machine")
