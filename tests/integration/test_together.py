"""Libraries that need each other are updated together, or not at all."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess

import pytest

from tests.harness import LIVESO, Bench, Program, containing, wait_until

BASE = """
static int calls;
int base_version(void) { ++calls; return VERSION; }
int base_calls(void) { return calls; }
#if VERSION > 1
#ifdef NAME
const char *base_name(void) { return "name 3"; }
#else
const char *base_name(void) { return "new"; }
#endif
const int base_limits[2] = {40, 50};
#endif
#ifdef BASE_STARTS
int base_started;
__attribute__((constructor)) static void start_base(void) { base_started = 1; }
#endif
"""

TOP = """
#ifdef TOP_STARTS
int top_started;
__attribute__((constructor)) static void start_top(void) { top_started = 1; }
#endif
int base_version(void);
#if VERSION > 1
const char *base_name(void);
extern const int base_limits[2];
static const char *(*const by_pointer)(void) = base_name;
int top(char *line)
{
    int base = base_version();
    return __builtin_sprintf(line, "top %d, base %d, %s, %d", VERSION, base, by_pointer(), base_limits[1]);
}
#else
int top(char *line) { return __builtin_sprintf(line, "top %d, base %d", VERSION, base_version()); }
#endif
"""

PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments)
{
    char line[99];
    void *handle = dlopen("./libtop.so", RTLD_NOW | (count > 1 ? RTLD_GLOBAL : 0));
    int (*top)(char *) = (int (*)(char *))dlsym(handle, "top");
    while (fgets(line, sizeof line, stdin)) {
        top = (int (*)(char *))dlsym(handle, "top");
        top(line);
        puts(line);
        fflush(stdout);
    }
    return 0;
}
"""

LINKED = """
#include <stdio.h>
int top(char *);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        top(line);
        puts(line);
        fflush(stdout);
    }
    return 0;
}
"""
FORKING = """
#include <stdio.h>
#include <unistd.h>
int top(char *);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        pid_t child = fork();
        if (child == 0) {
            top(line);
            for (;;)
                pause();
        }
        printf("child %d\\n", child);
        fflush(stdout);
    }
    return 0;
}
"""
SCRIPT = {1: "V1 { global: base_*; };", 2: "V1 { global: base_version; base_calls; };\nV2 { global: base_*; } V1;"}


def build(bench: Bench, version: int, folder: str, *flags: str) -> None:
    """Both libraries of one version in a folder; the symbols that are new in 2 have a version of their own."""
    place = bench.folder / folder
    place.mkdir(exist_ok=True)
    (place / "script").write_text(SCRIPT[min(version, 2)])
    common = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", *flags)
    bench.compile(
        BASE, f"{folder}/libbase.so.1", *common, "-Wl,-soname,libbase.so.1", f"-Wl,--version-script={place}/script"
    )
    bench.compile(
        TOP,
        f"{folder}/libtop.so",
        *common,
        "-w",
        f"-L{place}",
        "-l:libbase.so.1",
        "-Wl,-rpath,$ORIGIN",
        "-Wl,-soname,libtop.so",
    )


NAMES = ("libtop.so", "libbase.so.1")


def install(bench: Bench, folder: str, *names: str) -> None:
    """Both files, or those with `names`, take their places as dpkg does it: unpacked beside, and then renamed one after
    the other."""
    for name in names or NAMES:
        shutil.copy(bench.folder / folder / name, bench.folder / f"{name}.dpkg-new")
    for name in names or NAMES:
        os.rename(bench.folder / f"{name}.dpkg-new", bench.folder / name)


def bring(bench: Bench, folder: str, program: Program) -> None:
    """Install both files, and wait until the program runs them."""
    install(bench, folder)
    for name in NAMES:
        bench.wait_for_version(f"{folder}/{name}", name, program.pid)


