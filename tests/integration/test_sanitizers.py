"""Programs that a sanitizer watches: it wraps functions of the C library, and ends what it does not understand."""

import subprocess
from pathlib import Path

import pytest

from tests.harness import AGENT, Bench, Program

LIBRARY = "static int calls; int version(void) { calls++; return VERSION; } int count(void) { return calls; }"

PROGRAM = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int version(void), count(void);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *allocate(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        char *text = malloc(1000);
        pthread_mutex_lock(&lock);
        memset(text, i, 1000);
        pthread_mutex_unlock(&lock);
        free(text);
    }
    return unused;
}
static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}
int main(void)
{
    char line[9];
    pthread_t other;
    pthread_create(&other, NULL, wait_for_ever, NULL);
    pthread_detach(other);
    while (fgets(line, sizeof line, stdin)) {
        pthread_t thread;
        pthread_create(&thread, NULL, allocate, NULL);
        pthread_join(thread, NULL);
        printf("version %d", version());
        printf(", calls %d\\n", count());
        fflush(stdout);
    }
    return 0;
}
"""


def build(bench: Bench, *flags: str) -> None:
    for version in (1, 2, 3):
        output = f"libtold.{version}.so"
        bench.compile(LIBRARY, output, "-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libtold.so")
    bench.link("libtold.1.so", "libtold.so")
    bench.compile(PROGRAM, "program", "-O1", "-g", "-pthread", "-L.", "-ltold", "-Wl,-rpath,$ORIGIN", *flags)


def runtime(name: str) -> str:
    path = subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
    if not Path(path).is_absolute():
        pytest.skip(f"there is no {name}")
    return path


def answer(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("version", before)


def expect_updates(bench: Bench, program: Program) -> None:
    bench.library(program.pid, "libtold.so")
    assert answer(program) == "version 1, calls 1"
    for calls, version in enumerate((2, 1, 3, 2, 1), 2):
        bench.update(f"libtold.{version}.so", "libtold.so", program.pid)
        assert answer(program) == f"version {version}, calls {calls}"
    assert program.end() == 0, program.output()
    assert not [line for line in program.error_lines if "ERROR" in line or "WARNING" in line], program.output()


@pytest.mark.parametrize("sanitizer", ["address", "thread", "undefined"])
def test_a_program_with_a_sanitizer_is_updated_back_and_forth(bench: Bench, sanitizer: str) -> None:
    """gcc's runtimes want to be the first library, which live.so would be: so they are preloaded before it."""
    first = runtime({"address": "libasan.so", "thread": "libtsan.so", "undefined": "libubsan.so"}[sanitizer])
    build(bench, f"-fsanitize={sanitizer}")
    preload = f"{first}:{AGENT}"
    expect_updates(bench, bench.run("./program", LD_PRELOAD=preload, LIVE_LOGLEVEL="1"))


def test_a_program_with_the_runtime_inside_is_updated_back_and_forth(bench: Bench) -> None:
    runtime("libasan.a")
    build(bench, "-fsanitize=address", "-static-libasan")
    expect_updates(bench, bench.run("./program", LIVE_LOGLEVEL="1"))
