"""`liveso check --plan`: what it says is what an update does, word by word, in the memory of a process."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from liveso.elf import read_image
from liveso.process import memory_map, proc
from tests.harness import LIVESO, Bench

LIBRARY = """
#include <stdio.h>
#define API __attribute__((visibility("default")))
#ifdef NEW
static int fresh = 5;
API int added(void) { return ++fresh; }
#define LEVEL 4
#define STEP 100
#else
#define LEVEL 3
#define STEP 1
#endif
static __thread int seen = 3;
static int count;
API int level = LEVEL;
static int twice(int x) { count += x; return 2 * x + STEP; }
static int thrice(int x) { count -= x; return 3 * x + STEP; }
static int (*const table[])(int) = {twice, thrice};
static const char *const names[] = {"twice", "thrice"};
API const char *name(int i) { return names[i & 1]; }
API int step(int x) { return table[x & 1](x) + ++seen + count + level; }
API void *entry(void) { return (void *)twice; }
API int greet(void) { return puts("hello"); }
"""
PROGRAM = """
#include <stdio.h>
int step(int); const char *name(int);
int main(void) { char line[9]; do printf("%d %s\\n", step(1), name(1)), fflush(stdout); while (fgets(line, 9, stdin)); }
"""
LAYOUT = """
#include <stdlib.h>
struct it { %s long b, c; };
struct it *make(void) { struct it *new = malloc(sizeof *new); new->b = 1; new->c = 2; return new; }
long sum(struct it *it) { return it->b * 3 + it->c; }
"""
MODULES = 100  # a module ID is another in each process
BUILDS = [("gcc", ("-O2", "-s")), ("gcc", ("-O0", "-g", "-Wl,-z,now")), ("clang", ("-O2", "-s", "-fvisibility=hidden"))]


def plan_of(*arguments: str | Path, code: int = 0) -> Any:
    done = subprocess.run(
        [LIVESO, "check", "--plan", "--json", *arguments],
        env={**os.environ, "LIVE_STORE": str(Path(arguments[0]).parent / "own-store")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code and not done.stderr
    return json.loads(done.stdout)[0]["plan"]


def start_of(pid: int, name: str) -> int:
    return min(it.start for it in memory_map.mappings(pid, pid) if it.file and name in it.file.path)


@pytest.mark.parametrize(("compiler", "flags"), BUILDS, ids=str)
def test_what_is_planned_is_what_an_update_writes(bench: Bench, compiler: str, flags: tuple[str, ...]) -> None:
    options = ("-fPIC", "-shared", "-Wl,-soname,libplan.so", *flags)
    old = bench.compile(LIBRARY, "libplan.1.so", *options, compiler=compiler)
    new = bench.compile(LIBRARY, "libplan.2.so", *options, "-DNEW", compiler=compiler)
    bench.link("libplan.1.so", "libplan.so")
    bench.compile(PROGRAM, "program", "./libplan.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libplan.so")
    bases = {"old": start_of(program.pid, "libplan.1.so")}
    bench.update("libplan.2.so", "libplan.so", program.pid)
    store = os.path.join(bench.environment["LIVE_STORE"], "")
    bases["new"] = start_of(program.pid, store)
    plan = plan_of(old, new)
    planned = {"old": plan["old_base"], "new": plan["new_base"]}

    sizes = {which: int(read_image(it.read_bytes()).size_in_memory) for which, it in (("old", old), ("new", new))}

    def here(address: int) -> int:
        """The same in the process."""
        for which, size in sizes.items():
            if planned[which] <= address <= planned[which] + size:
                return int(address - planned[which] + bases[which])
        return address

    kinds = {it["what"] for it in plan["changes"]}
    assert {"jump", "relinked reference", "relinked word", "initial values"} <= kinds
    for it in plan["changes"]:
        which, _plus, offset = it["place"].partition(" ")[0].partition("+")
        place = bases[which] + int(offset, 16)
        if it["what"] == "jump":
            content = proc.read_memory(program.pid, program.pid, place, 5)
            planned_target = planned[which] + int(offset, 16) + 5 + distance(it["after"].to_bytes(5, "little"))
            assert place + 5 + distance(content) == here(planned_target)
        elif it["what"] == "relinked reference":
            content = proc.read_memory(program.pid, program.pid, place, 4)
            moved = int.from_bytes(content, "little") - it["after"]
            assert moved % (1 << 32) == (bases["old"] - bases["new"] - planned["old"] + planned["new"]) % (1 << 32)
        elif it["what"] != "slots" and not (it["what"] == "relinked word" and it["after"] <= MODULES):
            content = proc.read_memory(program.pid, program.pid, place, 8)
            assert int.from_bytes(content, "little") in (here(it["after"]), it["after"])
    program.ask("")
    assert program.end() == 0


def distance(jump: bytes) -> int:
    assert jump[:1] == b"\xe9"
    return int.from_bytes(jump[1:], "little", signed=True)


def test_it_prints_a_summary_and_each_place_if_asked(idle_bench: Bench) -> None:
    options = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libplan.so")
    old = idle_bench.compile(LIBRARY, "old.so", *options)
    new = idle_bench.compile(LIBRARY, "new.so", *options, "-DNEW")

    def lines(*arguments: str | Path) -> list[str]:
        command = [LIVESO, "check", "--plan", *arguments]
        done = subprocess.run(command, env=idle_bench.environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout.splitlines()

    shown = lines(old, new)
    start = next(index for index, line in enumerate(shown) if line.startswith("  the plan"))
    assert [line.split()[0] for line in shown[start + 1 : start + 4]] == ["open", "relink", "write,"]
    assert len(shown) - start < 15
    every = lines("-v", old, new)
    changed = next(line for line in every if line.strip().startswith("initial values: "))
    assert changed.endswith("(level): 0x3 → 0x4")
    assert any(line.strip().startswith("jump: old+") and "(step): " in line for line in every)


def test_where_there_is_no_plan_the_reason_stands(idle_bench: Bench) -> None:
    options = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libplan.so")
    old = idle_bench.compile(LIBRARY, "old.so", *options)
    other = idle_bench.compile(LIBRARY.replace("int greet", "int renamed"), "other.so", *options)
    assert plan_of(old, old) == {"reason": "both versions are the same"}
    assert plan_of(old, other, code=3)["changes"]  # only processes that use it are refused
    small = idle_bench.compile(LAYOUT.replace("%s", ""), "small.so", *options)
    large = idle_bench.compile(LAYOUT.replace("%s", "long a;"), "large.so", *options)
    assert plan_of(small, large, code=1) == {"reason": "the new version is refused"}
