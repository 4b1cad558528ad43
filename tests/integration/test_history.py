"""What happened to real processes is in the history, whoever did it and whatever becomes of the daemon."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until

SHARED = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libanswer.so")
LIBRARY = "EXTRA int answer(void) { return VERSION; }"
PROGRAM = r"""
#include <stdio.h>
int answer(void);
int main(void) {
    char line[99];
    while (fgets(line, sizeof line, stdin)) { printf("answer %d\n", answer()); fflush(stdout); }
    return 0;
}
"""


@pytest.fixture
def answering(idle_bench: Bench) -> Bench:
    for version in (1, 2, 3):
        idle_bench.compile(LIBRARY, f"libanswer.{version}.so", *SHARED, f"-DVERSION={version}", "-DEXTRA=")
    idle_bench.link("libanswer.1.so", "libanswer.so")
    idle_bench.compile(PROGRAM, "program", "-L.", "-l:libanswer.so", "-Wl,-rpath,$ORIGIN")
    return idle_bench


def start(bench: Bench) -> Program:
    program = bench.run("./program")
    bench.library(program.pid, "libanswer.so")
    return program


def to(bench: Bench, program: Program, version: int) -> None:
    bench.link(f"libanswer.{version}.so", "libanswer.so")
    wait_until(lambda: says(program) == version, f"version {version}")


def says(program: Program) -> int:
    after = len(program.lines)
    program.ask("")
    return int(program.wait_for("answer", after).split()[1])


def liveso(bench: Bench, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [LIVESO, *words], env=bench.environment, capture_output=True, text=True, check=False, **options
    )


def events(bench: Bench, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(liveso(bench, "history", "--json", *words).stdout or "[]")
    return found


def wait_for_event(bench: Bench, kind: str, count: int = 1) -> dict[str, Any]:
    """The last of at least `count` events of a kind."""
    found: list[dict[str, Any]] = wait_until(
        lambda: len(of := [it for it in events(bench) if it["kind"] == kind]) >= count and of,
        lambda: f"{count} × {kind} in {[it['kind'] for it in events(bench)]}",
    )
    return found[-1]


def test_who_ran_what_when_and_who_took_it_back(answering: Bench) -> None:
    answering.start_daemon()
    began = time.time()
    first, second = start(answering), start(answering)
    one = answering.library(first.pid, "libanswer.so")["version"]
    for program in (first, second):
        to(answering, program, 2)
    updated = wait_for_event(answering, "updated", 2)
    assert updated["before"] == one and updated["after"] == answering.library(first.pid, "libanswer.so")["version"]
    assert began < updated["time"] < time.time() and updated["milliseconds"] > 0 and updated["steps"]["redirect"] > 0
    assert updated["command"] == "./program" and updated["user"] == os.geteuid()
    assert liveso(answering, "rollback", "libanswer.so").returncode == 0
    rollback, back = wait_for_event(answering, "rollback"), wait_for_event(answering, "rolled-back", 2)
    assert (
        (rollback["before"], rollback["after"]) == (updated["after"], one) and rollback["by"] and not rollback["pids"]
    )
    assert (back["before"], back["after"]) == (updated["after"], one)
    assert liveso(answering, "resume", "libanswer.so").returncode == 0
    wait_for_event(answering, "updated", 4)
    assert wait_for_event(answering, "resume")["by"] == rollback["by"]
    mine = events(answering, str(first.pid))
    assert [it["kind"] for it in mine] == ["updated", "rolled-back", "updated"]
    assert events(answering, "libanswer")[0]["library"] == str(answering.folder / "libanswer.so")
    shown = liveso(answering, "history", "program").stdout.splitlines()
    assert len(shown) == 6 and all(len(line.split("\t")) == 10 for line in shown)
    unknown = liveso(answering, "history", "nothing-like-that")
    assert unknown.returncode == 1 and unknown.stderr.startswith("liveso: nothing is known of nothing-like-that")


def test_it_survives_a_daemon_that_is_killed_and_is_there_without_one(answering: Bench) -> None:
    answering.start_daemon()
    program = start(answering)
    to(answering, program, 2)
    wait_for_event(answering, "updated")
    answering.kill_daemon()
    assert [it["kind"] for it in events(answering)] == ["started", "updated"]
    answering.start_daemon()
    answering.library(program.pid, "libanswer.so")
    to(answering, program, 3)
    wait_for_event(answering, "updated", 2)
    assert answering.daemon
    answering.daemon.process.terminate()
    answering.daemon.process.wait()
    kinds = [it["kind"] for it in events(answering)]
    assert kinds == ["started", "updated", "started", "updated", "stopped"]
    assert [it["number"] for it in events(answering)] == sorted({it["number"] for it in events(answering)})


def test_a_refusal_is_there_once_with_its_reason(answering: Bench) -> None:
    answering.start_daemon()
    program = start(answering)
    answering.compile("int other(void) { return 4; }", "libanswer.4.so", *SHARED)
    answering.link("libanswer.4.so", "libanswer.so")
    reason = answering.wait_for_result(program.pid, "libanswer.so", "refused")["reason"]
    refused = wait_for_event(answering, "refused")
    assert refused["reason"] == reason != ""
    assert refused["before"] != refused["after"] != ""
    assert says(program) == 1


def test_the_person_who_logged_in_is_named(answering: Bench) -> None:
    def become_logged_in() -> None:
        Path("/proc/self/loginuid").write_text("2")

    try:
        subprocess.run(["true"], preexec_fn=become_logged_in, check=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this kernel keeps no login, or lets nobody set it")
    answering.start_daemon()
    to(answering, start(answering), 2)
    done = liveso(answering, "rollback", "libanswer.so", preexec_fn=become_logged_in)
    assert done.returncode == 0, done
    assert wait_for_event(answering, "rollback")["by"] == "root (bin by login)"


def test_metrics_are_on_the_address_that_is_set(answering: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    answering.environment["LIVE_METRICS"] = f"127.0.0.1:{port}"
    answering.start_daemon()
    to(answering, start(answering), 2)

    def metrics() -> str:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
        return ""

    wait_until(lambda: 'liveso_updates_total{library="libanswer.so",result="updated"} 1.0' in metrics(), metrics)
    for path in ("/status", "/rollback", "/"):  # what the command may is not for everybody
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)


def test_an_address_that_is_taken_is_a_problem_and_nothing_else(answering: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answering.environment["LIVE_METRICS"] = f"127.0.0.1:{taken.getsockname()[1]}"
        answering.start_daemon()
        program = start(answering)
        to(answering, program, 2)
        shown = json.loads(liveso(answering, "status", "--json").stdout)
        assert any("LIVE_METRICS: nothing listens" in it for it in shown["problems"]), shown["problems"]


def test_somebody_is_told_by_a_command(answering: Bench) -> None:
    told = answering.folder / "told"
    answering.environment |= {"LIVE_NOTIFY": f"/bin/sh -c 'cat >> {told}'", "LIVE_NOTIFY_ON": "refused:rollback"}
    answering.start_daemon()
    program = start(answering)
    to(answering, program, 2)
    liveso(answering, "rollback", "libanswer.so")
    message = json.loads(
        wait_until(lambda: told.exists() and told.read_text().endswith("\n") and told.read_text(), "it")
    )
    assert [it["kind"] for it in message["events"]] == ["rollback"]
    assert message["text"] == "liveso: libanswer.so: rollback"
