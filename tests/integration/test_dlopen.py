"""Libraries that the program loads and unloads by itself (dlopen(3)): updated like all, and gone when it says."""

import os
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until

PLUGIN = """
#include <stdio.h>
static int calls;
static __thread int own = 100;
int helper(void) { return VERSION; }
void run(void) { printf("version %d, call %d, %d in the thread\\n", helper(), ++calls, own++); fflush(stdout); }
__attribute__((constructor)) static void begin(void) { printf("begin %d\\n", VERSION); }
__attribute__((destructor)) static void end(void) { printf("end after %d\\n", calls); }
"""

PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *handles[9];
static void (*kept)(void);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        char *argument = strtok(line + 2, "\\n");
        int number = line[1] - '0';
        if (line[0] == 'o')
            handles[number] = dlopen(argument, MODE), printf("opened %d %d\\n", number, handles[number] != NULL);
        if (line[0] == 'r') {
            int (*run)(void) = (int (*)(void))dlsym(handles[number], "run");
            printf("run %d\\n", run());
        }
        if (line[0] == 'k')
            kept = (void (*)(void))dlsym(handles[number], "run"), printf("kept\\n");
        if (line[0] == 'R')
            kept();
        if (line[0] == 'c')
            printf("closed %d %d\\n", number, dlclose(handles[number]));
        fflush(stdout);
    }
    return 0;
}
"""


def build(bench: Bench, version: int) -> None:
    flags = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libplugin.so", f"-DVERSION={version}")
    bench.compile(PLUGIN, "plugin.so", *flags)


@pytest.fixture(params=["RTLD_LAZY", "RTLD_NOW|RTLD_GLOBAL"])
def program(bench: Bench, request: pytest.FixtureRequest) -> Program:
    build(bench, 1)
    bench.compile(PROGRAM, "program", f"-DMODE={request.param}")
    program = bench.run("./program")
    wait_until(lambda: any(target["pid"] == program.pid for target in bench.status()), "a target")
    return program


def ask(program: Program, line: str, answer: str) -> None:
    after = len(program.lines)
    program.ask(line)
    program.wait_for(answer, after)


def mapped(program: Program) -> list[str]:
    lines = Path(f"/proc/{program.pid}/maps").read_text().splitlines()
    return [line for line in lines if "plugin.so" in line]


def log_of(bench: Bench) -> list[str]:
    assert bench.daemon
    return bench.daemon.error_lines


def test_a_plugin_goes_with_all_its_versions_when_it_is_unloaded(bench: Bench, program: Program) -> None:
    ask(program, "o0./plugin.so", "opened 0 1")
    ask(program, "r0", "version 1, call 1, 100 in the thread")
    bench.library(program.pid, "plugin.so")
    for version in (2, 3):
        build(bench, version)
        bench.wait_for_version("plugin.so", "plugin.so", program.pid)
        ask(program, "r0", f"version {version}, call {version}, {99 + version} in the thread")
    ask(program, "o1./plugin.so", "opened 1 1")
    ask(program, "r1", "version 3, call 4")
    ask(program, "c1", "closed 1 0")
    ask(program, "r0", "version 3, call 5")
    assert not any("end after" in line for line in program.lines)
    ask(program, "c0", "end after 5")
    program.wait_for("closed 0 0")
    wait_until(lambda: not mapped(program), lambda: "\n".join(["all unmapped", *mapped(program), *log_of(bench)]))
    assert [line for line in program.lines if "begin" in line or "end" in line] == ["begin 1", "end after 5"]

    ask(program, "o0./plugin.so", "begin 3")
    ask(program, "r0", "version 3, call 1, 100 in the thread")
    build(bench, 4)
    bench.wait_for_version("plugin.so", "plugin.so", program.pid)
    ask(program, "r0", "version 4, call 2, 101 in the thread")
    assert program.end() == 0
    assert program.lines[-1] == "end after 2"


def test_what_a_function_calls_that_the_program_keeps_from_a_version_between_is_new(
    bench: Bench, program: Program
) -> None:
    ask(program, "o0./plugin.so", "opened 0 1")
    bench.library(program.pid, "plugin.so")
    for version in (2, 3, 2, 4):
        build(bench, version)
        bench.wait_for_version("plugin.so", "plugin.so", program.pid)
        if version == 2:
            ask(program, "k0", "kept")
        ask(program, "R0", f"version {version}, ")
    assert program.end() == 0


def test_loading_again_at_once_is_clean(bench: Bench, program: Program) -> None:
    """The daemon has no moment to see that the library was gone."""
    ask(program, "o0./plugin.so", "opened 0 1")
    for version in (2, 3, 4, 5):
        bench.library(program.pid, "plugin.so")
        build(bench, version)
        bench.wait_for_version("plugin.so", "plugin.so", program.pid)
        ask(program, "r0", f"version {version}, call 1, ")
        program.ask("c0")
        ask(program, "o0./plugin.so", "opened 0 1")
        ask(program, "r0", f"version {version}, call 1, 100 in the thread")
        program.ask("c0")
        ask(program, "o0./plugin.so", "opened 0 1")
    assert program.end() == 0


def test_a_new_daemon_takes_a_library_that_was_loaded_again_for_what_it_is(bench: Bench, program: Program) -> None:
    ask(program, "o0./plugin.so", "opened 0 1")
    bench.library(program.pid, "plugin.so")
    build(bench, 2)
    bench.wait_for_version("plugin.so", "plugin.so", program.pid)
    bench.kill_daemon()
    ask(program, "c0", "closed 0 0")
    ask(program, "o0./plugin.so", "begin 2")
    bench.start_daemon()
    wait_until(lambda: len({line.split()[-1] for line in mapped(program)}) == 1, "earlier versions unmapped")
    ask(program, "r0", "version 2, call 1, ")
    build(bench, 3)
    bench.wait_for_version("plugin.so", "plugin.so", program.pid)
    ask(program, "r0", "version 3, call 2, ")
    assert program.end() == 0


def test_what_the_program_unloads_while_it_is_updated_is_no_obstacle(bench: Bench, program: Program) -> None:
    """The program opens and closes the library all the time, while versions of it come."""
    for number in range(100):
        if number % 10 == 0:
            build(bench, 1 + number % 2 + number // 10 % 5)
        ask(program, "o0./plugin.so", "opened 0 1")
        ask(program, "r0", "version ")
        ask(program, "c0", "closed 0 0")
    os.rename(bench.folder / "plugin.so", bench.folder / "last.so")
    assert program.end() == 0
    begins = sum("begin" in line for line in program.lines)
    assert begins == sum("end after" in line for line in program.lines) == 100


STARTING = """
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>
int helper(void);
int main(void)
{
    for (clock_t end = clock() + CLOCKS_PER_SEC * TENTHS / 10; clock() < end;) {
        void *handles[6];
        for (int n = 0; n < 6; n++) {
            char path[40];
            snprintf(path, sizeof path, "./module%d.so", n);
            handles[n] = dlopen(path, RTLD_NOW);
        }
        for (int n = 0; n < 6; n++)
            dlclose(handles[n]);
    }
    puts("started"), fflush(stdout);
    while (getchar() != EOF)
        printf("helper %d\\n", helper()), fflush(stdout);
    return 0;
}
"""


@pytest.mark.parametrize("tenths", [1, 3, 6])
def test_a_program_that_unloads_modules_while_it_starts_is_served(bench: Bench, tenths: int) -> None:
    for version in (1, 2):
        flags = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libhelper.so", f"-DVERSION={version}")
        bench.compile("int helper(void) { return VERSION; }", f"libhelper.{version}.so", *flags)
    for number in range(6):
        bench.compile(f"int helper_{number}(int n) {{ return n; }}", f"module{number}.so", "-shared", "-fPIC")
    bench.link("libhelper.1.so", "libhelper.so")
    bench.compile(STARTING, "program", f"-DTENTHS={tenths}", "./libhelper.so", "-Wl,-rpath,$ORIGIN")
    programs = [bench.run("./program") for _ in range(4)]
    for program in programs:
        program.wait_for("started")
        bench.library(program.pid, "libhelper.so")
        program.ask("")
        program.wait_for("helper 1")
    bench.update("libhelper.2.so", "libhelper.so", *(program.pid for program in programs))
    for program in programs:
        program.ask("")
        program.wait_for("helper 2")
        assert program.end() == 0
    assert not [line for line in log_of(bench) if "event=not-served" in line]
