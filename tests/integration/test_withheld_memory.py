"""A target whose memory is in a file that does not come: neither the others nor the daemon wait for it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import LIMIT, LIVESO, Bench, Program
from tests.withholding import READS, WithheldFolder

PROGRAMS = Path(__file__).parent / "programs"
LIBRARY = "int version(void) { return VERSION; }"
PAGE = 4096  # bytes
LARGE = "x" * 4 * PAGE


@pytest.fixture
def served(bench: Bench) -> Bench:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    link = ("-L.", "-lversion", f"-Wl,-rpath,{bench.folder}", "-Wl,-z,now")
    bench.compile(PROGRAMS / "withholds.c", "withholds", "-O1", *link)
    return bench


@pytest.fixture
def withheld(tmp_path: Path) -> Iterator[WithheldFolder]:
    try:
        folder = WithheldFolder(tmp_path / "withheld", keeps=True)
    except OSError as error:
        pytest.skip(f"this user may not mount file systems: {error}")
    yield folder
    folder.close()


def answer(program: Program, line: str, expected: str) -> str:
    before = len(program.lines)
    program.ask(line)
    return program.wait_for(expected, before)


@pytest.mark.parametrize("page", ["list", "environment", "dynamic section"])
def test_nobody_else_waits_for_memory_that_does_not_come(served: Bench, withheld: WithheldFolder, page: str) -> None:
    arguments = ("./withholds", page, withheld.put("page", bytes(PAGE)))
    withheld.withhold(READS)
    others = [served.run(*arguments, LARGE=LARGE) for _ in range(2)]
    withholding = served.run(*arguments, LARGE=LARGE)
    for program in (*others, withholding):
        program.wait_for("ready")
        served.library(program.pid, "libversion.so")
    answer(withholding, "withhold", "withheld")
    served.update("lib.2.so", "libversion.so", *(it.pid for it in others))
    others.append(served.run(*arguments, LARGE=LARGE))
    served.wait_for_version("lib.2.so", "libversion.so", others[-1].pid)
    served.update("lib.3.so", "libversion.so", *(it.pid for it in others))
    assert [answer(it, "", "version") for it in others] == ["version 3"] * 3
    command = [str(LIVESO), "attach", "--command", "nobody"]
    asked = subprocess.run(command, env=served.environment, capture_output=True, text=True, timeout=LIMIT)
    assert asked.returncode and "nobody" in asked.stderr  # it looked at the command lines of all
    withheld.fill("page", bytes.fromhex(withholding.lines[-2]))
    withheld.give()
    served.wait_for_version("lib.3.so", "libversion.so", withholding.pid)
    assert answer(withholding, "", "version") == "version 3"
