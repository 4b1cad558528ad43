"""A library is not updated while something that it needs stays behind, whatever that is, and follows when it may."""

import os
import shutil

from tests.harness import Bench, Program

BASE = """
int base_version(void) { return VERSION; }
#if VERSION > 1 && defined STARTS
int started;
__attribute__((constructor)) static void start(void) { started = 1; }
#endif
"""
TOP = "int base_version(void); int top(void) { return 10 * VERSION + base_version(); }"
MIDDLE = "int base_version(void); int middle(void) { return base_version(); }"
TOP_ON_MIDDLE = "int middle(void); int top(void) { return 10 * VERSION + middle(); }"
PLUGIN = """
#ifdef ALONE
int top(void) { return 10 * VERSION; }
#else
int from_program(void);
int top(void) { return 10 * VERSION + from_program(); }
#endif
"""
PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int from_program(void) { return BUILD; }
int main(void)
{
    char line[99];
    void *handle = 0;
    while (fgets(line, sizeof line, stdin)) {
        handle = handle ? handle : dlopen("./libtop.so", RTLD_NOW);
        int (*top)(void) = (int (*)(void))dlsym(handle, "top");
        printf("top %d\\n", top());
        fflush(stdout);
    }
    return 0;
}
"""
SHARED = ("-O2", "-fPIC", "-shared")


def says(program: Program, line: str) -> None:
    after = len(program.lines)
    program.ask("")
    program.wait_for("top", after)
    assert program.lines[-1] == line


def put(bench: Bench, source: str, name: str, version: int, *flags: str) -> None:
    """Compile a library beside its place, and rename it there."""
    bench.compile(
        source,
        f"new/{name}",
        *SHARED,
        f"-DVERSION={version}",
        f"-Wl,-soname,{name}",
        "-L.",
        "-Wl,-rpath,$ORIGIN",
        *flags,
    )
    shutil.copy(bench.folder / "new" / name, bench.folder / "next")
    os.rename(bench.folder / "next", bench.folder / name)


def build_program(bench: Bench, build: int) -> None:
    bench.compile(PROGRAM, "program", f"-DBUILD={build}", "-O2", "-rdynamic")


def test_a_plugin_waits_for_its_program(bench: Bench) -> None:
    build_program(bench, 1)
    put(bench, PLUGIN, "libtop.so", 1)
    program = bench.run("./program")
    says(program, "top 11")
    bench.library(program.pid, "libtop.so")
    build_program(bench, 2)
    put(bench, PLUGIN, "libtop.so", 2)
    library = bench.wait_for_result(program.pid, "libtop.so", "held back")
    program_is_behind = "is the program itself, and another build of it lies on disk by now: restart the program"
    assert library["reason"] == f"it needs program, which {program_is_behind}"
    says(program, "top 11")
    build_program(bench, 1)
    bench.wait_for_result(program.pid, "libtop.so", "updated")
    says(program, "top 21")
    assert program.end() == 0


def test_a_plugin_that_takes_nothing_from_its_program_does_not_wait_for_it(bench: Bench) -> None:
    build_program(bench, 1)
    put(bench, PLUGIN, "libtop.so", 1, "-DALONE")
    program = bench.run("./program")
    says(program, "top 10")
    bench.library(program.pid, "libtop.so")
    build_program(bench, 2)
    put(bench, PLUGIN, "libtop.so", 2, "-DALONE")
    bench.wait_for_result(program.pid, "libtop.so", "updated")
    says(program, "top 20")
    assert program.end() == 0


def test_a_library_that_was_loaded_later_waits_for_one_that_is_left_as_it_is(bench: Bench) -> None:
    build_program(bench, 1)
    put(bench, BASE, "libbase.so", 1)
    put(bench, TOP, "libtop.so", 1, "-lbase")
    program = bench.run("./program", LIVE_IGNORE="libbase.so")
    put(bench, TOP, "libtop.so", 1, "-lbase", "-DOTHER")
    says(program, "top 11")
    bench.library(program.pid, "libtop.so")
    put(bench, BASE, "libbase.so", 2)
    put(bench, TOP, "libtop.so", 2, "-lbase")
    reason = bench.wait_for_result(program.pid, "libtop.so", "held back")["reason"]
    assert "libbase.so, which is left as it is (LIVE_IGNORE, LIVE_ONLY), and another build" in reason
    put(bench, BASE, "libbase.so", 1)
    bench.wait_for_result(program.pid, "libtop.so", "updated")
    says(program, "top 21")
    assert program.end() == 0


def test_what_a_new_version_brings_along_needs_what_lies_on_disk_too(bench: Bench) -> None:
    build_program(bench, 1)
    put(bench, BASE, "libbase.so", 1)
    put(bench, MIDDLE, "libmiddle.so", 1, "-lbase")
    put(bench, TOP, "libtop.so", 1, "-lbase")
    program = bench.run("./program")
    says(program, "top 11")
    for name in ("libbase.so", "libtop.so"):
        bench.library(program.pid, name)
    put(bench, BASE, "libbase.so", 2, "-DSTARTS")
    bench.wait_for_result(program.pid, "libbase.so", "refused")
    put(bench, TOP_ON_MIDDLE, "libtop.so", 2, "-lmiddle", "-Wl,--allow-shlib-undefined")
    library = bench.wait_for_result(program.pid, "libtop.so", "held back")
    assert library["waits_for"] == ["libbase.so"]
    says(program, "top 11")
    put(bench, BASE, "libbase.so", 2)
    bench.wait_for_result(program.pid, "libtop.so", "updated")
    says(program, "top 22")
    assert program.end() == 0
