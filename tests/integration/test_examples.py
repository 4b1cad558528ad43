"""The examples, as a user meets them."""

import itertools
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness import AGENT, Bench, Program, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
FIBONACCI_OF_20 = 6765
LANGUAGES = (("C", "c"), ("C++", "cc"), ("Rust", "rs"), ("D", "d"))
VERSIONS = ("1-recursion", "2-iteration", "3-helpers", "4-formula", "5-table", "6-matrix")


def a_walk_through_all_pairs(count: int) -> list[int]:
    """`count` versions in an order in which each ordered pair of different ones follows one another once (an Eulerian
    walk)."""
    open_pairs = {first: [it for it in range(count) if it != first] for first in range(count)}
    stack, walk = [0], []
    while stack:
        following = open_pairs[stack[-1]]
        if following:
            stack.append(following.pop())
        else:
            walk.append(stack.pop())
    return walk[::-1]


def switch(bench: Bench, program: Program, version: int) -> None:
    """Lead the link to a version, and wait until it computes; the call counter must go on."""
    before = len(program.lines)
    bench.link(f"libfibonacci-{VERSIONS[version]}.so", "build/libfibonacci.so")
    wait_until(
        lambda: any(f"version {version + 1}" in line for line in program.lines[before:]),
        f"version {VERSIONS[version]}: {program.output()}",
    )


@pytest.mark.parametrize("binding", ["now", "lazy"])
def test_each_fibonacci_version_replaces_each_other(bench: Bench, binding: str) -> None:
    make = ["make", "-s", "-C", EXAMPLES / "fibonacci", f"BUILD={bench.folder / 'build'}", f"BINDING={binding}"]
    subprocess.run([str(part) for part in make], check=True)
    program = bench.run("build/fib", "20", "2")
    program.wait_for("version 1")
    bench.library(program.pid, "libfibonacci.so")
    walk = a_walk_through_all_pairs(len(VERSIONS))
    assert len(set(itertools.pairwise(walk))) == 30
    for version in walk[1:]:
        switch(bench, program, version)
    calls = []
    for line in list(program.lines):
        found = re.match(r"fibonacci\(20\) = (\d+), .* call (\d+), version \d", line)
        assert found and int(found[1]) == FIBONACCI_OF_20, line
        calls.append(int(found[2]))
    assert calls == sorted(calls)


def wait_for_greeting(program: Program, pid: int, language: str, after: int) -> None:
    wait_until(
        lambda: any(line.startswith(f"[{pid}]") and f"from {language}, call" in line for line in program.lines[after:]),
        f"{language} in {pid}: {program.output()}",
    )


def test_parent_and_child_go_through_all_pairs_of_languages(bench: Bench) -> None:
    make = ["make", "-s", "-C", EXAMPLES / "hello_world", f"BUILD={bench.folder / 'build'}"]
    subprocess.run([str(part) for part in make], check=True)
    program = bench.run("build/program", "20", "-1", "3")
    program.wait_for("forks")
    (child,) = program.children(1)
    for pid in (program.pid, child):
        bench.library(pid, "libhello.so")
    walk = a_walk_through_all_pairs(len(LANGUAGES))
    assert len(set(itertools.pairwise(walk))) == 12
    for name, suffix in (LANGUAGES[index] for index in walk[1:]):
        before = len(program.lines)
        bench.link(f"libhello-{suffix}.so", "build/libhello.so")
        for pid in (program.pid, child):
            wait_for_greeting(program, pid, name, before)
    os.kill(child, signal.SIGKILL)
    program.kill()
    lines = list(program.lines)
    for pid in (program.pid, child):
        calls = [int(line.split()[-1]) for line in lines if line.startswith(f"[{pid}] ") and ", call " in line]
        assert calls == list(range(calls[0], calls[0] + len(calls)))
    assert sum("constructor" in line for line in lines) == 1


@pytest.mark.parametrize("example", ["fibonacci", "hello_world", "python_extension", "pybind11_extension", "orbits"])
def test_a_demo_shows_its_example(idle_bench: Bench, example: str) -> None:
    build = idle_bench.folder / "build"
    subprocess.run(["make", "-s", "-C", str(EXAMPLES / example), f"BUILD={build}"], check=True)
    root = Path(shutil.copytree(EXAMPLES / example, idle_bench.folder / "examples" / example))
    (idle_bench.folder / "live.so").symlink_to(AGENT)
    shown = subprocess.run(
        ["./demo", str(build)], cwd=root, env=idle_bench.environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "demo: " in shown.stdout


def test_a_demo_that_fails_says_why_in_a_few_lines(idle_bench: Bench) -> None:
    build = idle_bench.folder / "build"
    subprocess.run(["make", "-s", "-C", str(EXAMPLES / "fibonacci"), f"BUILD={build}"], check=True)
    root = Path(shutil.copytree(EXAMPLES / "fibonacci", idle_bench.folder / "examples" / "fibonacci"))
    (idle_bench.folder / "live.so").symlink_to(AGENT)
    (build / "libfibonacci-3-helpers.so").write_text("no library\n")
    shown = subprocess.run(
        ["./demo", str(build)], cwd=root, env=idle_bench.environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode != 0 and "not an ELF file" in shown.stderr, shown.stderr
    assert len((shown.stdout + shown.stderr).splitlines()) < 5, shown
