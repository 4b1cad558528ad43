"""Real apt, with the hooks that the package brings, upgrades a library that a process uses."""

import os
from collections.abc import Iterator

import pytest

from tests.apt_system import HOOKS, System, apt_system
from tests.harness import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and have apt install")


@pytest.fixture
def system(idle_bench: Bench) -> Iterator[System]:
    with apt_system(idle_bench) as system:
        system.root.write("etc/apt/apt.conf.d/50liveso", HOOKS.read_text())
        yield system


def said(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("liveso:")]


def test_apt_says_what_is_in_force_and_what_is_not(system: System) -> None:
    system.start_daemon()
    program = system.start_program()
    system.says(program, 1)
    code, answer = system.cves()
    assert (code, answer["packages"], [it["libraries"] for it in answer["processes"]]) == (0, [], [[]])

    system.offer(2)
    output = system.root.apt("install", "libprobe1").stdout
    system.says(program, 2)
    assert said(output) == [
        "liveso: libprobe1 1.0-1 → 1.0-2 in force: program (1 process)   CVE-2026-0001, CVE-2026-0002"
    ], output
    code, answer = system.cves()
    assert code == 0
    assert [(it["state"], it["from"], it["to"], it["cves"]) for it in answer["packages"]] == [
        ("fixed", "1.0-1", "1.0-2", ["CVE-2026-0001", "CVE-2026-0002"])
    ]

    system.offer(3)
    output = system.root.apt("install", "libprobe1").stdout
    system.says(program, 2)
    (line,) = said(output)
    assert line.startswith("liveso: libprobe1 1.0-2 → 1.0-3 not in force: program (1 process): "), output
    assert line.endswith("; end and start program again"), line
    code, answer = system.cves()
    assert code == 1
    assert [(it["state"], it["from"], it["to"], it["cves"]) for it in answer["packages"]] == [
        ("missing", "1.0-2", "1.0-3", ["CVE-2026-0003"]),
        ("fixed", "1.0-1", "1.0-2", ["CVE-2026-0001", "CVE-2026-0002"]),
    ]

    assert said(system.root.apt("install", "--reinstall", "libprobe1").stdout) == []  # nothing happened


def test_the_verdict_is_there_before_the_file_is(system: System) -> None:
    daemon = system.start_daemon()
    program = system.start_program()
    system.offer(2)
    system.root.apt("install", "libprobe1")
    system.says(program, 2)
    events = [line for line in daemon.error_lines if "libprobe" in line or "event=unpacked" in line]
    order = [next(n for n, line in enumerate(events) if it in line) for it in ("judged-before", "event=updated")]
    assert order == sorted(order), events
    assert sum("judged-before" in line for line in events) == 1, events
    assert any("lock-frontend" in line for line in events), events  # apt held it all the while, and still does


def test_apt_goes_on_and_says_nothing_without_a_daemon_or_with_half_of_liveso(system: System) -> None:
    system.offer(2)
    for number, broken in enumerate(
        ("", "#!/bin/sh\nexit 3\n", "#!/nowhere\n", "#!/usr/bin/python3\nimport liveso.gone\n")
    ):
        if broken:
            system.root.run("rm", "/usr/bin/liveso")
            system.root.write("usr/bin/liveso", broken)
            system.root.run("chmod", "+x", "/usr/bin/liveso")
        output = system.root.apt("install", f"libprobe1=1.0-{2 - number % 2}").stdout
        assert "liveso" not in output.replace("liveso-probe", ""), output
    system.root.run("rm", "/usr/bin/liveso")
    assert "liveso" not in system.root.apt("install", "libprobe1=1.0-2").stdout


def test_a_daemon_that_hangs_holds_apt_up_for_a_limited_time(system: System) -> None:
    daemon = system.start_daemon()
    program = system.start_program()
    system.offer(2)
    system.signal_daemon("STOP")
    output = system.root.apt("install", "libprobe1").stdout
    assert said(output) == [], output
    system.signal_daemon("CONT")
    daemon.wait_for_error("event=updated")
    system.says(program, 2)
