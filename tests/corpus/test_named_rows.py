"""Functions that a table names by a text beside them are the same for certain, whatever became of their code."""

import pytest

from liveso.code import function_names
from liveso.elf import Image, read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build

BUILDS = [(compiler, level) for compiler in ("gcc", "clang") for level in ("-O0", "-O2")]

FUNCTIONS = """
#include <stdlib.h>
#define API __attribute__((visibility("default")))
API void offer(const void *), take(const void *);
#ifdef NEW
static long one(long *it) { return it[3] * 41 + (it[4] ^ 9); }
static long two(long *it) { it[1] = it[2] / 11; return 900 - it[0]; }
static long three(long *it) { return it[7] > 77 ? it[6] : it[5] * 3; }
static long set(long *it) { return it[1] = abs((int)it[2]); }
#else
static long one(long *it) { return it[0]; }
static long two(long *it) { return -it[1]; }
static long three(long *it) { return it[2] + 5; }
static long set(long *it) { return it[0] = 0; }
#endif
"""
TABLES = {
    "name first": """
struct row { const char *name; long (*run)(long *); int flags; const char *doc; };
static QUALIFIER struct row rows[] = {{"one", one, 1, "the first"}, {"two", two, 4, 0}, {"three", three, 1, 0}, {0}};
""",
    "function first": """
struct row { long (*run)(long *); const char *name; };
static QUALIFIER struct row rows[] = {{one, "one"}, {two, "two"}, {three, "three"}};
""",
    "several in a row": """
struct row { const char *name; long (*get)(long *), (*set)(long *); const char *doc; };
static QUALIFIER struct row rows[] = {{"level", one, set, "its level"}, {"size", two, 0, "its size"}, {"three", three}};
""",
}
USE = "API void start(void) { offer(rows); }\n"


def _names(image: Image) -> dict[int, str]:
    return {address: name for name, address in function_names(image).items()}


def same(build: Build, text: str, *flags: str, compiler: str) -> set[tuple[str, str]]:
    """The functions that are the same in both versions, stripped, by the names that they have where they are not."""
    pairs = []
    for define in ((), ("-DNEW",)):
        whole = read_image(build(text, *flags, *define, compiler=compiler).read_bytes())
        bare = read_image(build(text, *flags, "-s", *define, compiler=compiler).read_bytes())
        pairs.append((_names(whole), bare))
    (old, before), (new, after) = pairs
    return {(old.get(it.old, ""), new.get(it.new, "")) for it in judge(before, after).functions}


@pytest.mark.parametrize("qualifier", ["const", ""])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("compiler", "level"), BUILDS)
def test_a_row_names_its_function(build: Build, compiler: str, level: str, table: str, qualifier: str) -> None:
    text = FUNCTIONS + TABLES[table].replace("QUALIFIER", qualifier) + USE
    found = same(build, text, level, "-fvisibility=hidden", compiler=compiler)
    names = ("one", "two", "three", *(["set"] if table == "several in a row" else []))
    assert {(it, it) for it in names} <= found


ROWS = ('{"one", one, 1, "the first"}', '{"two", two, 4, 0}')
CHANGED = {
    "another convention": ('{"two", two, 4, 0}', '{"two", two, 1, 0}', "two"),
    "two rows exchanged": (
        '{"one", one, 1, "the first"}, {"two", two, 4, 0}',
        '{"two", two, 4, 0}, {"one", one, 1, "the first"}',
        "",
    ),
    "a row before": ('{"one", one,', '{"none", set, 1, 0}, {"one", one,', ""),
    "another function": ('{"two", two, 4, 0}, {"three", three,', '{"two", three, 4, 0}, {"three", two,', ""),
}


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize(("compiler", "level"), BUILDS)
def test_a_row_that_changed_names_none(build: Build, compiler: str, level: str, change: str) -> None:
    before, after, never = CHANGED[change]
    table = TABLES["name first"].replace("QUALIFIER", "const")
    assert before in table
    text = f"{FUNCTIONS}\n#ifdef NEW\n{table.replace(before, after)}\n#else\n{table}\n#endif\n{USE}"
    text += "API void also(void) { take(set); }\n"
    found = same(build, text, level, "-fvisibility=hidden", compiler=compiler)
    if change == "another function":
        assert not found & {("two", "two"), ("three", "three")}
        assert ("one", "one") in found
    else:
        assert all(old == new for old, new in found)
        assert not never or (never, never) not in found


BESIDE = """
struct ops { long (*first)(long *); long (*last)(long *); };
static const struct ops ops = {FUNCTIONS};
static const char *const names[] = {"some name", "another"};
API void start(int i) { offer(&ops); take(names[i & 1]); }
"""


@pytest.mark.parametrize(("compiler", "level"), BUILDS)
def test_what_lies_beside_a_table_is_none_of_it(build: Build, compiler: str, level: str) -> None:
    """The last function is another one, as far from the text as the one before was."""
    old, new = (BESIDE.replace("FUNCTIONS", it) for it in ("one, two", "one, three"))
    text = f"{FUNCTIONS}\n#ifdef NEW\n{new}\n#else\n{old}\n#endif\n"
    found = same(
        build,
        text + "API void also(void) { take(two); take(three); }\n",
        level,
        "-fvisibility=hidden",
        compiler=compiler,
    )
    assert ("two", "three") not in found
