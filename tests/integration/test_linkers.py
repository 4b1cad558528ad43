"""Libraries of each linker keep their variables, thread-local ones too, and their tables, wherever it puts them."""

import shutil

import pytest

from tests.harness import Bench

LINKERS = [it for it in ("bfd", "gold", "lld", "mold") if it != "gold" or shutil.which("ld.gold")]

LIBRARY = """
struct operations { const char *name; int (*run)(int); };
static __thread int before = 3, count = 5;
static __thread struct { int n; } *last;
static int total, seen[40];
static int add(int n) { return total += n + VERSION; }
static int subtract(int n) { return total -= n * VERSION; }
static const struct operations adding = {"adding", add}, subtracting = {"subtracting", subtract};
struct shape { const struct operations *operations; int size; } all[2];
__attribute__((constructor)) static void set_up(void) { all[0].operations = &adding, all[1].operations = &subtracting; }
int *counter(void) { return &count; }
int *first(void) { return &before; }
void *where(void) { return &last; }
int *sum(void) { return &total; }
int step(int n) { count += n, before += 2 * n, seen[n % 40]++; return VERSION; }
int are_known(void) { return (all[0].operations == &adding) + (all[1].operations == &subtracting); }
int run(int n) { return all[n & 1].operations->run(n); }
"""

PROGRAM = """
#include <pthread.h>
#include <stdio.h>
int *counter(void), *first(void), *sum(void), step(int), are_known(void), run(int);
static int *own[2];
static void show(const char *who)
{
    int version = step(1);
    run(1), run(2);
    printf("%s: version %d, known %d, kept %d, count %d %d\\n", who, version, are_known(),
           own[0] == counter() && own[1] == first(), *counter(), *first());
    fflush(stdout);
}
int main(void)
{
    own[0] = counter(), own[1] = first();
    while (getchar() != EOF)
        show("main");
}
"""


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-fno-plt")], ids="".join)
@pytest.mark.parametrize("linker", LINKERS)
def test_variables_and_tables_are_kept(bench: Bench, linker: str, flags: tuple[str, ...]) -> None:
    for version in (1, 2):
        options = (f"-DVERSION={version}", "-fPIC", "-shared", "-s", "-Wl,-soname,libkept.so", "-Wl,-z,now", *flags)
        bench.compile(LIBRARY, f"libkept.{version}.so", f"-fuse-ld={linker}", *options)
    bench.link("libkept.1.so", "libkept.so")
    bench.compile(PROGRAM, "program", "./libkept.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libkept.so")
    for number, version in enumerate((1, 2, 1, 2), start=1):
        assert bench.update_or_refusal(f"libkept.{version}.so", "libkept.so", program.pid) != "refused"
        seen = len(program.lines)
        program.ask("")
        found = program.wait_for("main: ", seen)
        assert found == f"main: version {version}, known 2, kept 1, count {5 + number} {3 + 2 * number}"
    assert program.end() == 0
