"""Threads that are inside a library when it changes: `status` names them, and an atomic switch waits for them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until

LIBRARY = """
#include <stdio.h>
#include <unistd.h>
static volatile int is_over;
static __attribute__((noinline)) void work(int number)
{
    printf("%s works as VERSION\\n", number ? "main" : "worker");
    usleep(10000);
}
void worker_loop(void)
{
    while (!is_over)
        work(0);
}
void leave(void) { is_over = 1; }
void call(void (*back)(void)) { work(1); back(); work(2); }
"""
WORKER = """
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
void worker_loop(void);
void leave(void);
static void *run(void *unused)
{
    pthread_setname_np(pthread_self(), "library-worker");
    worker_loop();
    puts("worker has left");
    return unused;
}
int main(void)
{
    char line[99];
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_create(&thread, NULL, run, NULL);
    while (fgets(line, sizeof line, stdin))
        leave();
    pthread_join(thread, NULL);
    pause();
}
"""
CALLBACK = """
#include <stdio.h>
#include <unistd.h>
void call(void (*)(void));
static void back(void)
{
    char line[99];
    puts("in between");
    fgets(line, sizeof line, stdin);
}
int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;; usleep(50000))
        call(back);
}
"""


def start(bench: Bench, source: str, **environment: str) -> Program:
    for version in ("1", "2"):
        text = LIBRARY.replace("VERSION", version)
        bench.compile(text, f"lib.{version}.so", "-O2", "-shared", "-fPIC")
    bench.link("lib.1.so", "libworking.so")
    bench.compile(source, "program", "-O1", "-pthread", "-L.", "-lworking", f"-Wl,-rpath,{bench.folder}")
    program = bench.run("./program", **environment)
    bench.library(program.pid, "libworking.so")
    return program


def status(bench: Bench, pid: int) -> list[str]:
    done = subprocess.run([str(LIVESO), "status", str(pid)], env=bench.environment, capture_output=True, text=True)
    (line,) = [it for it in done.stdout.splitlines() if "libworking" in it]
    return line.split("\t")


@pytest.mark.parametrize("mode", ["visited", "resident"])
def test_a_thread_that_never_leaves_is_named_until_it_does(bench: Bench, mode: str) -> None:
    program = start(bench, WORKER, LIVE_MODE=mode)
    program.wait_for("worker works as 1")
    bench.update("lib.2.so", "libworking.so", program.pid)
    (thread,) = bench.wait_for_library(program.pid, "libworking.so", result="updated", in_force=False)["stale_threads"]
    assert thread["name"] == "library-worker" and thread["function"] == "worker_loop" and thread["since"] > 0
    _pid, word, *_rest, reasons = status(bench, program.pid)
    assert word == "updated-but"
    assert re.search(r"old code goes on: thread \d+ \(library-worker\) is in worker_loop since \d\d:\d\d:\d\d", reasons)
    program.ask("leave")
    program.wait_for("worker has left")
    bench.wait_for_library(program.pid, "libworking.so", in_force=True, stale_threads=[])
    assert status(bench, program.pid)[1] == "updated"


@pytest.mark.parametrize("mode", ["visited", "resident"])
def test_an_atomic_switch_waits_until_nobody_is_inside(bench: Bench, mode: str) -> None:
    program = start(bench, WORKER, LIVE_MODE=mode, LIVE_SWITCH="atomic")
    program.wait_for("worker works as 1")
    bench.link("lib.2.so", "libworking.so")
    reason = bench.wait_for_library(program.pid, "libworking.so", result="refused")["reason"]
    assert re.search(r"thread \d+ \(library-worker\) in worker_loop is inside the library", reason), reason
    before = len(program.lines)
    program.wait_for("worker works as 1", before)
    assert not any("as 2" in line for line in program.lines)
    program.ask("leave")
    program.wait_for("worker has left")
    bench.wait_for_library(program.pid, "libworking.so", result="updated", in_force=True)


@pytest.mark.parametrize("mode", ["visited", "resident"])
def test_a_call_that_is_under_way_ends_in_the_version_that_it_began_in(bench: Bench, mode: str) -> None:
    """The thread's newest frames are the program's and libc's: the library's are behind them."""
    program = start(bench, CALLBACK, LIVE_MODE=mode, LIVE_SWITCH="atomic")
    program.wait_for("in between")
    bench.link("lib.2.so", "libworking.so")
    wait_until(
        lambda: "is inside the library" in bench.library(program.pid, "libworking.so")["reason"], "it is in the way"
    )
    rounds = 0
    while bench.library(program.pid, "libworking.so")["result"] != "updated":
        rounds += 1
        assert rounds < 1000
        before = len(program.lines)
        program.ask("on")
        program.wait_for("in between", before)
    lines = [line for line in program.lines if "works" in line]
    assert not any(one.endswith("1") and two.endswith("2") for one, two in zip(lines[::2], lines[1::2], strict=False))


def test_without_that_a_call_goes_on_in_the_new_version(bench: Bench) -> None:
    program = start(bench, CALLBACK)
    program.wait_for("in between")
    bench.update("lib.2.so", "libworking.so", program.pid)
    program.ask("on")
    program.wait_for("in between", len(program.lines))


def test_a_word_that_is_no_way_to_switch_is_said(bench: Bench) -> None:
    command = [str(LIVESO), "daemon"]
    environment = bench.environment | {"LIVE_SWITCH": "later"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "LIVE_SWITCH: 'later' is not one of now, atomic" in done.stderr


def removed_code(pid: int) -> list[str]:
    """What tools that look for processes with old code (needrestart, lsof) find in one: code whose file is no more."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [it for it in lines if it.endswith(" (deleted)") and "x" in it.split()[1]]


