"""Constants whose words count from their own address (the jump table of a `switch`, relative tables of texts): new code
goes on from the new version's, also where both versions' tables hold the same. What their words lead to keeps its
address where code compares with it."""

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


BY_SWITCH = """
static const char none[] = "none of all";
__attribute__((noinline)) static const char *name(int n)
{
    switch (n & 7) {
    case 0: return none;
    case 1: return "one of all";
    case 2: return "two of all";
    case 3: return "three " TEXT;
    case 4: return "four of all";
    case 5: return "five of all";
    case 6: return "six of all";
    default: return "more of all";
    }
}
"""

BY_ARRAY = """
static const char none[] = "none of all";
__attribute__((noinline)) static const char *name(int n)
{
    static const char *const names[] = {none, "one of all", "two of all", "three " TEXT, "four of all", "five of all"};
    return names[(unsigned)n % 6];
}
"""

OF_NUMBERS = """
static const long none[] = {17, 4, 42};
__attribute__((noinline)) static const void *name(int n)
{
    static const long first[] = {1, 2, 3 + VERSION}, second[] = {4, 5, 6}, third[] = {7, 8, 9}, more[] = {10, 11, 12};
    static const void *const all[] = {none, first, second, third, more};
    return all[(unsigned)n % 5];
}
"""

OF_POINTERS = """
struct node { const char *name; int (*act)(int); };
static int one(int n) { return n * 7 ^ 5; }
static int two(int n) { return n > 3 ? n - 9 : n / 7; }
static const struct node none[] = {{"the first", one}}, b = {"the second", two}, c = {"the third", one};
static const struct node d = {"a fourth", two};
__attribute__((noinline)) static const void *name(int n)
{
    switch (n) {
    case 0: return none;
    case 1: return &b;
    case 2: return &c;
    case 3: return &d;
    }
    return 0;
}
int act(const struct node *it, int n) { return it->act(n); }
"""

OBJECTS = """
#include <stdlib.h>
struct object { const void *name; };
struct object *make(int n)
{
    struct object *it = malloc(sizeof *it);
    it->name = name(n);
    return it;
}
int is_none(const struct object *it) { return it->name == (const void *)none; }
int version(void) { return VERSION; }
"""

OWNER = """
#include <stdio.h>
struct object;
struct object *make(int);
int is_none(const struct object *), version(void);
int main(void)
{
    struct object *first[] = {make(0), make(1)};
    while (getchar() != EOF) {
        struct object *second[] = {make(0), make(1)};
        printf("version %d: before %d %d, now %d %d\\n", version(), is_none(first[0]), is_none(first[1]),
               is_none(second[0]), is_none(second[1]));
        fflush(stdout);
    }
}
"""

COMPARED = {"switch": BY_SWITCH, "array": BY_ARRAY, "numbers": OF_NUMBERS, "pointers": OF_POINTERS}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", COMPARED)
def test_what_a_distance_leads_to_is_known_again(bench: Bench, name: str, compiler: str) -> None:
    for version, text in ((1, "of all"), (2, "of all that there is, and of some more")):
        options = (f"-DVERSION={version}", f'-DTEXT="{text}"', "-fPIC", "-shared", "-s", "-Wl,-soname,liball.so")
        bench.compile(COMPARED[name] + OBJECTS, f"liball.{version}.so", "-O2", *options, compiler=compiler)
    bench.link("liball.1.so", "liball.so")
    bench.compile(OWNER, "program", "./liball.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "liball.so")
    for version in (1, 2, 1, 2):
        if version == 2 or program.lines:
            assert bench.update_or_refusal(f"liball.{version}.so", "liball.so", program.pid) == "updated"
        program.ask("")
        program.wait_for(f"version {version}: before 1 0, now 1 0")
    assert program.end() == 0
