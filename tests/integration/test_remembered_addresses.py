"""No address changes its meaning: what a program remembers of functions, constants and tables leads to the version that
runs, and the library knows it again, however often it is updated."""

import os
import re
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.holder.registers import SEIZE, ptrace
from tests.harness import Bench, Program, wait_until

PROGRAMS = Path(__file__).parent / "programs"
BUILDS = [
    ("gcc", ("-O0", "-s")),
    ("gcc", ("-O2", "-s", "-fvisibility=hidden")),
    ("gcc", ("-O2", "-g", "-fcf-protection=full", "-Wl,-z,now", "-Wl,-Bsymbolic")),
    ("clang", ("-O2", "-s", "-fvisibility=hidden", "-Wl,-z,lazy")),
]
KNOWN = 15  # all four kinds of addresses


def answers(program: Program) -> list[str]:
    before = len(program.lines)
    program.ask("")
    program.wait_for("child: ", before)
    return program.lines[before:]


@pytest.mark.parametrize(("compiler", "flags"), BUILDS, ids=lambda it: it if isinstance(it, str) else "".join(it))
def test_what_is_remembered_leads_to_the_version_that_runs(bench: Bench, compiler: str, flags: tuple[str, ...]) -> None:
    for version in (1, 2, 3):
        options = ("-fPIC", "-shared", "-Wl,-soname,libitems.so", f"-DVERSION={version}", *flags)
        bench.compile(PROGRAMS / "remembered.c", f"libitems.{version}.so", *options, compiler=compiler)
    bench.link("libitems.1.so", "libitems.so")
    bench.compile(PROGRAMS / "remember.c", "remember", "-O2", "-pthread", "./libitems.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./remember")
    bench.library(program.pid, "libitems.so")
    for items, version in enumerate((1, 2, 3, 1, 3, 2, 1), start=2):
        bench.update(f"libitems.{version}.so", "libitems.so", program.pid)
        bench.wait_for_library(program.pid, "libitems.so", stale_functions=[])
        found = answers(program)
        assert "another address" not in found
        assert {int(line.split()[1]) for line in found if line.startswith("thread")} == {30 + version}
        shown = [line for line in found if re.match("parent|child", line)]
        run = range((10 + version) * 1000 + 20 + version, (20 + version) * 1000 + 40 + version + 1)
        for who, line in zip(("parent", "child"), shown, strict=True):
            facts = f"{who}: version {version}, {items} items, known {KNOWN}, run {run[0]} to {run[-1]}"
            assert line == f"{facts}, worker {30 + version}"
    assert program.end() == 0


POOL = """
#include <stdio.h>
static void (*functions[64])(void *);
static void *arguments[64];
static int count;
void pool_register(void *it, void (*function)(void *)) { functions[count] = function, arguments[count++] = it; }
void pool_kill(void *it, void (*function)(void *))
{
    for (int i = 0; i < count; i++)
        if (functions[i] == function && arguments[i] == it) {
            functions[i] = functions[--count], arguments[i] = arguments[count];
            return;
        }
    printf("not found\\n");
}
void pool_clear(void) { while (count) count--, functions[count](arguments[count]); }
"""

KEEPER = """
void pool_register(void *, void (*)(void *)), pool_kill(void *, void (*)(void *));
static int made;
static void cleanup(void *it) { made -= VERSION * *(int *)it; }
void keep(int *it) { made++; pool_register(it, cleanup); }
void leave(int *it) { pool_kill(it, cleanup); made += VERSION - VERSION; }
int kept(void) { return made; }
int version(void) { return VERSION; }
"""

