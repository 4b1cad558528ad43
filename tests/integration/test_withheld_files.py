"""Libraries on a file system that does not answer any more: nobody but its own processes waits for it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import LIMIT, LIVESO, Bench, Program, containing
from tests.withholding import ALL, READS, WithheldFolder

LIBRARY = "int version(void) { return VERSION; }"
PROGRAM = r"""
#include <stdio.h>
int version(void);
int main(void) {
	char line[99];
	for (puts("ready"), fflush(stdout); fgets(line, sizeof line, stdin); fflush(stdout))
		printf("version %d\n", version());
}
"""
MANY = 12  # libraries: more than there are threads that read files


@pytest.fixture
def served(bench: Bench) -> Bench:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    bench.compile(PROGRAM, "here", "-O1", "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}", "-Wl,-z,now")
    return bench


@pytest.fixture
def remote(served: Bench, tmp_path: Path) -> Iterator[WithheldFolder]:
    """A folder with a libversion.so of its own, and with `there`, which is linked to that."""
    try:
        folder = WithheldFolder(tmp_path / "remote")
    except OSError as error:
        pytest.skip(f"this user may not mount file systems: {error}")
    folder.put("libversion.so", content(served, 1))
    served.compile(PROGRAM, "there", "-O1", "-L.", "-lversion", f"-Wl,-rpath,{folder.path}", "-Wl,-z,now")
    yield folder
    folder.close()


def content(bench: Bench, version: int) -> bytes:
    return (bench.folder / f"lib.{version}.so").read_bytes()


def started(bench: Bench, *command: str) -> Program:
    program = bench.run(*command)
    program.wait_for("ready")
    return program


def known(bench: Bench, *command: str) -> Program:
    program = started(bench, *command)
    bench.library(program.pid, "libversion.so")
    return program


def answer(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("version", before)


def commands_answer(bench: Bench) -> None:
    for command in ("status", "restart-needed", "why"):
        asked = subprocess.run(
            [str(LIVESO), command], env=bench.environment, capture_output=True, text=True, timeout=LIMIT
        )
        assert "Traceback" not in asked.stderr, asked.stderr


def others_are_updated(bench: Bench, other: Program, versions: tuple[int, ...] = (2, 3)) -> None:
    """Those that run, and those that come."""
    others = [other]
    for version in versions:
        bench.update(f"lib.{version}.so", "libversion.so", *(it.pid for it in others))
        others.append(known(bench, "./here"))
    assert [answer(it) for it in others] == [f"version {versions[-1]}"] * len(others)


@pytest.mark.parametrize("withheld", [ALL, READS], ids=["nothing comes", "no content comes"])
def test_nobody_else_waits_for_a_library_that_changes_where_no_file_comes(
    served: Bench, remote: WithheldFolder, withheld: frozenset[int]
) -> None:
    other, there = known(served, "./here"), known(served, "./there")
    remote.withhold(withheld)
    remote.put("libversion.so", content(served, 2))
    others_are_updated(served, other)
    commands_answer(served)
    remote.give()
    served.wait_for_version("lib.2.so", "libversion.so", there.pid)
    assert answer(there) == "version 2"


def test_nobody_else_waits_for_a_process_whose_library_does_not_come(served: Bench, remote: WithheldFolder) -> None:
    other, there = known(served, "./here"), known(served, "./there")
    remote.withhold()
    served.kill_daemon()
    served.start_daemon()
    served.library(other.pid, "libversion.so")
    others_are_updated(served, other)
    commands_answer(served)
    remote.put("libversion.so", content(served, 2))
    remote.give()
    served.wait_for_version("lib.2.so", "libversion.so", there.pid)
    assert answer(there) == "version 2"


def test_nobody_else_waits_for_a_process_whose_program_does_not_come(served: Bench, remote: WithheldFolder) -> None:
    program = remote.put("program", (served.folder / "here").read_bytes())
    other, there = known(served, "./here"), known(served, str(program))
    remote.withhold()
    remote.put("program", (served.folder / "here").read_bytes())
    others_are_updated(served, other)
    commands_answer(served)
    remote.give()
    served.wait_for_version("lib.3.so", "libversion.so", there.pid)
    assert answer(there) == "version 3"


def test_nobody_else_waits_for_many_libraries_that_do_not_come(served: Bench, remote: WithheldFolder) -> None:
    loads = r"""
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
	int each = 1, loaded = 0;
	for (; each < count; ++each)
		loaded += dlopen(names[each], RTLD_NOW) != NULL;
	printf("ready: %d\n", loaded);
	fflush(stdout);
	return getchar() == 'x';
}
"""
    served.compile(loads, "loads", "-O1", "-ldl")
    names = [f"libmany{number}.so" for number in range(MANY)]
    paths = [str(remote.put(name, content(served, 1))) for name in names]
    other, many = known(served, "./here"), served.run("./loads", *paths)
    assert many.wait_for("ready") == f"ready: {MANY}"
    for name in names:
        served.library(many.pid, name)
    remote.withhold(READS)
    for name in names:
        remote.put(name, content(served, 2))
    others_are_updated(served, other)
    commands_answer(served)
    remote.give()
    for name in names:
        served.wait_for_version("lib.2.so", name, many.pid)


def test_what_does_not_come_is_said(served: Bench, remote: WithheldFolder) -> None:
    there = known(served, "./there")
    remote.withhold(READS)
    remote.put("libversion.so", content(served, 2))
    served.wait_for_library(there.pid, "libversion.so", reason=containing("does not answer"))
    os.kill(there.pid, 0)
    remote.give()
    served.wait_for_version("lib.2.so", "libversion.so", there.pid)
