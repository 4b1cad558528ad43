"""Constants whose words count from their own address (the jump table of a `switch`, relative tables of texts): new code
goes on from the new version's, also where both versions' tables hold the same."""

import pytest

from tests.harness import Bench

SWITCH = """
int version(int n)
{
    switch (n & 7) {
    case 0: return step(n, 1) + (0x51234 + VERSION);
    case 1: return step(n * 3, 2) ^ (0x61234 + VERSION);
    case 2: return step(n + 9, 4) ^ (0x71234 + VERSION);
    case 3: return step(n << 3, 9) - (0x51234 + VERSION);
    case 4: return step(n | 3, 5) ^ (0x31234 + VERSION);
    case 5: return step(n & 3, 7) + (0x21234 + VERSION);
    case 6: return step(~n, 8) ^ (0x11234 + VERSION);
    default: return step(-n, 3) | (0x41234 + VERSION);
    }
}
"""

TEXTS = """
__attribute__((noinline)) static const char *name(int n)
{
    switch (n & 7) {
    case 0: return "none of all";
    case 1: return "one of all";
    case 2: return "two of all";
    case 3: return "three " TEXT;
    case 4: return "four of all";
    case 5: return "five of all";
    case 6: return "six of all";
    default: return "more of all";
    }
}
int version(int n)
{
    int all = step(n, 3);
    for (const char *at = name(n); *at; at++)
        all = all * 31 + *at;
    return all;
}
"""

LABELS = """
int version(int n)
{
    static const int places[] = {0, &&second - &&first, &&third - &&first, &&end - &&first};
    goto *(&&first + places[n & 3]);
first:
    n = step(n, 2) * 3 + (0x51234 + VERSION);
second:
    n = step(n, 5) ^ (0x61234 + VERSION);
third:
    n = step(n, 7) - (0x71234 + VERSION);
end:
    return n;
}
"""

LIBRARY = """
static int steps;
static int step(int n, int by) { return steps += n + by; }
int version(int n);
int all(void)
{
    int sum = 0;
    for (int n = 0; n < 16; n++)
        sum = sum * 31 + version(n);
    steps = 0;
    return sum;
}
"""

PROGRAM = """
#include <stdio.h>
int all(void);
int main(void)
{
    while (getchar() != EOF)
        printf("sum %d\\n", all()), fflush(stdout);
}
"""

MEMBERS = {
    "jump table": ("gcc", SWITCH, ()),
    "jump table without optimisation": ("gcc", SWITCH, ("-O0",)),
    "jump table of clang": ("clang", SWITCH, ()),
    "jump table and marked branches": ("gcc", SWITCH, ("-fcf-protection=full",)),
    "relative texts": ("clang", TEXTS, ()),
    "distances of labels": ("gcc", LABELS, ()),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_new_code_goes_on_from_its_own_table(bench: Bench, name: str) -> None:
    compiler, text, flags = MEMBERS[name]
    for version, word in ((1, "old"), (2, "new")):
        options = (f"-DVERSION={version}", f'-DTEXT="{word}"', "-fPIC", "-shared", "-s", "-Wl,-soname,liball.so")
        bench.compile(LIBRARY + text, f"liball.{version}.so", "-O2", *options, *flags, compiler=compiler)
    bench.link("liball.2.so", "liball.so")
    bench.compile(PROGRAM, "program", "./liball.so", "-Wl,-rpath,$ORIGIN")
    plain = bench.run_plain("./program")
    plain.ask("")
    wanted = plain.wait_for("sum")
    bench.link("liball.1.so", "liball.so")
    program = bench.run("./program")
    bench.library(program.pid, "liball.so")
    program.ask("")
    assert program.wait_for("sum") != wanted
    assert bench.update_or_refusal("liball.2.so", "liball.so", program.pid) == "updated"
    before = len(program.lines)
    program.ask("")
    assert program.wait_for("sum", before) == wanted
    assert plain.end() == program.end() == 0
