"""A version goes into some processes first, and no further where one of these crashes."""

import os
import signal
import subprocess
from functools import partial

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until

LIBRARY = "int version(void) { return VERSION; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int version(void);
int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;; usleep(10000))
        printf("version %d\\n", version());
}
"""


def build(bench: Bench) -> None:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    bench.compile(PROGRAM, "program", "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")


def start(bench: Bench, count: int) -> list[Program]:
    programs = [bench.run("./program") for _each in range(count)]
    for it in programs:
        bench.library(it.pid, "libversion.so")
    return programs


def results(bench: Bench) -> dict[int, str]:
    return {it["pid"]: library["result"] for it in bench.status() for library in it["libraries"]}


def says(bench: Bench, pid: int, text: str) -> bool:
    return text in bench.library(pid, "libversion.so")["reason"]


def resume(bench: Bench) -> subprocess.CompletedProcess[str]:
    command = [str(LIVESO), "resume", "libversion.so"]
    return subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=60)


def cautious(bench: Bench, canaries: int) -> None:
    bench.kill_daemon()
    bench.start_daemon("--canary", str(canaries))


def test_some_get_it_first_and_the_others_after_a_quiet_minute(bench: Bench) -> None:
    build(bench)
    cautious(bench, 2)
    programs = start(bench, 4)
    bench.link("lib.2.so", "libversion.so")
    wait_until(lambda: sorted(results(bench).values()) == ["held back"] * 2 + ["updated"] * 2, "two have it")
    waiting = [pid for pid, result in results(bench).items() if result == "held back"]
    assert "(canary)" in bench.library(waiting[0], "libversion.so")["reason"]
    wait_until(lambda: set(results(bench).values()) == {"updated"}, "all have it", 120.0)
    for it in programs:
        it.wait_for("version 2")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_what_crashed_one_process_is_held_back_from_the_others(bench: Bench, number: signal.Signals) -> None:
    build(bench)
    cautious(bench, 1)
    programs = start(bench, 3)
    bench.link("lib.2.so", "libversion.so")
    wait_until(lambda: sorted(results(bench).values()) == ["held back"] * 2 + ["updated"], "one has it")
    (first,) = [pid for pid, result in results(bench).items() if result == "updated"]
    os.kill(first, number)
    left = [it for it in programs if it.pid != first]
    for it in left:
        bench.wait_for_library(it.pid, "libversion.so", result="held back")
        wait_until(partial(says, bench, it.pid, f"process {first} ended with {number.name}"), "it says why")
        assert it.wait_for("version", len(it.lines)) == "version 1"
    shown = subprocess.run([str(LIVESO), "status"], env=bench.environment, capture_output=True, text=True, timeout=60)
    (problem,) = [line for line in shown.stdout.splitlines() if "\tproblem\t" in line]
    assert f"process {first} ended with {number.name}" in problem and "liveso resume libversion.so" in problem
    done = resume(bench)
    assert done.returncode == 0 and "is not held back any more" in done.stdout
    for it in left:
        it.wait_for("version 2")
    assert resume(bench).returncode == 1


def end_the_first(bench: Bench, number: signal.Signals) -> tuple[int, Program]:
    """Let one of two programs have a new version, and end by a signal; its process ID, and the other program."""
    build(bench)
    cautious(bench, 1)
    programs = start(bench, 2)
    bench.link("lib.2.so", "libversion.so")
    wait_until(lambda: sorted(results(bench).values()) == ["held back", "updated"], "one has it")
    (first,) = [pid for pid, result in results(bench).items() if result == "updated"]
    os.kill(first, number)
    (left,) = [it for it in programs if it.pid != first]
    return first, left


def test_the_next_daemon_holds_it_back_until_it_is_resumed(bench: Bench) -> None:
    first, left = end_the_first(bench, signal.SIGSEGV)
    bench.wait_for_log("event=crash-after-update")
    bench.kill_daemon()
    bench.start_daemon()
    bench.wait_for_library(left.pid, "libversion.so", result="held back")
    assert says(bench, left.pid, f"process {first} ended with SIGSEGV")
    shown = subprocess.run([str(LIVESO), "status"], env=bench.environment, capture_output=True, text=True, timeout=60)
    assert "liveso resume libversion.so" in next(line for line in shown.stdout.splitlines() if "\tproblem\t" in line)
    assert resume(bench).returncode == 0
    left.wait_for("version 2")
    bench.kill_daemon()
    bench.start_daemon()
    bench.wait_for_library(left.pid, "libversion.so", result="updated")
    assert resume(bench).returncode == 1


def test_a_crash_holds_back_this_version_only_and_what_has_it_keeps_it(bench: Bench) -> None:
    build(bench)
    programs = start(bench, 3)
    bench.update("lib.2.so", "libversion.so", *(it.pid for it in programs))
    os.kill(programs[0].pid, signal.SIGBUS)
    bench.wait_for_log("event=crash-after-update", "ended with SIGBUS")
    late = bench.run("./program")
    assert late.wait_for("version") == "version 2"
    bench.update("lib.3.so", "libversion.so", programs[1].pid, programs[2].pid)
    bench.update("lib.1.so", "libversion.so", programs[1].pid, programs[2].pid)
    bench.link("lib.2.so", "libversion.so")
    bench.wait_for_library(programs[1].pid, "libversion.so", result="held back")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_that_is_no_crash_holds_nothing_back(bench: Bench, number: signal.Signals) -> None:
    _first, left = end_the_first(bench, number)
    bench.wait_for_library(left.pid, "libversion.so", result="updated")
    assert not bench.log_lines("crash-after-update")
