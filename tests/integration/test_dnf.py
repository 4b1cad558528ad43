"""Real dnf, with liveso's plugin, upgrades a library that a process uses."""

import os
from collections.abc import Iterator

import pytest

from tests.dnf_system import DNF, HOLD, DnfSystem, dnf_system
from tests.harness import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and have dnf install")


@pytest.fixture
def dnf(idle_bench: Bench) -> Iterator[DnfSystem]:
    with dnf_system(idle_bench) as found:
        yield found


def said(output: str) -> list[str]:
    return [line for line in output.splitlines() if "liveso" in line.replace("liveso-probe", "")]


def test_dnf_says_what_is_in_force_and_what_is_not(dnf: DnfSystem) -> None:
    system = dnf.system
    system.start_daemon()
    program = system.start_program()
    system.says(program, 1)

    dnf.offer(2)
    output = dnf.dnf("upgrade")
    system.says(program, 2)
    assert said(output) == ["liveso: libprobe 1.0-1 → 1.0-2 in force: program (1 process)"], output
    code, answer = system.cves()
    (row,) = answer["packages"]
    assert (code, row["package"], row["from"], row["to"], row["cves"]) == (0, "libprobe", "1.0-1", "1.0-2", [])
    assert row["reason"] == "the changelog of libprobe is not there"  # so none is known, and that is said

    dnf.offer(3)
    output = dnf.dnf("upgrade")
    system.says(program, 2)
    (line,) = said(output)
    assert line.startswith("liveso: libprobe 1.0-2 → 1.0-3 not in force: program (1 process): "), output
    assert line.endswith("; end and start program again"), line

    assert said(dnf.dnf("reinstall", "libprobe")) == []  # nothing happened
    assert said(dnf.dnf("upgrade")) == []  # nothing to do
    output = dnf.dnf("remove", "libprobe")
    assert said(output) == [], output
    system.says(program, 2)


def test_the_verdict_is_there_before_the_file_is_and_no_lock_is_held_after(dnf: DnfSystem) -> None:
    system = dnf.system
    daemon = system.start_daemon()
    program = system.start_program()
    dnf.offer(2)
    dnf.dnf("upgrade")
    system.says(program, 2)
    events = [line for line in daemon.error_lines if "libprobe" in line or "event=unpacked" in line]
    order = [next(n for n, line in enumerate(events) if it in line) for it in ("judged-before", "event=updated")]
    assert order == sorted(order), events
    assert sum("judged-before" in line for line in events) == 1, events
    assert sum("event=unpacked" in line for line in events) == 1, events
    assert not any(".rpm.lock" in line for line in events), events  # rpm has let go of it when the plugin says so


def test_nothing_is_taken_before_rpm_has_let_go_of_its_lock(dnf: DnfSystem) -> None:
    system = dnf.system
    daemon = system.start_daemon()
    program = system.start_program()
    dnf.offer(2)
    system.root.write(HOLD, "")
    upgrade = system.root.start(*DNF, "upgrade", environment=system.environment)
    system.programs.append(upgrade)
    daemon.wait_for_error("event=waiting")
    system.says(program, 1)
    assert [it["result"] for it in system.libraries()] == ["current"]
    assert not daemon.error_lines_with("event=updated")
    system.root.run("rm", HOLD)
    upgrade.wait_for("Complete!")
    system.says(program, 2)
    assert "liveso: libprobe 1.0-1 → 1.0-2 in force: program (1 process)" in upgrade.lines


def test_dnf_goes_on_and_says_nothing_without_a_daemon_or_with_half_of_liveso(dnf: DnfSystem) -> None:
    root = dnf.system.root
    broken = "", "#!/bin/sh\nexit 3\n", "#!/nowhere\n", "#!/usr/bin/python3\nimport liveso.gone\n", "no program"
    for number, content in enumerate(broken):
        if content:
            root.run("rm", "/usr/bin/liveso")
            root.write("usr/bin/liveso", content)
            root.run("chmod", "+x", "/usr/bin/liveso")
        dnf.offer(2 - number % 2)
        output = dnf.dnf("downgrade" if number % 2 else "upgrade", "libprobe")
        assert said(output) == [] and "Complete!" in output, output
    root.run("rm", "/usr/bin/liveso")
    dnf.offer(3)
    output = dnf.dnf("upgrade")
    assert said(output) == [] and "Complete!" in output, output


def test_a_daemon_that_hangs_holds_dnf_up_for_a_limited_time(dnf: DnfSystem) -> None:
    system = dnf.system
    daemon = system.start_daemon()
    program = system.start_program()
    dnf.offer(2)
    system.signal_daemon("STOP")
    output = dnf.dnf("upgrade")
    assert said(output) == [] and "Complete!" in output, output
    system.signal_daemon("CONT")
    daemon.wait_for_error("event=updated")
    system.says(program, 2)


def test_another_command_and_a_plugin_that_is_switched_off(dnf: DnfSystem) -> None:
    root = dnf.system.root
    root.write("opt/told", '#!/bin/sh\necho "liveso: $1"; echo else\n')
    root.run("chmod", "+x", "/opt/told")
    root.write("etc/dnf/plugins/liveso.conf", "[main]\nenabled = 1\ncommand = /opt/told\n")
    dnf.offer(2)
    assert said(dnf.dnf("upgrade")) == ["liveso: after-unpacking"]
    assert "liveso" not in dnf.dnf("-q", "reinstall", "libprobe")
    root.run("sh", "-c", "test $(grep -c 'liveso: after-unpacking' /var/log/dnf.log) = 2")
    root.write("opt/told", '#!/bin/sh\n{ echo "$1"; cat; } >>/opt/asked\n')
    dnf.offer(3)
    output = dnf.dnf("upgrade")
    assert said(output) == [] and "Complete!" in output, output
    first, file, last = root.run("cat", "/opt/asked").stdout.splitlines()
    assert (first, last) == ("before-unpacking", "after-unpacking")
    assert file.startswith("/") and file.endswith("/libprobe-1.0-3.x86_64.rpm")

    dnf.dnf("upgrade")  # nothing to do
    dnf.dnf("reinstall", "--downloadonly", "libprobe")
    root.write("etc/dnf/plugins/liveso.conf", "[main]\nenabled = 0\ncommand = /opt/told\n")
    dnf.dnf("reinstall", "libprobe")
    assert len(root.run("cat", "/opt/asked").stdout.splitlines()) == 3
