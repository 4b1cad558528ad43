"""What a target runs is told by its memory, whatever its files' names, inodes and times say."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until

LIBRARY = """
static struct { long FIRST, SECOND; } pair = {1, 2};
static long calls;
long first(void) { ++calls; return pair.first; }
long second(void) { return pair.second; }
long many(void) { return calls; }
int version(void) { return VERSION; }
"""
PROGRAM = """
#include <stdio.h>
long first(void); long second(void); long many(void); int version(void);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        long one = first();
        printf("version %d, %ld, %ld, %ld\\n", version(), one, second(), many());
        fflush(stdout);
    }
    return 0;
}
"""


@pytest.fixture(params=["build ID", "no build ID", "the same build ID"])
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found = {
        "build ID": "-Wl,--build-id",
        "no build ID": "-Wl,--build-id=none",
        "the same build ID": "-Wl,--build-id=0x12",
    }
    return ("-O2", "-fPIC", "-shared", "-Wl,-soname,libpair.so", found[str(request.param)])


@pytest.fixture
def merged(tmp_path: Path) -> Iterator[Path]:
    """An overlay file system, whose lower layer is the folder `lower`."""
    folders = [tmp_path / name for name in ("lower", "upper", "work", "merged")]
    for folder in folders:
        folder.mkdir()
    lower, upper, work, merged = folders
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    yield merged
    subprocess.run(["umount", "--lazy", merged], check=True)


def started(bench: Bench, flags: tuple[str, ...]) -> Program:
    """A program that runs version 1 from the overlay. Whatever is written to the file then keeps device and inode, and
    the program keeps what it has."""
    bench.compile(LIBRARY, "lower/libpair.so", *flags, "-DVERSION=1", "-DFIRST=first", "-DSECOND=second")
    bench.compile(LIBRARY, "two.so", *flags, "-DVERSION=2", "-DFIRST=first", "-DSECOND=second")
    bench.compile(LIBRARY, "three.so", *flags, "-DVERSION=3", "-DFIRST=second", "-DSECOND=first")
    bench.compile(PROGRAM, "program", "merged/libpair.so", "-Wl,-rpath,$ORIGIN/merged")
    return bench.run("./program", LIVE_DAEMON="/nonexistent")


def overwrite(bench: Bench, file: str) -> None:
    """Write in place, as `cat >` does."""
    place = bench.folder / "merged" / "libpair.so"
    before = place.stat()
    with (bench.folder / file).open("rb") as source, place.open("r+b") as target:
        shutil.copyfileobj(source, target)
        target.truncate()
    assert (place.stat().st_dev, place.stat().st_ino) == (before.st_dev, before.st_ino)


def says(program: Program, line: str) -> None:
    after = len(program.lines)
    program.ask("")
    program.wait_for("version", after)
    assert program.lines[-1] == line


def reason_of_failure(bench: Bench, pid: int) -> str:
    libraries = [library for target in bench.status() if target["pid"] == pid for library in target["libraries"]]
    return next((str(it["reason"]) for it in libraries if it["result"] == "failed"), "")


def test_a_file_that_was_copied_up_is_not_taken_for_what_runs(
    idle_bench: Bench, merged: Path, flags: tuple[str, ...]
) -> None:
    bench = idle_bench
    program = started(bench, flags)
    says(program, "version 1, 1, 2, 1")
    overwrite(bench, "three.so")
    bench.start_daemon()
    reason = wait_until(lambda: reason_of_failure(bench, program.pid), "a failure in status")
    assert "the version that runs is not known" in reason
    overwrite(bench, "two.so")
    says(program, "version 1, 1, 2, 2")
    assert program.end() == 0


def test_a_version_that_another_process_showed_is_recognised_by_its_code(
    idle_bench: Bench, merged: Path, flags: tuple[str, ...]
) -> None:
    bench = idle_bench
    first = started(bench, flags)
    says(first, "version 1, 1, 2, 1")
    bench.start_daemon()
    other = bench.run("./program")
    bench.library(other.pid, "libpair.so")
    bench.library(first.pid, "libpair.so")
    bench.kill_daemon()
    overwrite(bench, "two.so")
    bench.start_daemon()
    for program, calls in ((first, 2), (other, 1)):
        bench.wait_for_version("two.so", "libpair.so", program.pid)
        says(program, f"version 2, 1, 2, {calls}")
        assert program.end() == 0
