"""`liveso cves`: what it knows of processes that are older than the daemon, and what it does not say."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liveso import roots
from tests.apt_root import build_package, changelog, offer
from tests.apt_system import FOLDER, System, apt_system
from tests.connections import PROGRAM
from tests.harness import Bench, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and have apt install")
FIXED = ["CVE-2026-0001", "CVE-2026-0002"]


@pytest.fixture
def system(idle_bench: Bench) -> Iterator[System]:
    with apt_system(idle_bench) as system:
        yield system


def rows(answer: dict[str, Any]) -> list[tuple[str, str, str, list[str], str]]:
    return [(it["state"], it["from"], it["to"], it["cves"], it["reason"]) for it in answer["packages"]]


def wait_for_result(system: System, result: str) -> None:
    wait_until(lambda: [it["result"] for it in system.libraries()] == [result], f"{result} in status")


def test_the_next_daemon_knows_where_the_versions_came_from(system: System) -> None:
    system.start_daemon()
    program = system.start_program()
    find = "find", "/var/lib/liveso-probe", "-name", "packages.json"
    wait_until(lambda: system.root.run(*find).stdout, "where the version came from, beside it in the store")
    system.signal_daemon("KILL")
    system.offer(2)
    system.root.apt("install", "libprobe1")
    system.start_daemon()
    wait_for_result(system, "updated")
    system.says(program, 2)
    code, answer = system.cves()
    assert (code, rows(answer)) == (0, [("fixed", "1.0-1", "1.0-2", FIXED, "")])


def test_a_version_that_was_gone_before_the_daemon_came_is_not_guessed(system: System) -> None:
    program = system.start_plain_program()
    system.offer(2)
    system.root.apt("install", "libprobe1")
    system.start_daemon()
    assert system.liveso("attach", "--command", "program").returncode == 0
    wait_for_result(system, "updated")
    system.says(program, 2)
    code, answer = system.cves()
    unknown = "which package the older version came from is not known"
    assert (code, rows(answer)) == (0, [("fixed", "", "1.0-2", [], unknown)])


def test_a_changed_file_is_no_packages(system: System) -> None:
    system.start_daemon()
    system.start_program()
    system.root.run("sh", "-c", f"cd {FOLDER} && cp libprobe.so.1.1 new && echo >> new && mv new libprobe.so.1.1")
    wait_for_result(system, "updated")
    code, answer = system.cves()
    unknown = "which package the newer version came from is not known"
    assert (code, rows(answer)) == (0, [("fixed", "1.0-1", "", [], unknown)])


def test_a_trimmed_changelog_says_less_and_the_tracker_more(system: System) -> None:
    system.start_daemon()
    system.start_program()
    library = system.folder / "libprobe.2.so"
    files: dict[str, Path | str] = {
        f"{FOLDER[1:]}/libprobe.so.1.4": library,
        f"{FOLDER[1:]}/libprobe.so.1": "libprobe.so.1.4",
    }
    offer(system.root, [build_package(system.folder, "libprobe1", "1.0-4", files, [("1.0-4", "CVE-2026-0004")])])
    system.root.apt("install", "libprobe1")
    wait_for_result(system, "updated")
    _code, answer = system.cves()
    trimmed = "the changelog of libprobe1 begins with 1.0-4"
    assert rows(answer) == [("fixed", "1.0-1", "1.0-4", ["CVE-2026-0004"], trimmed)]
    releases = {name: {"status": "resolved", "fixed_version": "1.0-2"} for name in ("bookworm", "trixie")}
    system.root.write("tracker.json", json.dumps({"libprobe": {"CVE-2026-0001": {"releases": releases}}}))
    _code, answer = system.cves("--tracker", "/tracker.json")
    assert rows(answer) == [("fixed", "1.0-1", "1.0-4", ["CVE-2026-0001", "CVE-2026-0004"], "")]


def test_one_process_one_package_and_a_document(system: System) -> None:
    system.start_daemon()
    system.start_program()
    system.offer(3)
    system.root.apt("install", "libprobe1")
    wait_for_result(system, "refused")
    code, answer = system.cves()
    (process,) = answer["processes"]
    (library,) = process["libraries"]
    assert (code, library["path"], library["in_force"]) == (1, f"{FOLDER}/libprobe.so.1", False)
    assert library["missing"] == {"cves": [*FIXED, "CVE-2026-0003"], "unknown": ""}
    done = system.liveso("cves", "--process", str(process["pid"]))
    assert (done.returncode, done.stderr) == (1, "")
    fields = done.stdout.rstrip("\n").split("\t")
    cves = " ".join([*FIXED, "CVE-2026-0003"])
    assert fields == ["missing", "libprobe1", "1.0-1", "1.0-3", cves, str(process["pid"]), "-"]
    assert system.liveso("cves", "--package", "libprobe").stdout == done.stdout  # by its source, too
    assert system.liveso("cves", "--package", "zlib1g").returncode == 0
    document = json.loads(system.liveso("cves", "--vex", "-").stdout)
    assert {it["status"] for it in document["statements"]} == {"affected"} and len(document["statements"]) == 3
    for arguments, exit_code, text in (
        (["--process", "4000000"], 1, "no process 4000000 is served"),
        (["--tracker", "/etc/hostname"], 2, "not a copy"),
        (["--tracker", "/nowhere"], 2, "cannot be read"),
        (["--vex", "/no/folder/it"], 2, "cannot be written"),
    ):
        done = system.liveso("cves", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (exit_code, "", 1)
        assert done.stderr.startswith("liveso: ") and text in done.stderr


CONTAINER = """
mkdir -p /srv/root && cd /srv/root && mkdir -p usr lib lib64 proc opt var/lib/dpkg/info usr tmp etc dev
for it in usr lib lib64 dev; do mount --rbind /$it $it; done
mount -t proc none proc && cp /opt/program opt
mkdir -p opt/lib && cp -a /usr/lib/liveso-probe/libprobe.so.1.1 opt/lib/libprobe.so.1
echo 'ID=debian' > etc/os-release
"""


def test_a_process_with_another_root_is_told_by_the_packages_of_that_root(system: System) -> None:
    system.root.run("sh", "-euc", CONTAINER)
    install_there(system, "9.0-1", 1)
    system.start_daemon()
    inside = "chroot", "/srv/root", "env", "LD_LIBRARY_PATH=/opt/lib", "/opt/program"
    program = system.root.start(*inside, environment=system.environment)
    system.programs.append(program)
    program.wait_for("ready")
    assert system.liveso("attach", "--command", "program").returncode == 0
    wait_for_result(system, "current")
    (library,) = system.libraries()
    assert library["path"].startswith("/proc/") and roots.inside(library["path"]) == "/opt/lib/libprobe.so.1"
    find = "find", "/var/lib/liveso-probe", "-name", "packages-*.json"
    wait_until(lambda: system.root.run(*find).stdout, "what that root says of the version")

    system.root.write("srv/root/opt/lib/new", (system.folder / "libprobe.3.so").read_bytes())
    install_there(system, "9.0-2", 3)
    system.root.run("mv", "/srv/root/opt/lib/new", "/srv/root/opt/lib/libprobe.so.1")
    wait_for_result(system, "refused")
    code, answer = system.cves()
    assert (code, rows(answer)) == (1, [("missing", "9.0-1", "9.0-2", ["CVE-2026-0099"], "")])


def install_there(system: System, version: str, number: int) -> None:
    """Let the database of the other root have a library as that of a package of its own."""
    fields = f"Package: own\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
    entries = [("9.0-2", "CVE-2026-0099"), ("9.0-1", "first")]
    text = changelog("own", entries if version == "9.0-2" else entries[1:])
    system.root.write("usr/share/doc/own/changelog.Debian", text)  # it shares /usr
    system.root.write("srv/root/var/lib/dpkg/status", fields)
    md5 = hashlib.md5((system.folder / f"libprobe.{number}.so").read_bytes()).hexdigest()
    system.root.write("srv/root/var/lib/dpkg/info/new", f"{md5}  opt/lib/libprobe.so.1\n")
    system.root.run("sh", "-euc", "cd /srv/root/var/lib/dpkg/info && mv new own.md5sums")


def test_a_program_that_was_upgraded_runs_its_old_self(system: System, idle_bench: Bench) -> None:
    for number in (1, 2):
        flags = ("-L.", "-l:libprobe.1.so", f"-Wl,-rpath,{FOLDER}", f"-DNUMBER={number}")
        program = idle_bench.compile(PROGRAM + "int number = NUMBER;", f"tool.{number}", *flags)
        entries = [("2.0-2", "CVE-2026-0055"), ("2.0-1", "first")][2 - number :]
        build_package(system.folder, "tool", f"2.0-{number}", {"usr/bin/liveso-tool": program}, entries, mode=0o755)
    system.root.write("etc/dpkg/dpkg.cfg.d/zz-tool", "path-include=/usr/share/doc/tool/*\n")
    install_tool(system, 1)
    system.start_daemon()
    running = system.start_program("/usr/bin/liveso-tool")
    wait_until(lambda: system.cves()[0] == 0, "nothing that is missing")
    install_tool(system, 2)
    system.says(running, 1)
    code, answer = system.cves()
    assert (code, rows(answer)) == (1, [("missing", "2.0-1", "2.0-2", ["CVE-2026-0055"], "")])
    (library,) = answer["processes"][0]["libraries"]
    assert (library["path"], library["result"]) == ("/usr/bin/liveso-tool", "left alone")


def install_tool(system: System, number: int) -> None:
    offer(system.root, [system.folder / f"tool_2.0-{number}_amd64.deb"])
    system.root.apt("install", "tool")