POOL_PROGRAM = """
#include <stdio.h>
void keep(int *), leave(int *), pool_clear(void);
int kept(void), version(void);
int main(void)
{
    static int numbers[64] = {100, 100, 100, 100};
    char line[9];
    int next = 0;
    keep(&numbers[next++]);
    keep(&numbers[next++]);
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'l') leave(&numbers[0]);
        if (line[0] == 'c') pool_clear();
        printf("version %d, kept %d\\n", version(), kept());
        fflush(stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_what_was_handed_to_another_library_is_found_there_again(bench: Bench, compiler: str) -> None:
    bench.compile(POOL, "libpool.so", "-O2", "-fPIC", "-shared", "-Wl,-soname,libpool.so")
    for version in (1, 2):
        flags = ("-O2", "-fPIC", "-shared", "-s", f"-DVERSION={version}", "-Wl,-soname,libkeeper.so", "./libpool.so")
        bench.compile(KEEPER, f"libkeeper.{version}.so", *flags, compiler=compiler)
    bench.link("libkeeper.1.so", "libkeeper.so")
    bench.compile(POOL_PROGRAM, "program", "-O2", "./libkeeper.so", "./libpool.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libkeeper.so")
    bench.update("libkeeper.2.so", "libkeeper.so", program.pid)
    program.ask("l")
    program.wait_for("version 2, kept 2")
    assert "not found" not in program.lines
    program.ask("c")
    program.wait_for("version 2, kept -198")  # the one that is left is cleaned up by the new version
    assert program.end() == 0


ASKED = """
#include <stdio.h>
int version(void);
int main(void)
{
    while (getchar() > 0)
        printf("%d\\n", version()), fflush(stdout);
    return 0;
}
"""
INTERRUPT, DETACH = 0x4207, 17  # ptrace(2)
ALL_THREADS = 0x4000_0000  # waitpid(2), __WALL


def test_a_program_that_is_traced_is_updated_when_it_is_not_any_more(bench: Bench) -> None:
    for version in (1, 2):
        text = f"int version(void) {{ return {version}; }}"
        bench.compile(text, f"libplain.{version}.so", "-O2", "-fPIC", "-shared", "-Wl,-soname,libplain.so")
    bench.link("libplain.1.so", "libplain.so")
    bench.compile(ASKED, "program", "./libplain.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libplain.so")
    assert ptrace(SEIZE, program.pid)
    bench.link("libplain.2.so", "libplain.so")
    found = bench.wait_for_result(program.pid, "libplain.so", "refused")
    assert found["reason"] == f"it could not be done: process {os.getpid()} traces it already"
    program.ask("")
    program.wait_for("1")
    assert ptrace(INTERRUPT, program.pid)
    os.waitpid(program.pid, ALL_THREADS)
    assert ptrace(DETACH, program.pid)
    bench.wait_for_result(program.pid, "libplain.so", "updated")
    program.ask("")
    program.wait_for("2")
    assert program.end() == 0


@pytest.mark.parametrize(("compiler", "flags"), BUILDS, ids=lambda it: it if isinstance(it, str) else "".join(it))
def test_constants_are_known_again_by_what_tables_hold(bench: Bench, compiler: str, flags: tuple[str, ...]) -> None:
    """Labels and kinds that come out of a table, and literals that code stores, are compared with no constant's
    address: only with what memory holds."""
    for version in (1, 2, 3):
        options = ("-fPIC", "-shared", "-Wl,-soname,liblabels.so", f"-DVERSION={version}", "-fvisibility=default")
        bench.compile(PROGRAMS / "labels.c", f"liblabels.{version}.so", *flags, *options, compiler=compiler)
    bench.link("liblabels.1.so", "liblabels.so")
    bench.compile(PROGRAMS / "label.c", "label", "-O2", "./liblabels.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./label")
    bench.library(program.pid, "liblabels.so")
    for version in (1, 2, 3, 1, 3, 2, 1):
        bench.update(f"liblabels.{version}.so", "liblabels.so", program.pid)
        before = len(program.lines)
        program.ask("")
        program.wait_for("version", before)
        assert program.lines[before:] == [f"version {version}, known 63"]
    assert program.end() == 0


BOUND_LATER = """
#include <stdio.h>
int version(void), other(void);
int main(void)
{
    while (getchar() > 0) {
        printf("%d\\n", version() + other());
        fflush(stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("kind", ["-pie", "-no-pie"])
def test_slots_that_are_bound_after_an_update_lead_on_directly_soon(bench: Bench, kind: str) -> None:
    for version in (1, 2):
        text = f"int version(void) {{ return {version}; }} int other(void) {{ return 10; }}"
        bench.compile(text, f"liblate.{version}.so", "-O2", "-fPIC", "-shared", "-Wl,-soname,liblate.so")
    bench.link("liblate.1.so", "liblate.so")
    bench.compile(BOUND_LATER, "program", "-O2", kind, "./liblate.so", "-Wl,-rpath,$ORIGIN,-z,lazy")
    program = bench.run("./program")
    bench.library(program.pid, "liblate.so")
    bench.update("liblate.2.so", "liblate.so", program.pid)
    program.ask("")
    program.wait_for("12")
    image = read_image((bench.folder / "program").read_bytes(), may_be_program=True)
    slots = image.relocations["offset"][image.relocations["type"] == image.machine.jump_slot].tolist()

    def leads_directly() -> bool:
        maps = [line.split() for line in Path(f"/proc/{program.pid}/maps").read_text().splitlines()]
        base = next(int(it[0].split("-")[0], 16) for it in maps if it[-1].endswith("/program"))
        new = [
            [int(at, 16) for at in it[0].split("-")] for it in maps if "/store/" in it[-1] and "liblate.so" in it[-1]
        ]
        with Path(f"/proc/{program.pid}/mem").open("rb", buffering=0) as memory:
            values = [os.pread(memory.fileno(), 8, at + (base if kind == "-pie" else 0)) for at in slots]
        found = [int.from_bytes(it, "little") for it in values]
        return sum(any(low <= value < high for low, high in new) for value in found) == 2

    wait_until(leads_directly, "slots that lead to the new version")
    bench.update("liblate.1.so", "liblate.so", program.pid)
    program.ask("")
    program.wait_for("11")
    assert program.end() == 0
