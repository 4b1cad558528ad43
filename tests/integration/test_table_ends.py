"""A loop over a constant table ends where the table ends, also behind entries that are zero."""

import pytest

from tests.harness import Bench

# the entries of zeros belong to the table, and look like padding; the text after it makes the next object another one
WALK = """
struct entry { long kind; long (*run)(long); };
__attribute__((noinline)) static long twice(long it) { return 2 * it + VERSION * 1000; }
__attribute__((noinline)) static long thrice(long it) { return 3 * it + VERSION * 2000; }
static const struct entry dispatch[] = {{1, twice}, {2, thrice}, {0, 0}, {0, 0}};
static const char *const names[] = {TEXT, "second name", "third name"};
const char *volatile chosen;
static int seen;
"""
BY_CODE = """
int walk(void)
{
	seen = 0;
	chosen = names[(unsigned long)chosen % 3];
	for (const struct entry *it = dispatch; it != dispatch + 4; it++) {
		__asm__ volatile("" : "+r"(it));
		if (++seen > 1000)
			return -1;
		if (it->run)
			chosen = it->run(it->kind) ? chosen : 0;
	}
	return VERSION * 100 + seen;
}
"""
BY_WORDS = """
static const struct { const struct entry *first, *end; } range = {dispatch, dispatch + 4};
int walk(void)
{
	seen = 0;
	chosen = names[(unsigned long)chosen % 3];
	const void *volatile where = &range;
	const struct entry *const *bounds = (const struct entry *const *)where;
	for (const struct entry *it = bounds[0]; it != bounds[1]; it++) {
		if (++seen > 1000)
			return -1;
		if (it->run)
			chosen = it->run(it->kind) ? chosen : 0;
	}
	return VERSION * 100 + seen;
}
"""
PROGRAM = """
#include <stdio.h>
int walk(void);
int main(void)
{
	char line[99];
	while (fgets(line, sizeof line, stdin)) {
		printf("walked %d\\n", walk());
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("source", [BY_CODE, BY_WORDS], ids=["code", "words"])
def test_a_loop_over_a_table_ends_where_the_table_ends(bench: Bench, source: str, compiler: str) -> None:
    for version in (1, 2):
        order = ["-fno-toplevel-reorder"] if compiler == "gcc" else []
        flags = (*order, "-O2", "-s", "-w", "-fPIC", "-shared", f"-DVERSION={version}", f'-DTEXT="text {version}"')
        bench.compile(WALK + source, f"libwalk.{version}.so", *flags, "-Wl,-soname,libwalk.so", compiler=compiler)
    bench.link("libwalk.1.so", "libwalk.so")
    bench.compile(PROGRAM, "program", "./libwalk.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libwalk.so")
    program.ask("")
    program.wait_for("walked 104")
    for version in (2, 1, 2):
        bench.update(f"libwalk.{version}.so", "libwalk.so", program.pid)
        seen = len(program.lines)
        program.ask("")
        program.wait_for(f"walked {version}04", after=seen)
    assert program.end() == 0
