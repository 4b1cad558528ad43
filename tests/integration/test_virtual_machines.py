"""Virtual machines remember addresses of libraries: a Java machine those of native methods (JNI), Node.js those of an
extension's functions, data and finalisers (Node-API). What they call is the version that runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import Bench

PROGRAMS = Path(__file__).parent / "programs"
ORDER = (2, 3, 1, 3, 2)
COMPILERS = ("gcc", "clang")


def put(bench: Bench, version: str, name: str, *pids: int) -> None:
    """Let a file, not a link, be another version: a Java machine opens what the links lead to."""
    shutil.copy(bench.folder / version, bench.folder / "new")
    os.replace(bench.folder / "new", bench.folder / name)
    bench.wait_for_version(name, name, *pids)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_native_methods_of_java_are_the_version_that_runs(bench: Bench, compiler: str) -> None:
    compiled = shutil.which("javac")
    assert compiled, "install default-jdk-headless"
    include = Path(compiled).resolve().parent.parent / "include"
    headers = (f"-I{include}", f"-I{include / 'linux'}")
    for version in (1, 2, 3):
        flags = ("-O2", "-s", "-fPIC", "-shared", f"-DVERSION={version}", *headers)
        bench.compile(PROGRAMS / "counter.c", f"libcounter.{version}.so", *flags, compiler=compiler)
    put(bench, "libcounter.1.so", "libcounter.so")
    subprocess.run([compiled, "-d", str(bench.folder), str(PROGRAMS / "Counter.java")], check=True)
    program = bench.run("java", "-Xmx64m", "-cp", bench.folder, "Counter", bench.folder / "libcounter.so")
    program.wait_for("ready")
    bench.library(program.pid, "libcounter.so")
    for count, version in enumerate(ORDER, start=1):
        put(bench, f"libcounter.{version}.so", "libcounter.so", program.pid)
        bench.wait_for_library(program.pid, "libcounter.so", stale_functions=[])
        program.ask("")
        expected = f"{version}006 {version}005 {version * 1000 + count} {version} {version} true"
        assert program.wait_for(" true", after=count) == expected
    assert program.end() == 0
    assert program.lines[-1] == f"end [{ORDER[-1]}]"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_functions_of_an_extension_of_node_are_the_version_that_runs(bench: Bench, compiler: str) -> None:
    for version in (1, 2, 3):
        flags = ("-O2", "-s", "-fPIC", "-shared", "-fvisibility=hidden", f"-DVERSION={version}")
        bench.compile(PROGRAMS / "adder.c", f"adder.{version}.node", *flags, compiler=compiler)
    put(bench, "adder.1.node", "adder.node")
    program = bench.run("node", "--expose-gc", PROGRAMS / "adder.js", bench.folder / "adder.node")
    program.wait_for("ready")
    bench.library(program.pid, "adder.node")
    for count, version in enumerate(ORDER, start=1):
        put(bench, f"adder.{version}.node", "adder.node", program.pid)
        bench.wait_for_library(program.pid, "adder.node", stale_functions=[])
        program.ask("")
        line = program.wait_for(" 0 ", after=count)
        which, through_box, lost, freed, instance = map(int, line.split())
        assert (which, through_box, lost, instance) == (version, version, 0, version)
        assert freed in (version, 2 * version, 3 * version)
    assert program.end() == 0
    assert program.lines[-1] == f"end {','.join(map(str, sorted({1, *ORDER})))}"


def test_the_machines_start_and_end_as_without(idle_bench: Bench) -> None:
    for command in (("java", "-version"), ("node", "--version")):
        plain = subprocess.run(command, capture_output=True, check=True, env={**os.environ})
        program = idle_bench.run(*command)
        assert program.end() == 0
        assert (program.lines, program.error_lines) == (
            plain.stdout.decode().splitlines(),
            plain.stderr.decode().splitlines(),
        )
