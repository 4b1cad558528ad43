"""The playbook by canary, over ssh, on four machines: to the end, and to the first trouble."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from tests.fleet.machines import free_port
from tests.fleet.repository import PACKAGE
from tests.harness import wait_until

pytestmark = [
    pytest.mark.skipif("LIVESO_FLEET" not in os.environ, reason="make test-fleet"),
    pytest.mark.timeout(1800),
]
_PLAYBOOK = "liveso.liveso.canary"
_COMMON = {"liveso_fleet_packages": [PACKAGE], "liveso_fleet_quiet": 2, "liveso_fleet_checks": ["test -s /run/greeter"]}


def test_all_machines_get_the_update_and_no_process_ends(fleet: Fleet) -> None:
    fleet.level()
    before = {it: fleet.pid(it) for it in fleet.machines}
    said = fleet.repository.publish()
    done = fleet.ansible.playbook(_PLAYBOOK, **_COMMON, liveso_fleet_batches=[1, 2])
    assert done.returncode == 0, done.stdout
    assert {it: fleet.says(it) for it in fleet.machines} == dict.fromkeys(fleet.machines, said)
    assert {it: fleet.pid(it) for it in fleet.machines} == before


def test_a_refusal_on_one_canary_takes_both_back_and_stops_before_the_rest(fleet: Fleet) -> None:
    level = fleet.level()
    fleet.machines["m2"].run("systemctl start oldster")
    try:
        wait_until(lambda: "oldster" in fleet.machines["m2"].run("liveso status --json"), "oldster is served")
        fleet.repository.publish("WITHOUT_OLD")
        done = fleet.ansible.playbook(_PLAYBOOK, **_COMMON, liveso_fleet_canaries="m1:m2")
        assert done.returncode != 0
        assert "m2: libgreeting.so.1: refused in oldster.service: " in done.stdout
        assert "m1: libgreeting.so.1 was taken back. m2: libgreeting.so.1 was taken back." in done.stdout
        assert "The rollout stopped; not touched: m3, m4." in done.stdout
        assert {it: fleet.says(it) for it in fleet.machines} == dict.fromkeys(fleet.machines, level)
        old, new = level.split()[1], f"{float(level.split()[1]) + 1}"
        versions = {it: m.run(f"dpkg-query -W -f '${{Version}}' {PACKAGE}") for it, m in fleet.machines.items()}
        assert versions == {"m1": new, "m2": new, "m3": old, "m4": old}
    finally:
        fleet.machines["m2"].run("systemctl stop oldster")


def test_a_crash_behind_the_canary_stops_the_rest_and_the_canary_keeps_the_update(fleet: Fleet) -> None:
    level = fleet.level()
    fleet.machines["m2"].run("touch /etc/crashes")
    try:
        said = fleet.repository.publish("CRASHES")
        done = fleet.ansible.playbook(_PLAYBOOK, **_COMMON, liveso_fleet_canaries="m1", liveso_fleet_batches=[1])
        assert done.returncode != 0
        assert "The rollout stopped; not touched: m3, m4." in done.stdout
        # who sees it first: systemd, liveso while the process ends, or by its history
        assert re.search(r"m2: (libgreeting\.so\.1: [a-z ]*)?greeter\.service", done.stdout), done.stdout
        assert [fleet.says(it) for it in ("m1", "m3", "m4")] == [said, level, level]
    finally:
        fleet.machines["m2"].run("rm /etc/crashes && systemctl reset-failed greeter; systemctl restart greeter")


def test_a_service_that_does_not_answer_after_the_update_is_taken_back(fleet: Fleet) -> None:
    level = fleet.level()
    said = fleet.repository.publish()
    checks = [f"grep -q '{level}' /run/greeter"]
    options = {**_COMMON, "liveso_fleet_checks": checks}
    done = fleet.ansible.playbook(_PLAYBOOK, **options)
    assert done.returncode != 0
    assert "m1: `grep -q 'version " in done.stdout and "not touched: m2, m3, m4." in done.stdout, done.stdout
    assert {it: fleet.says(it) for it in fleet.machines} == dict.fromkeys(fleet.machines, level)
    # a process that starts meanwhile goes back as well
    fleet.machines["m1"].run("systemctl restart greeter")
    assert said != level
    wait_until(lambda: fleet.says("m1") == level, "the process that was started goes back")


def test_a_canary_that_cannot_be_reached_is_trouble(fleet: Fleet, tmp_path: Path) -> None:
    level = fleet.level()
    fleet.repository.publish()
    gone = tmp_path / "gone.json"
    gone.write_text(json.dumps({"all": {"hosts": {"m2": {"ansible_port": free_port()}}}}))
    done = fleet.ansible.playbook(_PLAYBOOK, "-i", str(gone), **_COMMON, liveso_fleet_canaries="m1:m2")
    assert done.returncode != 0
    taken_back = "m1: libgreeting.so.1 was taken back. The rollout stopped; not touched: m3, m4."
    assert f"Connection refused. {taken_back}" in done.stdout, done.stdout
    assert {it: fleet.says(it) for it in fleet.machines} == dict.fromkeys(fleet.machines, level)


def test_in_check_mode_nothing_is_touched(fleet: Fleet) -> None:
    level = fleet.level()
    fleet.repository.publish()
    done = fleet.ansible.playbook(_PLAYBOOK, "--check", "--diff", **_COMMON)
    assert done.returncode == 0, done.stdout
    assert f"-{PACKAGE} {level.split()[1]}" in done.stdout
    assert {it: fleet.says(it) for it in fleet.machines} == dict.fromkeys(fleet.machines, level)
