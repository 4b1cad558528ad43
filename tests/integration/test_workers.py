"""The processes in which versions are judged."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.harness import Bench, wait_until
from tests.integration.test_held_back import BASE, put

PROGRAM = """
#include <stdio.h>
int base_version(void);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        printf("base %d\\n", base_version());
        fflush(stdout);
    }
    return 0;
}
"""


def judged(bench: Bench) -> None:
    """Let the daemon have judged something."""
    put(bench, BASE, "libbase.so", 1)
    bench.compile(PROGRAM, "program", "libbase.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libbase.so")
    put(bench, BASE, "libbase.so", 2)
    bench.wait_for_result(program.pid, "libbase.so", "updated")


def judge_with_others(bench: Bench, version: int) -> None:
    """Kill the processes that judge, and let the daemon judge a version of libbase.so."""
    assert bench.daemon
    for pid in children_below(bench.daemon.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    put(bench, BASE, "libbase.so", version)
    bench.wait_for_version("libbase.so", "libbase.so", bench.programs[-1].pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("are_first", [True, False], ids=["the first ones", "later ones"])
def test_they_end_with_the_daemon_and_leave_nothing(idle_bench: Bench, number: int, are_first: bool) -> None:
    bench = idle_bench
    with TemporaryDirectory() as folder:
        bench.environment["TMPDIR"] = folder
        daemon = bench.start_daemon()
        judged(bench)
        if not are_first:
            judge_with_others(bench, 3)
        workers = children_below(daemon.pid)
        assert len(workers) >= 2 and bool(os.listdir(folder)) != are_first
        os.kill(daemon.pid, number)
        wait_until(lambda: not [pid for pid in workers if is_running(pid)], "the end of all that judge")
        wait_until(lambda: not os.listdir(folder), lambda: f"the end of {os.listdir(folder)}")
    assert not any("semaphore" in line for line in daemon.error_lines)


def test_they_have_nothing_open_that_is_the_daemons(bench: Bench) -> None:
    judged(bench)
    assert bench.daemon
    for pid in children_below(bench.daemon.pid):
        links = [os.readlink(it) for it in Path(f"/proc/{pid}/fd").iterdir() if int(it.name) > 2]
        assert links and all(it == "/dev/null" or it.startswith("pipe:") for it in links), links


def test_one_that_dies_is_made_again(bench: Bench) -> None:
    judged(bench)
    for version in (3, 4):
        judge_with_others(bench, version)


def children_below(pid: int) -> list[int]:
    """All processes that come from one, without those that hold threads still, which outlive it."""
    found, waiting = [], [pid]
    while waiting:
        shown = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(waiting.pop())], capture_output=True, text=True
        ).stdout
        new = [int(it) for it in shown.split() if is_a_judge(int(it), pid)]
        found += new
        waiting += new
    return found


def is_a_judge(pid: int, daemon: int) -> bool:
    """The first ones have the daemon's own command line."""
    return command_of(pid) == command_of(daemon) or "multiprocessing" in command_of(pid)


def command_of(pid: int) -> str:
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


def is_running(pid: int) -> bool:
    return "multiprocessing" in command_of(pid)
