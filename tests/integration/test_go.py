"""Go programs: one that uses a C library in all its goroutines, while the library changes; one that uses none."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until

PROGRAMS = Path(__file__).parent / "programs"


def build_go(bench: Bench, name: str, cgo: bool) -> None:
    shutil.copy(PROGRAMS / name, bench.folder)
    environment = os.environ | {"CGO_ENABLED": str(int(cgo)), "GO111MODULE": "off", "GOFLAGS": "-buildvcs=false"}
    subprocess.run(["go", "build", "-o", "program", name], check=True, cwd=bench.folder, env=environment)


def build(bench: Bench, version: int) -> None:
    flags = ("-O2", "-fPIC", "-shared", "-pthread", "-Wl,-soname,libmixer.so", f"-DVERSION={version}")
    bench.compile(PROGRAMS / "mixer.c", "libmixer.so", *flags)


def calls(program: Program) -> int:
    """How many calls have come right so far."""
    before = len(program.lines)
    program.ask("")
    line = program.wait_for("calls", before)
    found = re.fullmatch(r"version \d, calls (\d+), wrong 0, panics \d+", line)
    assert found, line
    return int(found[1])


def version(program: Program) -> int:
    before = len(program.lines)
    program.ask("")
    return int(program.wait_for("version", before).split()[1].rstrip(","))


@pytest.mark.parametrize("is_prepared", [True, False], ids=["prepared", "attached"])
@pytest.mark.parametrize("settings", ["", "GOGC=5 GOMAXPROCS=4"], ids=["plain", "collecting"])
def test_goroutines_call_and_are_called_while_the_library_changes(
    bench: Bench, settings: str, is_prepared: bool
) -> None:
    """Go's own threads, signals and stacks are left alone: it faults, preempts and collects as it likes."""
    shutil.copy(PROGRAMS / "mixer.h", bench.folder)
    build(bench, 1)
    build_go(bench, "mixer.go", cgo=True)
    run = bench.run if is_prepared else bench.run_plain
    program = run("./program", **dict(pair.split("=", 1) for pair in settings.split()))
    calls(program)
    if not is_prepared:
        subprocess.run([LIVESO, "attach", str(program.pid)], check=True, env=bench.environment, timeout=120)
    bench.library(program.pid, "libmixer.so")
    for number in (2, 3, 4, 5, 1):
        build(bench, number)
        bench.wait_for_version("libmixer.so", "libmixer.so", program.pid)
        assert version(program) == number
        seen = calls(program)
        wait_until(lambda: calls(program) > seen + 1000, "further calls")  # noqa: B023
        before = len(program.lines)
        os.kill(program.pid, signal.SIGUSR1)
        program.wait_for("caught", before)
    assert program.end() == 0, program.output()
    assert program.lines[-1] == "missing 0 0, callbacks missing 0, wrong 0 0"


def test_a_program_without_c_is_left_alone(idle_bench: Bench) -> None:
    build_go(idle_bench, "without_cgo.go", cgo=False)
    program = idle_bench.run("./program")
    program.wait_for("runs with /")
    assert program.end() == 0
    assert not program.error_lines
    assert not idle_bench.runtime.exists()  # no daemon was started
