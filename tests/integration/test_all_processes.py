"""`liveso daemon --all`: processes that nobody prepared or named are served, and left alone until an update."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until

LIBRARY = "int version(void) { return VERSION; }"
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int version(void);
int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 1 && !strcmp(arguments[1], "fork"))
        fork();
    for (;; usleep(10000))
        printf("%d version %d\\n", getpid(), version());
}
"""


def build(bench: Bench, *names: str) -> None:
    for version in (1, 2):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    for name in names:
        bench.compile(PROGRAM, name, "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")


def serve_all(bench: Bench, allow: str, deny: str = "") -> None:
    bench.kill_daemon()
    bench.environment |= {"LIVE_ALLOW": allow, "LIVE_DENY": deny}
    bench.start_daemon("--all")


def served(bench: Bench) -> set[int]:
    return {it["pid"] for it in bench.status() if it["libraries"]}


def has_live_so(program: Program | int) -> bool:
    pid = program if isinstance(program, int) else program.pid
    return "/live.so" in Path(f"/proc/{pid}/maps").read_text()


def test_a_process_is_left_alone_until_there_is_an_update(bench: Bench) -> None:
    build(bench, "wanted-one", "unwanted-one")
    there = bench.run_plain("./wanted-one")
    unwanted = bench.run_plain("./unwanted-one")
    there.wait_for("version 1")
    serve_all(bench, "command=wanted-on*")
    later = bench.run_plain("./wanted-one")
    wait_until(lambda: served(bench) == {there.pid, later.pid}, "both are served, and nothing else")
    assert not has_live_so(there) and not has_live_so(later)
    bench.update("lib.2.so", "libversion.so", there.pid, later.pid)
    for it in (there, later):
        it.wait_for("version 2")
    before = len(unwanted.lines)
    assert unwanted.wait_for("version", before).endswith("version 1")
    assert not has_live_so(unwanted)
    bench.update("lib.1.so", "libversion.so", there.pid, later.pid)
    there.wait_for("version 1", len(there.lines))


def test_what_is_denied_is_left_alone_whatever_is_allowed(bench: Bench) -> None:
    build(bench, "wanted-two", "unwanted-two")
    wanted, unwanted = bench.run_plain("./wanted-two"), bench.run_plain("./unwanted-two")
    serve_all(bench, "command=*wanted-two", f"command={bench.folder}/un*:user=no-such-user")
    wait_until(lambda: served(bench) == {wanted.pid}, "the one that is not denied is served")
    bench.update("lib.2.so", "libversion.so", wanted.pid)
    wanted.wait_for("version 2")
    assert not has_live_so(unwanted)
    assert unwanted.wait_for("version", len(unwanted.lines)).endswith("version 1")


def test_children_and_the_next_daemon(bench: Bench) -> None:
    build(bench, "wanted-three")
    program = bench.run_plain("./wanted-three", "fork")
    (child,) = program.children(1)
    serve_all(bench, "command=wanted-three")
    wait_until(lambda: served(bench) == {program.pid, child}, "a process and its child are served")
    bench.update("lib.2.so", "libversion.so", program.pid, child)
    for pid in (program.pid, child):
        program.wait_for(f"{pid} version 2")
    bench.kill_daemon()
    bench.start_daemon("--all")
    for pid in (program.pid, child):
        bench.wait_for_library(pid, "libversion.so", result="updated")
    os.kill(child, 9)
    wait_until(lambda: served(bench) == {program.pid}, "the one that has ended is served no more")


def test_status_says_why_a_process_is_not_served(bench: Bench) -> None:
    bench.compile("#include <unistd.h>\nint main(void) { for (;;) pause(); }", "wanted-static", "-static")
    program = bench.run_plain("./wanted-static")
    serve_all(bench, "command=wanted-static")
    wait_until(lambda: [it["pid"] for it in bench.status()] == [program.pid], "it is shown")
    (shown,) = bench.status()
    assert "statically linked" in shown["note"]


@pytest.mark.parametrize("pattern", ["nginx", "unit", "process=x", "command="])
def test_a_pattern_that_names_no_processes_is_one_line(bench: Bench, pattern: str) -> None:
    environment = bench.environment | {"LIVE_DENY": pattern, "LIVE_SOCKET": str(bench.folder / "another")}
    done = subprocess.run([str(LIVESO), "daemon", "--all"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "LIVE_DENY" in done.stderr and repr(pattern) in done.stderr
