"""A daemon that takes the place of one that runs, as the machine's service does where a program was there before it."""

import fcntl
import os
import signal
from pathlib import Path

import pytest

from liveso.daemon.run import _holder_of
from liveso.errors import ExitCode
from tests.harness import LIVESO, Bench, wait_until

LIBRARY = "int answer(void) { return ANSWER; }"
PROGRAM = """
#include <stdio.h>
int answer(void);
int main(void)
{
    while (getchar() == '\\n') {
        printf("%d\\n", answer());
        fflush(stdout);
    }
    return 0;
}
"""


@pytest.fixture
def served(idle_bench: Bench) -> int:
    """The daemon that a program has started, once it serves that."""
    idle_bench.environment["LIVE_LINGER"] = "60"
    idle_bench.compile(LIBRARY, "liba.so", "-shared", "-fPIC", "-DANSWER=1")
    idle_bench.compile(PROGRAM, "program", "./liba.so")
    program = idle_bench.run("./program")
    idle_bench.library(program.pid, "liba.so")
    return int(Path(idle_bench.environment["LIVE_SOCKET"] + ".lock").read_text())


def test_the_daemon_before_ends_and_its_processes_are_served_on(idle_bench: Bench, served: int) -> None:
    program = idle_bench.programs[0]
    idle_bench.start_daemon("--replace")
    wait_until(lambda: not Path(f"/proc/{served}/exe").exists(), "the end of the daemon before")
    idle_bench.library(program.pid, "liba.so")
    idle_bench.compile(LIBRARY, "liba.so", "-shared", "-fPIC", "-DANSWER=2")
    idle_bench.wait_for_result(program.pid, "liba.so", "updated")
    program.ask("")
    program.wait_for("2")
    assert program.end() == 0


def test_without_being_asked_for_it_takes_nobodys_place(idle_bench: Bench, served: int) -> None:
    second = idle_bench.run_plain(LIVESO, "daemon")
    assert second.end() == ExitCode.NOT_HERE
    assert f"a daemon runs already (pid {served})" in second.output()
    assert Path(f"/proc/{served}/exe").exists()


def test_what_the_lock_file_says_is_nobody_to_be_ended(tmp_path: Path) -> None:
    """The daemon that wrote it may have died, and its number be another process's by now."""
    lock = tmp_path / "liveso.sock.lock"
    lock.write_text("1\n")
    with lock.open("r+") as file:
        assert _holder_of(file.fileno()) == 0
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _holder_of(file.fileno()) == os.getpid()


def test_another_file_that_looks_alike_has_another_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of inodes are of one file system: who has locked another file of the same number is not to be ended."""
    other = tmp_path / "other"
    other.touch()
    with other.open("r+") as locked, (tmp_path / "liveso.sock.lock").open("w") as file:
        fcntl.flock(locked, fcntl.LOCK_EX)
        fields = list(os.fstat(file.fileno()))
        fields[1] = os.fstat(locked.fileno()).st_ino  # as it would be there
        fields[2] += 1
        monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result(fields))
        assert _holder_of(file.fileno()) == 0


def test_one_that_stands_still_is_not_waited_for_for_ever(idle_bench: Bench, served: int) -> None:
    os.kill(served, signal.SIGSTOP)
    try:
        second = idle_bench.run_plain(LIVESO, "daemon", "--replace")
        assert second.end() == ExitCode.NOT_HERE
        assert f"a daemon runs already (pid {served})" in second.output()
    finally:
        os.kill(served, signal.SIGCONT)