@pytest.mark.parametrize("mode", ["visited", "resident"])
def test_no_code_of_a_removed_file_is_left_once_nobody_runs_it(bench: Bench, mode: str) -> None:
    """Only then: a worker that goes on in it can still be found by such tools."""
    program = start(bench, WORKER, LIVE_MODE=mode)
    program.wait_for("worker works as 1")
    old = bench.folder / "lib.1.so"
    bench.update("lib.2.so", "libworking.so", program.pid)
    old.unlink()
    bench.wait_for_library(program.pid, "libworking.so", result="updated", in_force=False)
    assert [it.split()[-2] for it in removed_code(program.pid)] == [str(old)]
    program.ask("leave")
    program.wait_for("worker has left")
    wait_until(lambda: not removed_code(program.pid), "the file that was removed is not mapped any more")
    bench.wait_for_library(program.pid, "libworking.so", result="updated", in_force=True)
    bench.compile(LIBRARY.replace("VERSION", "3"), "lib.3.so", "-O2", "-shared", "-fPIC")
    bench.update("lib.3.so", "libworking.so", program.pid)
    bench.kill_daemon()
    bench.start_daemon()  # what is mapped now is known to be the first version still
    bench.wait_for_library(program.pid, "libworking.so", result="updated", in_force=True)
    bench.update("lib.2.so", "libworking.so", program.pid)
    assert program.process.poll() is None


PARSER = """
struct state { long a, b; MEMBER long c, d; char buffer[200]; };
#define own __attribute__((noinline)) static
own long step(struct state *it, long n) { it->c += n; it->d ^= it->c * 3; it->buffer[n & 63]++; return it->d * 9; }
own long rest(struct state *it) { return it->c * it->d + it->buffer[1] * 7 + it->c / 11; }
long parse(const char *text, void (*between)(void))
{
    struct state it = {1, 2};
    long n = 0;
    while (*text)
        n += step(&it, *text++);
    between();
    return n + rest(&it);
}
"""
PARSES = """
#include <stdio.h>
long parse(const char *, void (*)(void));
static void between(void)
{
    char line[99];
    puts("inside");
    fgets(line, sizeof line, stdin);
}
int main(void)
{
    char line[99];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin))
        printf("result %ld\\n", parse("some text", between));
}
"""


def test_what_only_lives_during_one_call_changes_when_nobody_is_inside(bench: Bench) -> None:
    """By itself: nothing asked for an atomic switch."""
    for version, member in enumerate(("", "long more;"), start=1):
        flags = ("-O2", "-shared", "-fPIC", "-s", "-Wl,-soname,libworking.so")
        bench.compile(PARSER.replace("MEMBER", member), f"lib.{version}.so", *flags)
    bench.link("lib.1.so", "libworking.so")
    bench.compile(PARSES, "program", "-O1", "-L.", "-lworking", f"-Wl,-rpath,{bench.folder}")
    command = [str(LIVESO), "check", "lib.1.so", "lib.2.so"]
    shown = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0 and "can be applied live, when no thread is inside the library" in shown.stdout
    program = bench.run("./program")
    bench.library(program.pid, "libworking.so")
    program.ask("begin")
    program.wait_for("inside")
    bench.link("lib.2.so", "libworking.so")
    wait_until(
        lambda: "is inside the library" in bench.library(program.pid, "libworking.so")["reason"], "it is in the way"
    )
    program.ask("leave")
    result = program.wait_for("result")
    bench.wait_for_version("lib.2.so", "libworking.so", program.pid)
    program.ask("begin")
    program.wait_for("inside", len(program.lines) - 1)
    program.ask("leave")
    assert program.wait_for("result", 3) == result
    assert program.end() == 0
