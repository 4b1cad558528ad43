"""Variables of made-up libraries that moved, came and went between two versions, matched without their names and held
against the symbol tables that the linker wrote before they were stripped."""

import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from liveso.code import data_references, thread_local_references
from liveso.elf import Image, read_image, tables
from liveso.elf.data import data_layout
from liveso.verdict import judge
from tests.corpus.mutations.build import Build

BUILDS = (("gcc", "-O0"), ("gcc", "-O2"), ("gcc", "-O3"), ("clang", "-O2"))
SEEDS = range(12)
VARIABLES, FUNCTIONS = 40, 50

TYPES = (
    ("static int {0};", "{0} += n;", "return {0} * 3;"),
    ("static int {0} = {1};", "{0} ^= n;", "return {0} + n;"),
    ("static long {0};", "{0} -= n;", "return {0} >> 2;"),
    ("static double {0} = {1}.5;", "{0} *= n;", "return (int){0};"),
    ("static char {0}[{1}];", "{0}[n % {1}] = n;", "return {0}[n % {1}] + {0}[0];"),
    ("static int {0}[{1}] = {{1, {1}}};", "{0}[n % {1}]++;", "for (int *p = {0}; p < &{0}[{1}];) n += *p++; return n;"),
    ("static struct {{ int a; long b; char c[{1}]; }} {0};", "{0}.b += n, {0}.a = 3;", "return {0}.a + {0}.c[1];"),
    ('static const char *{0} = "text {1}";', '{0} = n ? "other {1}" : 0;', "return {0} ? {0}[0] : n;"),
    ("int exported_{0} = {1};", "exported_{0} += n;", "return exported_{0};"),
)


