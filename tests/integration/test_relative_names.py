"""Libraries that a program loads by a name that is relative, when the daemon looks only after the disk has changed."""

import os
import signal
from pathlib import Path

import pytest

from tests.harness import Bench, Program

LIBRARY = "int version(void) { return VERSION; }"

LOADER = """
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **arguments)
{
	char line[100];
	void *library = dlopen("./libplugin.so", RTLD_NOW);
	int (*version)(void) = library ? (int (*)(void))dlsym(library, "version") : NULL;
	if (!version || (count > 1 && chdir(arguments[1])))
		return 1;
	do {
		printf("version %d\\n", version());
		fflush(stdout);
	} while (fgets(line, sizeof line, stdin));
	return 0;
}
"""


def start_unseen(bench: Bench, *arguments: str) -> Program:
    """A program that has loaded its library while the daemon looked at nothing."""
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"libplugin.{version}.so", "-fPIC", "-shared", f"-DVERSION={version}")
    bench.link("libplugin.1.so", "libplugin.so")
    bench.compile(LOADER, "program")
    assert bench.daemon
    bench.daemon.process.send_signal(signal.SIGSTOP)
    program = bench.run("./program", *arguments)
    program.wait_for("version 1")
    return program


def goes_on(bench: Bench) -> None:
    assert bench.daemon
    bench.daemon.process.send_signal(signal.SIGCONT)


def say_version(program: Program) -> str:
    seen = len(program.lines)
    program.ask("")
    return program.wait_for("version", seen)


@pytest.mark.parametrize("change", ["link", "file"])
def test_what_was_replaced_before_it_was_seen_is_still_the_library_of_that_name(bench: Bench, change: str) -> None:
    program = start_unseen(bench)
    name = bench.folder / "libplugin.so"
    if change == "link":
        bench.link("libplugin.2.so", "libplugin.so")
    else:
        os.rename(bench.folder / "libplugin.2.so", bench.folder / "libplugin.1.so")
    goes_on(bench)
    assert bench.library(program.pid, "libplugin.so")["path"] == str(name)
    bench.update("libplugin.3.so", "libplugin.so", program.pid)
    assert say_version(program) == "version 3"
    assert program.end() == 0


def test_another_folder_that_the_program_went_to_has_another_library_of_that_name(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    bench.compile(LIBRARY, str(other / "libplugin.so"), "-fPIC", "-shared", "-DVERSION=7")
    program = start_unseen(bench, str(other))
    goes_on(bench)
    assert bench.library(program.pid, "libplugin.1.so")["path"] == str(bench.folder / "libplugin.1.so")
    bench.compile(LIBRARY, "libplugin.1.so", "-fPIC", "-shared", "-DVERSION=2")
    bench.wait_for_version("libplugin.1.so", "libplugin.1.so", program.pid)
    assert say_version(program) == "version 2"
    assert program.end() == 0
