"""An update writes its jumps first, and then what the process remembers of it: whoever comes in between must not take
the one for wrong because of the other."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until

LIBRARY = "static int calls; int version(void) { calls++; return VERSION; } int count(void) { return calls; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int version(void), count(void);
int main(void)
{
    char line[9];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        pid_t child = line[0] == 'f' ? fork() : 1;
        if (child == 0)
            for (;; usleep(10000))
                printf("child %d version %d\\n", getpid(), version());
        printf("program version %d\\n", version());
    }
}
"""
DAEMON = """
import asyncio
from importlib import import_module
from pathlib import Path

update = import_module("liveso.apply.update")  # the package has a function of that name
write = update.write_still

async def write_and_wait(*arguments):
    await write(*arguments)
    if Path("wait").exists():
        Path("wait").rename("waits")
        while Path("waits").exists():
            await asyncio.sleep(0.01)

update.write_still = write_and_wait
if __name__ == "__main__":
    from liveso.cli import main
    main()
"""


def start(bench: Bench, mode: str) -> Program:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    bench.compile(PROGRAM, "program", "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")
    (bench.folder / "waiting_daemon.py").write_text(DAEMON)
    bench.daemon = bench.run_plain(sys.executable, "waiting_daemon.py", "daemon")
    bench.wait_for_log("event=started")
    program = bench.run("./program", LIVE_MODE=mode)
    bench.library(program.pid, "libversion.so")
    return program


def ask(program: Program, what: str = "now") -> str:
    before = len(program.lines)
    program.ask(what)
    return program.wait_for("program version", before)


def stand_between(bench: Bench, program: Program, before: int, after: int) -> None:
    """Bring the program to a version, and the daemon to where it has written the jumps to the next one."""
    if before != 1:
        bench.update(f"lib.{before}.so", "libversion.so", program.pid)
    (bench.folder / "wait").touch()
    bench.link(f"lib.{after}.so", "libversion.so")
    wait_until((bench.folder / "waits").exists, "the daemon waits")
    assert ask(program) == f"program version {after}"


STEPS = [(1, 2), (2, 3), (2, 1)]


@pytest.mark.parametrize("mode", ["visited", "resident"])
@pytest.mark.parametrize(("before", "after"), STEPS)
def test_a_child_that_is_made_there_lives_and_is_updated(idle_bench: Bench, before: int, after: int, mode: str) -> None:
    program = start(idle_bench, mode)
    stand_between(idle_bench, program, before, after)
    assert ask(program, "fork") == f"program version {after}"
    (child,) = program.children(1)
    (idle_bench.folder / "waits").unlink()
    idle_bench.wait_for_version(f"lib.{after}.so", "libversion.so", program.pid, child)
    for version in (3, 2, 1):
        idle_bench.update(f"lib.{version}.so", "libversion.so", program.pid, child)
        program.wait_for(f"child {child} version {version}", len(program.lines))
    assert Path(f"/proc/{child}").exists()
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("mode", ["visited", "resident"])
@pytest.mark.parametrize(("before", "after"), STEPS)
def test_a_daemon_that_ends_there_leaves_what_the_next_one_goes_on_with(
    idle_bench: Bench, before: int, after: int, mode: str
) -> None:
    program = start(idle_bench, mode)
    stand_between(idle_bench, program, before, after)
    idle_bench.kill_daemon()
    idle_bench.start_daemon()
    idle_bench.wait_for_version(f"lib.{after}.so", "libversion.so", program.pid)
    for version in (3, 2, 1):
        idle_bench.update(f"lib.{version}.so", "libversion.so", program.pid)
        assert ask(program) == f"program version {version}"
