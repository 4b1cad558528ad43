"""Tables whose element 0 code has an address for, though it only uses those from the index 1 on: that address lies
before the table, in another variable, another section, or what the linker keeps there."""

import pytest

from tests.harness import Bench, Program

LIBRARY = """
void visit(long value, int number, int version);
#if VERSION == 2 && defined(MOVED)
long before[3] __attribute__((visibility("hidden"))) = {900, 901, 902};
#endif
#ifdef WRITABLE
long table[24] __attribute__((visibility("hidden"))) = {1, 2, 3, 4, 5};
#elif defined(POINTERS)
static const char *const table[24] = {"one", "two", VERSION == 2 ? "THREE" : "three", "four", "five"};
#else
static const long table[24] = {1, 2, VERSION == 2 ? 33 : 3, 4, 5};
#endif
#if VERSION == 2 && defined(MOVED)
long after[3] __attribute__((visibility("hidden"))) = {910, 911, 912};
void change(int at)
{
	before[at]++;
	after[at]++;
}
#endif
void each(int count)
{
	for (long i = 0; i < count; i++)
		visit((long)table[i], i + FROM, VERSION);
}
void all(void)
{
	for (long i = 0; i < 24; i++)
		visit((long)table[i], i + FROM, VERSION);
}
#ifdef WRITABLE
void set(int at, long value)
{
	table[at] = value;
}
#else
void set(int at, long value)
{
}
#endif
"""
PROGRAM = """
#include <stdio.h>
void all(void), set(int, long);
static int shown;
void visit(long value, int number, int version)
{
	if (shown++ == 0)
		printf("version %d:", version);
	if (shown <= 5)
		printf(POINTERS ? " %s" : " %ld", value);
	if (shown == 24)
		printf(" to %d\\n", number), shown = 0;
	fflush(stdout);
}
int main(void)
{
	char line[100];
	set(1, 222);
	while (fgets(line, sizeof line, stdin)) {
		all();
		set(3, 444);
	}
	return 0;
}
"""
WRITABLE, POINTERS, NUMBERS = "-DWRITABLE", "-DPOINTERS", "-DNUMBERS"


def start(bench: Bench, compiler: str, *flags: str) -> Program:
    options = ("-O2", "-fPIC", "-shared", "-s", "-Wl,-soname,libtable.so", "-fno-unroll-loops", *flags)
    for version in (1, 2):
        bench.compile(LIBRARY, f"libtable.{version}.so", f"-DVERSION={version}", *options, compiler=compiler)
    bench.link("libtable.1.so", "libtable.so")
    shown = f"-DPOINTERS={int(POINTERS in flags)}"
    bench.compile(PROGRAM, "program", "./libtable.so", "-Wl,-rpath,$ORIGIN", "-rdynamic", shown)
    program = bench.run("./program")
    bench.library(program.pid, "libtable.so")
    return program


def ask(program: Program) -> str:
    seen = len(program.lines)
    program.ask("")
    return program.wait_for("version", seen)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("kind", [WRITABLE, POINTERS, NUMBERS])
def test_a_table_is_used_from_its_first_element_on(bench: Bench, compiler: str, first: int, kind: str) -> None:
    program = start(bench, compiler, kind, f"-DFROM={first}")
    three = {POINTERS: ("one two three", "one two THREE"), NUMBERS: ("1 2 3", "1 2 33"), WRITABLE: ("1 222 3",) * 2}
    rest = {POINTERS: "four five", NUMBERS: "4 5", WRITABLE: "444 5"}[kind]
    ask(program)
    for version in (2, 1):
        bench.update(f"libtable.{version}.so", "libtable.so", program.pid)
        assert ask(program) == f"version {version}: {three[kind][version - 1]} {rest} to {23 + first}"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("first", [1, 3])
def test_a_table_that_moved_keeps_its_elements(bench: Bench, compiler: str, first: int) -> None:
    program = start(bench, compiler, WRITABLE, "-DMOVED", f"-DFROM={first}")
    ask(program)
    for version in (2, 1, 2):
        bench.update(f"libtable.{version}.so", "libtable.so", program.pid)
        assert ask(program) == f"version {version}: 1 222 3 444 5 to {23 + first}"
