"""Objects that end in an array of any length, which the new version declares otherwise: `s[1]`, `s[]`."""

from pathlib import Path

import pytest

from tests.harness import Bench

PAIRS = Path(__file__).parent.parent / "corpus" / "pairs"
PROGRAM = """
#include <stdio.h>
#include <string.h>
struct name *name_new(const char *), *name_find(const char *);
char name_at(struct name *, unsigned long);
int main(void)
{
	char line[100];
	struct name *first = name_new("first"), *empty = name_new("");
	while (fgets(line, sizeof line, stdin)) {
		struct name *made;
		line[strcspn(line, "\\n")] = 0;
		made = name_new(line);
		printf("found %d %d %d, ends %c%c\\n", name_find("first") == first, name_find("") == empty,
			name_find(line) == made, name_at(first, 4), name_at(made, strlen(line) - 1));
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("symbols", ["-s", "-g"])
def test_names_from_before_are_found_beside_new_ones(bench: Bench, compiler: str, symbols: str) -> None:
    source = (PAIRS / "harmless" / "open_array_at_the_end.c").read_text()
    options = ("-O2", "-w", "-fPIC", "-shared", "-Wl,-soname,libnames.so", f"-I{PAIRS}", symbols)
    bench.compile(source, "libnames.1.so", *options, compiler=compiler)
    bench.compile(source, "libnames.2.so", "-DNEW", *options, compiler=compiler)
    bench.link("libnames.1.so", "libnames.so")
    bench.compile(PROGRAM, "program", "./libnames.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libnames.so")
    program.ask("second")
    program.wait_for("found 1 1 1, ends td")
    bench.update("libnames.2.so", "libnames.so", program.pid)
    program.ask("a third one")
    program.wait_for("found 1 1 1, ends te")
