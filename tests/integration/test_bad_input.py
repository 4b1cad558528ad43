"""Whatever lies at a library's path, the program goes on, the user is told why, and the next good version is taken."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import LIVESO, Bench, Program, containing, wait_until

LIBRARY = """
#include <stdio.h>
static int counter;
#ifndef WITHOUT_HELLO
void hello(void) { printf("version %d, count %d\\n", VERSION, ++counter); fflush(stdout); }
#endif
void unused(void) { counter++; }
"""

PROGRAM = """
#include <stdio.h>
void hello(void);
int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) hello(); return 0; }
"""


def build_version(bench: Bench, name: str, *flags: str) -> Path:
    return bench.compile(LIBRARY, name, *("-O2", "-fPIC", "-shared", "-Wl,-soname,libhello.so", "-DVERSION=2", *flags))


@pytest.fixture
def program(bench: Bench) -> Program:
    build_version(bench, "libhello.so", "-UVERSION", "-DVERSION=1")
    build_version(bench, "good.so")
    bench.compile(PROGRAM, "program", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    program.ask("")
    program.wait_for("version 1, count 1")
    bench.library(program.pid, "libhello.so")
    return program


def put(bench: Bench, content: bytes) -> None:
    (bench.folder / "new").write_bytes(content)
    os.rename(bench.folder / "new", bench.folder / "libhello.so")


def expect_refusal_then_good(bench: Bench, program: Program, reason: str) -> None:
    """The library is refused for `reason`, in status, log and on the program's standard error, and the good version
    that comes next is taken."""
    library = bench.wait_for_library(program.pid, "libhello.so", result="refused", reason=containing(reason))
    assert "\n" not in library["reason"]
    program.wait_for_error(f"live.so: libhello.so: not updated: {library['reason']}")
    bench.wait_for_log("event=refused", reason)
    assert len(bench.log_lines("event=refused", reason)) == 1
    program.ask("")
    program.wait_for("version 1, count 2")
    shutil.copy(bench.folder / "good.so", bench.folder / "new")
    os.rename(bench.folder / "new", bench.folder / "libhello.so")
    bench.wait_for_result(program.pid, "libhello.so", "updated")
    program.ask("")
    program.wait_for("version 2, count 3")
    assert program.end() == 0


def unknown_machine(content: bytes) -> bytes:
    sparc = 43  # gABI, "ELF Header", e_machine: EM_SPARCV9
    return content[:18] + sparc.to_bytes(2, "little") + content[20:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: b"no library at all\n", "not an ELF file"),
        (lambda content: b"", "the file is empty"),
        (lambda content: content[: len(content) // 2], "the file ends before"),
        (lambda content: content[:-1], "the file ends before"),
        (lambda content: content[:40], "not a readable ELF file"),
        (unknown_machine, "a file for another machine"),
        (lambda content: content[:4] + b"\x01" + content[5:], "another machine"),
    ],
    ids=["text", "empty", "half", "last-byte", "header-only", "machine", "class"],
)
def test_a_file_that_is_no_library_is_refused(
    bench: Bench, program: Program, damage: Callable[[bytes], bytes], reason: str
) -> None:
    put(bench, damage((bench.folder / "good.so").read_bytes()))
    expect_refusal_then_good(bench, program, reason)


def test_a_library_for_another_known_machine_is_refused(bench: Bench, program: Program) -> None:
    source = bench.folder / "libhello.so.c"
    flags = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libhello.so", "-DVERSION=2", "-nostdlib")
    other = bench.folder / "other.so"
    subprocess.run(["aarch64-linux-gnu-gcc", *flags, "-o", str(other), str(source)], check=True)
    put(bench, other.read_bytes())
    expect_refusal_then_good(bench, program, "it is for aarch64, the process runs on x86-64")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("-Wl,-soname,libother.so",), "the SONAME changes"),
        (("-DWITHOUT_HELLO",), "the symbol hello is gone"),
        (("-include", "extra.h"), "is a new or changed initialiser"),
        (("-Wl,-z,execstack",), "an executable stack"),
        (("-DVERSION=missing()",), "undefined symbol: missing"),
    ],
    ids=["soname", "symbol", "initialiser", "stack", "unresolved"],
)
def test_a_version_that_does_not_fit_is_refused(
    bench: Bench, program: Program, flags: tuple[str, ...], reason: str
) -> None:
    (bench.folder / "extra.h").write_text(
        "long extra;\n__attribute__((constructor)) static void start_extra(void) { extra = 1; }\n"
    )
    built = build_version(bench, "bad.so", "-Wno-implicit-function-declaration", *flags)
    put(bench, built.read_bytes())
    expect_refusal_then_good(bench, program, reason)


def test_a_symbol_that_nobody_needs_may_go(bench: Bench, program: Program) -> None:
    bench.compile(
        LIBRARY.replace("void unused", "static __attribute__((used)) void unused"),
        "fewer.so",
        *("-O2", "-fPIC", "-shared", "-Wl,-soname,libhello.so", "-DVERSION=2"),
    )
    put(bench, (bench.folder / "fewer.so").read_bytes())
    bench.wait_for_result(program.pid, "libhello.so", "updated")
    program.ask("")
    program.wait_for("version 2, count 2")


def test_a_library_that_is_gone_is_waited_for(bench: Bench, program: Program) -> None:
    (bench.folder / "libhello.so").unlink()
    expect_refusal_then_good(bench, program, "No such file or directory")


def test_a_path_that_leads_in_a_circle_is_refused(bench: Bench, program: Program) -> None:
    bench.link("loop", "libhello.so")
    bench.link("libhello.so", "loop")
    expect_refusal_then_good(bench, program, "Too many levels of symbolic links")


def test_a_folder_or_a_pipe_in_its_place_is_refused(bench: Bench, program: Program) -> None:
    (bench.folder / "libhello.so").unlink()
    os.mkfifo(bench.folder / "libhello.so")
    expect_refusal_then_good(bench, program, "not a regular file")


def test_every_state_of_a_file_that_is_exchanged_all_the_time_leaves_the_program_alive(
    bench: Bench, program: Program
) -> None:
    good = (bench.folder / "good.so").read_bytes()
    for size in range(0, len(good), max(1, len(good) // 150)):
        put(bench, good[:size])
    put(bench, good)
    bench.wait_for_result(program.pid, "libhello.so", "updated")
    program.ask("")
    program.wait_for("version 2, count 2")


def test_a_full_disk_in_the_store_is_told_and_survived(idle_bench: Bench) -> None:
    """The daemon may write no file larger than 64 KiB: the large version does not fit, the next one does."""
    build_version(idle_bench, "libhello.so", "-UVERSION", "-DVERSION=1")
    good = build_version(idle_bench, "good.so")
    idle_bench.compile(PROGRAM, "program", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN")
    limit = 64 << 10
    idle_bench.daemon = idle_bench.run_plain("prlimit", f"--fsize={limit}", LIVESO, "daemon")
    idle_bench.daemon.wait_for_error("event=started")
    program = idle_bench.run("./program")
    program.ask("")
    program.wait_for("version 1, count 1")
    idle_bench.library(program.pid, "libhello.so")
    put(idle_bench, good.read_bytes().ljust(limit + 1, b"\0"))
    expect_refusal_then_good(idle_bench, program, "cannot be written: File too large")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def test_a_library_that_the_store_has_no_room_for_is_told(idle_bench: Bench) -> None:
    flags = ("-O2", "-shared", "-fPIC", "-Wl,-soname,libhello.so")
    idle_bench.compile("char room[1 << 18] = {1}; int hello(void) { return room[0]; }", "libhello.so", *flags)
    idle_bench.compile(
        "int hello(void); int main(void) { return getchar() + hello(); }",
        "program",
        "-w",
        "-L.",
        "-lhello",
        "-Wl,-rpath,$ORIGIN",
    )
    idle_bench.daemon = idle_bench.run_plain("prlimit", f"--fsize={64 << 10}", LIVESO, "daemon")
    idle_bench.daemon.wait_for_error("event=started")
    program = idle_bench.run("./program")
    reason = idle_bench.wait_for_log("event=failed", f"pid={program.pid}", "libhello.so")
    assert "cannot be written: File too large" in reason and "replaced" not in reason


def test_a_socket_path_that_is_too_long_is_told_in_one_line(idle_bench: Bench) -> None:
    idle_bench.compile("int main(void) { return 0; }", "program")
    path = "/tmp/" + 120 * "x"
    program = idle_bench.run("./program", LIVE_SOCKET=path)
    assert program.end() == 0
    assert len(program.error_lines) == 1 and "socket's path is too long" in program.error_lines[0]
    daemon = subprocess.run(
        [LIVESO, "daemon"],
        env={**idle_bench.environment, "LIVE_SOCKET": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert daemon.returncode == 2 and "longer than 103 bytes" in daemon.stderr and daemon.stderr.count("\n") == 1


def test_a_runtime_folder_that_cannot_be_used_is_told_in_one_line(idle_bench: Bench) -> None:
    (idle_bench.folder / "file").write_text("")
    path = str(idle_bench.folder / "file" / "liveso.sock")
    daemon = subprocess.run(
        [LIVESO, "daemon"],
        env={**idle_bench.environment, "LIVE_SOCKET": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert daemon.returncode == 6 and "Traceback" not in daemon.stderr and daemon.stderr.count("\n") == 1
    status = subprocess.run(
        [LIVESO, "status"],
        env={**idle_bench.environment, "LIVE_SOCKET": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert status.returncode == 4 and "no daemon answers" in status.stderr and status.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"LIVE_LOGLEVEL": "0"}, []),
        ({"LIVE_LOGLEVEL": "1"}, []),
        ({"LIVE_LOGLEVEL": "2"}, ["updated to"]),
        ({"LIVE_LOGLEVEL": "3"}, ["updated to", "snapshot"]),
        ({"LIVE_LOGLEVEL": "4"}, ["served", "updated to", "snapshot"]),
    ],
    ids=["0", "1", "2", "3", "4"],
)
def test_the_log_level_says_what_the_program_shows(bench: Bench, variables: dict[str, str], said: list[str]) -> None:
    build_version(bench, "libhello.so", "-UVERSION", "-DVERSION=1")
    build_version(bench, "good.so")
    bench.compile(PROGRAM, "program", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program", **variables)
    bench.library(program.pid, "libhello.so")
    put(bench, (bench.folder / "good.so").read_bytes())
    bench.wait_for_result(program.pid, "libhello.so", "updated")
    wait_until(lambda: len(program.error_lines) == len(said), f"{said}")
    for line, text in zip(program.error_lines, said, strict=True):
        assert line.startswith("live.so: ") and text in line


@pytest.mark.parametrize(
    ("variables", "libraries"),
    [
        ({"LIVE_DISABLE": "1"}, None),
        ({"LIVE_IGNORE": "libh*"}, []),
        ({"LIVE_ONLY": "libother*"}, []),
        ({"LIVE_ONLY": "*/libhello.so:nothing"}, ["libhello.so"]),
    ],
)
def test_patterns_choose_the_libraries(bench: Bench, variables: dict[str, str], libraries: list[str] | None) -> None:
    build_version(bench, "libhello.so", "-UVERSION", "-DVERSION=1")
    bench.compile(PROGRAM, "program", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program", **variables)
    program.ask("")
    program.wait_for("version 1, count 1")
    if libraries is None:
        assert os.listdir(f"/proc/{program.pid}/task") == [str(program.pid)]
        return
    program.wait_for_error(f"served, {len(libraries)} libraries")
    wait_until(
        lambda: libraries in [shown(it) for it in bench.status() if it["pid"] == program.pid],
        f"{libraries} of {program.pid} in status",
    )


def shown(target: dict[str, Any]) -> list[str]:
    return [Path(it["path"]).name for it in target["libraries"]]