class Source:
    """A library's source: variables with their kinds, and functions that refer to some of them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.variables = [self._variable(number) for number in range(VARIABLES)]
        self.pointers = [(f"p{number}", chance.choice(self.variables)[0]) for number in range(4)]
        self.functions = [self._function(number) for number in range(FUNCTIONS)]

    def _variable(self, number: int) -> tuple[str, int, int]:
        return f"v{number}", self._chance.randrange(len(TYPES)), self._chance.choice((3, 5, 8, 17, 40))

    def _function(self, number: int) -> tuple[str, list[tuple[str, int, int]], str]:
        used = self._chance.sample(self.variables, self._chance.choice((1, 2, 2, 3)))
        return f"f{number}", used, f"n = n * {self._chance.randrange(3, 9999)} + {number};"

    def changed(self) -> "Source":
        """Another version: variables in another order, some new and used, one gone, one in ten functions edited."""
        chance, other = self._chance, Source.__new__(Source)
        other._chance = chance
        gone = chance.choice(self.variables) if chance.random() < 0.3 else None
        other.variables = [it for it in self.variables if it is not gone]
        for number in range(chance.choice((0, 1, 3))):
            other.variables.insert(chance.randrange(len(other.variables)), self._variable(VARIABLES + number))
        for _exchange in range(chance.choice((0, 2, 8))):
            i, j = chance.randrange(len(other.variables)), chance.randrange(len(other.variables))
            other.variables[i], other.variables[j] = other.variables[j], other.variables[i]
        other.pointers = [(name, to) for name, to in self.pointers if not gone or to != gone[0]]
        added = [it for it in other.variables if it not in self.variables]
        other.functions = []
        for name, used, line in self.functions:
            kept = [it for it in used if it is not gone]
            if chance.random() < 0.1:
                line += f" if (n == {chance.randrange(9999)}) return n / 7;"
                kept = kept + added[:1]
            other.functions.append((name, kept or other.variables[:1], line))
        return other

    def text(self, is_thread_local: bool = False) -> str:
        lines = [TYPES[kind][0].format(name, size) for name, kind, size in self.variables]
        if is_thread_local:
            lines = [it.replace("static ", "static __thread ").replace("int exp", "__thread int exp") for it in lines]
        for name, to in self.pointers if not is_thread_local else ():
            _to, kind, _size = next(it for it in self.variables if it[0] == to)
            target = f"exported_{to}" if TYPES[kind][0].startswith("int exported") else to
            lines.append(f"static void *{name} = &{target};")
            lines.append(f"void *get_{name}(void) {{ return {name}; }} void set_{name}(void *p) {{ {name} = p; }}")
        for name, used, line in self.functions:
            body = " ".join(TYPES[kind][1].format(name, size) for name, kind, size in used)
            last = TYPES[used[-1][1]][2].format(used[-1][0], used[-1][2])
            lines.append(f"int {name}(int n) {{ n &= 0xffff; {line} {body} {last} }}")
        return "\n".join(lines) + "\n"


def build(folder: Path, name: str, text: str, compiler: str, level: str, target: str = "") -> tuple[Image, Image]:
    """The library with its symbol table, and without."""
    command = Build(compiler, level, "debug", "now", target).command(is_cpp=False)
    strip = f"{target}-strip" if target else "strip"
    file = folder / f"{name}.so"
    flags = ("-w", "-shared", "-fPIC", "-Wl,-soname,libsubject.so", "-x", "c", "-")
    subprocess.run([*command, level, "-o", file, *flags], input=text, text=True, check=True)
    subprocess.run([strip, "-o", f"{file}.stripped", file], check=True)
    return read_image(file.read_bytes()), read_image(Path(f"{file}.stripped").read_bytes())


def variables(image: Image, is_thread_local: bool = False) -> dict[str, range]:
    """Where the symbol table says that variables lie, in bytes from the start of the data span, or of the block."""
    table, strings = image.section(".symtab"), image.section(".strtab")
    assert table and strings
    text, span = image.section_bytes(strings), data_layout(image).span
    start = 0 if is_thread_local else span.start
    found = {}
    for name, info, _other, _section, value, size in np.frombuffer(image.section_bytes(table), tables.SYMBOL).tolist():
        is_wanted = info & 15 == tables.STT_TLS if is_thread_local else info & 15 == tables.STT_OBJECT and value in span
        if is_wanted and size:
            found[text[name : text.index(b"\0", name)].decode()] = range(value - start, value - start + size)
    return found


def referred(image: Image, is_thread_local: bool = False) -> set[int]:
    """The places of the data span, or of the block, that code refers to."""
    if is_thread_local:
        return set(thread_local_references(image).table["target"].tolist())
    start = data_layout(image).span.start
    return {target - start for target in data_references(image).table["target"].tolist()}


@pytest.mark.parametrize(
    ("is_thread_local", "least_accepted"),
    # code that asks once for the block of each thread cannot be led to old and new variables
    [(False, 0.5), (True, 0.4)],
    ids=["of all threads", "of each thread"],
)
def test_no_variable_is_taken_for_another(tmp_path: Path, is_thread_local: bool, least_accepted: float) -> None:
    accepted = moved = 0
    for compiler, level in BUILDS:
        for seed in SEEDS:
            source = Source(random.Random(seed))
            texts = source.text(is_thread_local), source.changed().text(is_thread_local)
            (old_named, old), (new_named, new) = (
                build(tmp_path, f"{compiler}{level}-{seed}-{number}", text, compiler, level)
                for number, text in enumerate(texts)
            )
            verdict = judge(old, new)
            if any(it.rule not in ("initialiser", "symbol-removed") for it in verdict.refusals(None)):
                continue
            accepted += 1
            before, after = variables(old_named, is_thread_local), variables(new_named, is_thread_local)
            correspondence = verdict.thread_locals if is_thread_local else verdict.correspondence
            assert correspondence is not None
            used = referred(new, is_thread_local)
            for name, places in after.items():
                if not used.intersection(places):
                    continue  # nobody will ever ask where it lives
                found = [correspondence.old(at) for at in places]
                expected = before.get(name)
                if expected is None:  # a new variable may live in what was padding
                    assert not any(it in old for it in found for old in before.values()), (compiler, level, seed, name)
                else:
                    assert found == list(expected), (compiler, level, seed, name)
                    moved += expected != places
    # where two variables cannot be told apart, the verdict rightly refuses
    assert accepted >= least_accepted * len(BUILDS) * len(SEEDS), accepted
    assert moved > 100


ENDS = """
static int first[6]; {0} static int second[10];
static int *const range[2] = {{first, first + 6}};
int *const *const where = range;
int sum(int n) {{ for (int *p = range[0]; p != range[1]; p++) n += *p; return n; }}
int count(int n) {{ return second[n]++ + first[n]; }}
{1}
"""


def test_an_end_that_a_word_holds_is_not_taken_for_the_next_variable(tmp_path: Path) -> None:
    parts = (("", ""), ("static int inserted[40];", "int more(int n) { return inserted[n]++; }"))
    refused = 0
    for number, (compiler, level) in enumerate(BUILDS):
        (old_named, old), (new_named, new) = (
            build(tmp_path, f"{number}{bool(part[0])}", ENDS.format(*part), compiler, level) for part in parts
        )
        verdict = judge(old, new)
        if verdict.refusals(None):
            refused += 1
            continue
        assert verdict.correspondence
        before, after = variables(old_named)["first"], variables(new_named)["first"]
        assert verdict.correspondence.old(after.stop) == before.stop
    assert refused < len(BUILDS)


CALLS = """
#include <pthread.h>
{0}
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_room = PTHREAD_COND_INITIALIZER, has_items = PTHREAD_COND_INITIALIZER;
static long queue[4], first, count;
{1}
void put(long item)
{{
	pthread_mutex_lock(&lock);
	while (count == 4)
		pthread_cond_wait(&has_room, &lock);
	queue[(first + count) % 4] = item;
	count++;
	{2}
}}
long take(void)
{{
	pthread_mutex_lock(&lock);
	while (!count)
		pthread_cond_wait(&has_items, &lock);
	long item = queue[first % 4];
	first++, count--;
	pthread_cond_signal(&has_room);
	pthread_mutex_unlock(&lock);
	return item;
}}
"""


@pytest.mark.parametrize("target", ["", "aarch64-linux-gnu"], ids=["here", "aarch64"])
def test_calls_in_another_order_do_not_exchange_what_they_are_given(tmp_path: Path, target: str) -> None:
    """The function is the same but for addresses, of which some are those of the functions that it calls."""
    parts = (
        ("", "", "pthread_cond_signal(&has_items); pthread_mutex_unlock(&lock);"),
        (
            "static long inserted[60];",
            "long more(int n) { return inserted[n]++; }",
            "pthread_mutex_unlock(&lock); pthread_cond_signal(&has_items);",
        ),
    )
    accepted = 0
    for number, (compiler, level) in enumerate(BUILDS):
        (old_named, old), (new_named, new) = (
            build(tmp_path, f"{number}{bool(part[0])}", CALLS.format(*part), compiler, level, target) for part in parts
        )
        for one, other in ((old_named, new_named), (old, new)):
            verdict = judge(one, other)
            if verdict.refusals(None):
                continue
            accepted += 1
            assert verdict.correspondence
            before, after, start = variables(old_named), variables(new_named), data_layout(new).span.start
            for place, at in data_references(other).table[["place", "target"]].tolist():
                name = next((name for name, places in after.items() if at - start in places), None)
                if name in before:
                    expected = before[name].start + at - start - after[name].start
                    assert verdict.correspondence.led_to(place, at - start) == expected, (compiler, level, name)
    assert accepted
