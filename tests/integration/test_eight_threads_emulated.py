"""A program for another machine (qemu-user) whose eight threads count all they do, through slots and remembered
addresses, while their library changes again and again. `make test-processors` goes on for longer."""

import os
import random
import re
from pathlib import Path

import pytest

from liveso.process import memory_map
from tests.harness import Bench, Program, apart, wait_until

PROGRAMS = Path(__file__).parent / "programs"
UPDATES = int(os.environ.get("LIVESO_UPDATES", "20"))
VERSIONS = 4
GROWTH, GROWTH_EACH, MORE_MAPPINGS = 4 << 10, 32, 8
"""KiB of its own that the process may grow by once it has had all versions, altogether and for each update: what malloc
keeps for threads, and what the emulator makes of code that changed. And mappings, of which a version has six."""


@pytest.fixture
def bench(emulated_bench: Bench) -> Bench:
    return emulated_bench


def build(bench: Bench, compiler: str, flags: tuple[str, ...]) -> None:
    for version in range(1, VERSIONS + 1):
        options = ("-fPIC", "-shared", "-pthread", f"-DVERSION={version}", "-Wl,-soname,libeight.so", *flags)
        bench.compile(PROGRAMS / "eight_library.c", f"{version}/libeight.so", *options, compiler=compiler)
    bench.link("1/libeight.so", "libeight.so")
    bench.compile(PROGRAMS / "eight.c", "eight", "-O2", "-pthread", "./libeight.so", "-Wl,-rpath,$ORIGIN")


def progress(program: Program, version: int) -> list[int]:
    """How far each thread has come, as a program says that runs a version."""
    after = len(program.lines)
    program.ask("")
    return [int(it) for it in program.wait_for(f"version {version} progress ", after).split()[3:]]


def wait_for_all(program: Program, version: int) -> None:
    """Wait until each thread has done something in a version: none waits for what has come already."""
    before = progress(program, version)

    def have_got_on() -> bool:
        return all(now > then for now, then in zip(progress(program, version), before, strict=True))

    wait_until(have_got_on, lambda: f"all threads get on from {before}: {program.lines[-1]}")


def memory(pid: int) -> tuple[int, int]:
    """What a process has in memory of its own, in KiB, and the number of its mappings."""
    found = re.search(r"RssAnon:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]), len(memory_map.mappings(pid, pid))


@pytest.mark.parametrize(
    ("emulated_bench", "compiler", "flags", "later"),
    [
        ("aarch64", "gcc", ("-O2", "-s"), (1, 2, 3, 4)),
        pytest.param("aarch64", "clang", ("-O2", "-g"), (1, 2, 3, 4), marks=pytest.mark.further),
        # code that has lost `most`, and refers to `sum` in its place, is refused there
        pytest.param("riscv64", "gcc", ("-O2", "-g"), (2, 3, 4), marks=pytest.mark.further),
        ("riscv64", "clang", ("-O2", "-g"), (2, 3, 4)),
    ],
    indirect=["emulated_bench"],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_eight_threads_lose_nothing(
    bench: Bench, compiler: str, flags: tuple[str, ...], later: tuple[int, ...]
) -> None:
    build(bench, compiler, apart(bench.machine, compiler, flags))
    program = bench.run("./eight")
    bench.library(program.pid, "libeight.so")
    wait_for_all(program, 1)
    chance, versions, early = random.Random(compiler), [1, 2, 3, 4], (0, 0)
    while len(versions) <= UPDATES:
        versions.append(chance.choice([it for it in later if it != versions[-1]]))
    for number, version in enumerate(versions[1:], start=2):
        bench.update(f"{version}/libeight.so", "libeight.so", program.pid)
        wait_for_all(program, version)
        if number == VERSIONS:
            early = memory(program.pid)
    late = memory(program.pid)
    assert program.end() == 0, program.output()
    assert program.lines[-1] == "all is counted"
    assert not [it for it in program.lines if it.startswith("bad")]
    assert late[0] - early[0] < GROWTH + GROWTH_EACH * UPDATES, (early, late)
    assert late[1] - early[1] <= MORE_MAPPINGS, (early, late)
