"""The daemon that the first target starts: the program notices nothing of it, and it notices nothing of the program."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness import AGENT, Bench, wait_until

SHORT = "#include <unistd.h>\nint main(void) { char c; return read(0, &c, 1) != 0; }"

FORKS = """
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
/* signal(3) takes a lock since glibc 2.41, and fork(2) does */
int main(void)
{
    struct pollfd input = {.events = POLLIN};
    while (poll(&input, 1, 0) == 0) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        signal(SIGUSR1, SIG_IGN);
        waitpid(child, NULL, 0);
    }
    return 0;
}
"""

STARTS = 10


def daemon_of(bench: Bench) -> int:
    """The daemon that a program has started, once it serves one."""
    lock = Path(bench.environment["LIVE_SOCKET"] + ".lock")
    wait_until(lambda: lock.exists() and lock.read_text().strip() and bench.status(), "a daemon that serves")
    return int(lock.read_text())


def test_a_program_that_forks_all_the_time_starts_it_each_time(idle_bench: Bench) -> None:
    idle_bench.compile(FORKS, "program", "-O2")
    idle_bench.environment["LIVE_LINGER"] = "30"
    for _ in range(STARTS):
        program = idle_bench.run("./program")
        daemon = daemon_of(idle_bench)
        assert program.end() == 0
        os.kill(daemon, signal.SIGKILL)
        wait_for_end(daemon)


def wait_for_end(pid: int) -> None:
    wait_until(lambda: is_zombie(pid), "its end")


def is_zombie(pid: int) -> bool:
    """Whether all its threads have ended: until then it has its files open."""
    try:
        states = [it.read_text().rpartition(")")[2].split()[0] for it in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False
    return set(states) <= {"Z"}


def test_it_has_nothing_of_the_programs_limits(idle_bench: Bench) -> None:
    idle_bench.compile(SHORT, "program")
    limits = "ulimit -S -n 64; ulimit -S -t 1000; ulimit -S -f 100; exec nice -n 9 ./program"
    with_score = f"echo 500 > /proc/self/oom_score_adj; {limits}"
    program = idle_bench.run_plain("sh", "-c", f"LD_PRELOAD={AGENT}; export LD_PRELOAD; {with_score}", LD_PRELOAD="")
    daemon = daemon_of(idle_bench)
    for line in Path(f"/proc/{daemon}/limits").read_text().splitlines()[1:]:
        if not line.startswith(("Max stack", "Max core")):
            words = line[26:].split()
            assert words[0] == words[1], line
    assert os.getpriority(os.PRIO_PROCESS, daemon) == 0
    assert Path(f"/proc/{daemon}/oom_score_adj").read_text() == "0\n"
    environment = Path(f"/proc/{daemon}/environ").read_text().split("\0")
    assert "LIVE_DISABLE=1" in environment and not [it for it in environment if it.startswith("LD_PRELOAD")]
    assert program.end() == 0


WAITS = """
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* runs the program that it is given, and then waits for all its children */
int main(int count, char **arguments)
{
    (void)count;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t child = fork(), found;
    if (child == 0) {
        execv(arguments[1], arguments + 1);
        _exit(1);
    }
    while ((found = wait(NULL)) > 0)
        printf("%s\\n", found == child ? "own" : "foreign"), fflush(stdout);
    puts("alone");
    return 0;
}
"""


def test_a_program_that_adopts_orphans_starts_none(idle_bench: Bench) -> None:
    idle_bench.compile(WAITS, "waits")
    program = idle_bench.run("./waits", "/bin/sleep", "0.1", LD_PRELOAD=str(AGENT), LIVE_LOGLEVEL="1")
    program.wait_for("alone")
    assert "foreign" not in program.lines


def test_the_first_process_of_a_container_and_its_children_start_none(idle_bench: Bench) -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False).returncode != 0:
        pytest.skip("no PID namespace can be made")
    idle_bench.compile(WAITS.replace("prctl(PR_SET_CHILD_SUBREAPER, 1);", ""), "waits")
    command = f"LD_PRELOAD={AGENT} exec ./waits /bin/sleep 3"
    program = idle_bench.run_plain("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", command, LIVE_LOGLEVEL="1")
    program.wait_for_error("a program above could find it among its children, run `liveso daemon`")
    program.wait_for("alone")
    assert "foreign" not in program.lines and not Path(idle_bench.environment["LIVE_SOCKET"]).exists()


def test_a_program_that_is_traced_starts_one_that_is_not(idle_bench: Bench) -> None:
    if not shutil.which("strace"):
        pytest.skip("there is no strace")
    idle_bench.compile(SHORT, "program")
    program = idle_bench.run_plain("strace", "-f", "-o", "trace", "-E", f"LD_PRELOAD={AGENT}", "./program")
    daemon = daemon_of(idle_bench)
    assert "TracerPid:\t0\n" in Path(f"/proc/{daemon}/status").read_text()
    assert program.end() == 0  # strace waits for all that it traces
    assert not is_zombie(daemon)


@pytest.mark.parametrize(
    "environment",
    [
        {"LIVE_DAEMON": "/none"},
        {"LIVE_DAEMON": "/bin/false"},
        {"LIVE_SOCKET": "/none/" + 200 * "x"},
        {"LIVE_A": 9000 * "x"},
    ],
)
def test_a_program_that_cannot_be_served_prints_nothing(idle_bench: Bench, environment: dict[str, str]) -> None:
    idle_bench.compile("#include <unistd.h>\nint main(void) { return sleep(20) != 0; }", "program")
    silent = idle_bench.run("./program", **{**environment, "LIVE_LOGLEVEL": "0"})
    by_default = idle_bench.run("./program", **{**environment, "LIVE_LOGLEVEL": ""})
    asked = idle_bench.run("./program", **{**environment, "LIVE_LOGLEVEL": "1", "LIVE_MODE": "resident"})
    asked.wait_for_error("live.so: ")
    for program in (silent, by_default):
        assert program.process.wait(60) == 0 and program.error_lines == []


@pytest.mark.parametrize("mode", ["resident", "visited"])
@pytest.mark.parametrize("limit", [4, 8])
def test_too_few_descriptors_are_named_where_any_are_needed(bench: Bench, limit: int, mode: str) -> None:
    bench.compile(SHORT, "program")
    program = bench.run_plain("sh", "-c", f"ulimit -n {limit}; LD_PRELOAD={AGENT} exec ./program", LIVE_MODE=mode)
    if limit < 8 and mode == "resident":
        assert bench.daemon
        line = bench.daemon.wait_for_error("event=not-served")
        assert "RLIMIT_NOFILE" in line and "another version" not in line
    else:
        wait_until(bench.status, "a target")
    assert program.end() == 0


def test_a_limit_on_the_size_of_files_is_named(bench: Bench) -> None:
    bench.compile(SHORT, "program")
    program = bench.run_plain("sh", "-c", f"ulimit -f 0; LD_PRELOAD={AGENT} exec ./program", LIVE_MODE="resident")
    assert bench.daemon
    assert "(File too large)" in bench.daemon.wait_for_error("event=not-served")
    assert program.end() == 0