@pytest.fixture(params=["linked", "local", "global"])
def program(bench: Bench, request: pytest.FixtureRequest) -> Program:
    build(bench, 1, "one")
    install(bench, "one")
    if request.param == "linked":
        bench.compile(LINKED, "program", "-L.", "-ltop", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath-link,{bench.folder}")
    else:
        bench.compile(PROGRAM, "program")
    program = bench.run("./program", *(["global"] if request.param == "global" else []))
    for name in ("libtop.so", "libbase.so.1"):
        bench.library(program.pid, name)
    return program


def says(program: Program, line: str) -> None:
    after = len(program.lines)
    program.ask("")
    program.wait_for("top", after)
    assert program.lines[-1] == line


def test_one_needs_what_only_the_other_new_one_has(bench: Bench, program: Program) -> None:
    says(program, "top 1, base 1")
    for version in (2, 3):
        build(bench, version, "next")
        bring(bench, "next", program)
        says(program, f"top {version}, base {version}, new, 50")
    install(bench, "one")
    for name in ("libtop.so", "libbase.so.1"):  # neither needs the other now: each goes by itself
        bench.wait_for_version(f"one/{name}", name, program.pid)
    says(program, "top 1, base 1")
    install(bench, "next")
    for name in ("libtop.so", "libbase.so.1"):
        bench.wait_for_version(f"next/{name}", name, program.pid)
    says(program, "top 3, base 3, new, 50")
    assert program.end() == 0


def test_what_an_old_version_refers_to_does_not_hold_back_who_goes_later(bench: Bench, program: Program) -> None:
    build(bench, 2, "two")
    for _time in range(2):
        bring(bench, "two", program)
        says(program, "top 2, base 2, new, 50")
        for name, line in (("libtop.so", "top 1, base 2"), ("libbase.so.1", "top 1, base 1")):
            install(bench, "one", name)  # what top 2 takes from base 2 is not needed by what runs any more
            bench.wait_for_version(f"one/{name}", name, program.pid)
            says(program, line)
    assert program.end() == 0


@pytest.mark.parametrize("is_known", [False, True], ids=["never opened", "opened before"])
def test_who_comes_long_before_what_it_needs_waits_for_that(bench: Bench, program: Program, is_known: bool) -> None:
    build(bench, 2, "two")
    if is_known:
        for folder, line in (("two", "top 2, base 2, new, 50"), ("one", "top 1, base 1")):
            bring(bench, folder, program)
            says(program, line)
    install(bench, "two", "libtop.so")
    if is_known:
        library = bench.wait_for_library(program.pid, "libtop.so", result="held back", waits_for=["libbase.so.1"])
        assert "needs libbase.so.1, which offers base_" in library["reason"], library
    else:
        bench.wait_for_library(program.pid, "libtop.so", result="refused", reason=containing("libbase.so.1"))
    says(program, "top 1, base 1")
    install(bench, "two", "libbase.so.1")
    bench.wait_for_version("two/libtop.so", "libtop.so", program.pid)
    says(program, "top 2, base 2, new, 50")
    assert program.end() == 0


def test_going_back_alone_to_what_needs_a_newer_version_of_another_waits(bench: Bench, program: Program) -> None:
    build(bench, 2, "two")
    for folder in ("two", "one"):
        bring(bench, folder, program)
    version = hashlib.sha256((bench.folder / "two/libtop.so").read_bytes()).hexdigest()
    asked = [str(LIVESO), "rollback", "libtop.so", version]
    done = subprocess.run(asked, env=bench.environment, capture_output=True, text=True)
    assert done.returncode != 0 and "libbase.so.1" in done.stdout + done.stderr, done
    says(program, "top 1, base 1")


def test_what_only_new_versions_have_goes_on_to_the_newest_of_one_library(bench: Bench, program: Program) -> None:
    build(bench, 2, "two")
    install(bench, "two")
    bench.wait_for_version("two/libtop.so", "libtop.so", program.pid)
    says(program, "top 2, base 2, new, 50")
    build(bench, 3, "three", "-DNAME")
    shutil.copy(bench.folder / "three" / "libbase.so.1", bench.folder / "next")
    os.rename(bench.folder / "next", bench.folder / "libbase.so.1")
    bench.wait_for_version("three/libbase.so.1", "libbase.so.1", program.pid)
    says(program, "top 2, base 3, name 3, 50")
    assert program.end() == 0


def replace_one(bench: Bench, folder: str, name: str) -> None:
    shutil.copy(bench.folder / folder / name, bench.folder / "next-one")
    os.rename(bench.folder / "next-one", bench.folder / name)


def test_what_needs_a_library_that_is_refused_is_held_back(bench: Bench, program: Program) -> None:
    build(bench, 2, "bad", "-DBASE_STARTS")
    install(bench, "bad")
    reason = bench.wait_for_result(program.pid, "libbase.so.1", "refused")["reason"]
    other = bench.wait_for_result(program.pid, "libtop.so", "held back")
    assert other["reason"] == f"it needs libbase.so.1, which is refused: {reason}"
    assert other["waits_for"] == ["libbase.so.1"]
    says(program, "top 1, base 1")
    build(bench, 2, "good")
    replace_one(bench, "good", "libbase.so.1")
    bench.wait_for_result(program.pid, "libtop.so", "updated")
    says(program, "top 2, base 2, new, 50")
    assert program.end() == 0


def test_what_comes_later_is_held_back_by_what_was_refused_before(bench: Bench, program: Program) -> None:
    build(bench, 2, "bad", "-DBASE_STARTS")
    replace_one(bench, "bad", "libbase.so.1")
    bench.wait_for_result(program.pid, "libbase.so.1", "refused")
    replace_one(bench, "bad", "libtop.so")
    bench.wait_for_result(program.pid, "libtop.so", "held back")
    says(program, "top 1, base 1")
    bench.kill_daemon()
    bench.start_daemon()
    bench.wait_for_result(program.pid, "libtop.so", "held back")
    bench.wait_for_result(program.pid, "libbase.so.1", "refused")
    says(program, "top 1, base 1")
    replace_one(bench, "one", "libbase.so.1")
    bench.wait_for_result(program.pid, "libbase.so.1", "current")
    assert program.end() == 0


def test_what_is_needed_goes_in_although_what_needs_it_is_refused(bench: Bench, program: Program) -> None:
    build(bench, 2, "bad", "-DTOP_STARTS")
    install(bench, "bad")
    bench.wait_for_result(program.pid, "libtop.so", "refused")
    bench.wait_for_version("bad/libbase.so.1", "libbase.so.1", program.pid)
    says(program, "top 1, base 2")
    assert program.end() == 0


def refusals_in(bench: Bench, pid: int) -> list[str]:
    assert bench.daemon
    events = f"event=refused pid={pid} ", f"event=held-back pid={pid} "
    return [line for line in bench.daemon.error_lines if any(event in line for event in events)]


def test_what_is_refused_and_held_back_is_so_in_a_child_that_is_made_afterwards(bench: Bench) -> None:
    build(bench, 1, "one")
    install(bench, "one")
    bench.compile(FORKING, "program", "-L.", "-ltop", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath-link,{bench.folder}")
    program = bench.run("./program")
    for name in ("libtop.so", "libbase.so.1"):
        bench.library(program.pid, name)
    build(bench, 2, "bad", "-DBASE_STARTS")
    install(bench, "bad")
    bench.wait_for_result(program.pid, "libbase.so.1", "refused")
    bench.wait_for_result(program.pid, "libtop.so", "held back")
    children = []
    try:
        for number in range(4):
            program.ask("")
            program.wait_for("child", number)
            children.append(int(program.lines[-1].split()[1]))
        for child in children:
            bench.wait_for_result(child, "libtop.so", "held back")
            bench.wait_for_result(child, "libbase.so.1", "refused")
        pids = (program.pid, *children)
        wait_until(lambda: all(len(refusals_in(bench, pid)) >= 2 for pid in pids), "both refused in each")
        for pid in pids:  # once, and not again whenever there is another child
            assert len(refusals_in(bench, pid)) == 2
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
    assert program.end() == 0


def test_a_package_manager_at_work_is_waited_for(idle_bench: Bench) -> None:
    bench = idle_bench
    lock = bench.folder / "lock"
    bench.environment["LIVE_PACKAGE_LOCKS"] = f"/nonexistent:{lock}"
    bench.start_daemon()
    build(bench, 1, "one")
    build(bench, 2, "two")
    install(bench, "one")
    bench.compile(PROGRAM, "program")
    program = bench.run("./program")
    bench.library(program.pid, "libbase.so.1")  # the last one that is loaded: the files are not replaced before
    first = bench.library(program.pid, "libtop.so")["version"]
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        install(bench, "two")
        assert bench.daemon
        bench.daemon.wait_for_error("event=waiting")
        assert bench.library(program.pid, "libtop.so")["version"] == first
        says(program, "top 1, base 1")
    bench.wait_for_version("two/libtop.so", "libtop.so", program.pid)
    says(program, "top 2, base 2, new, 50")
    assert program.end() == 0
