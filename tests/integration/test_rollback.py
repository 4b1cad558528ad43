"""`liveso rollback` takes a library back from what lies on disk, and `liveso resume` lets it go forward again."""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from liveso.client.ask import ask_daemon
from liveso.holder.registers import SEIZE, ptrace
from liveso.settings import read_settings
from tests.harness import LIVESO, Bench, Program, containing

INTERRUPT, DETACH = 0x4207, 17  # ptrace(2)
ALL_THREADS = 0x4000_0000  # waitpid(2), __WALL
SHARED = ("-O2", "-fPIC", "-shared")
LIBRARY = r"""
static int calls;
int step_version(void) { return VERSION; }
int step(void) { return ++calls; }
#ifdef MORE
int step_more(void) { return 7; }
#endif
#ifdef STARTS
int started;
__attribute__((constructor)) static void start(void) { started = 1; }
#endif
"""
PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
int step(void); int step_version(void); int step_more(void);
#ifdef MORE
int more(void) { return step_more(); }
#endif
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'f') {
            pid_t child = fork();
            if (child == 0)
                for (;;)
                    pause();
            printf("child %d\n", child);
        } else {
            printf("version %d, step %d\n", step_version(), step());
        }
        fflush(stdout);
    }
    return 0;
}
"""


def build(bench: Bench, version: int, *flags: str, source: str = LIBRARY, soname: str = "libstep.so") -> Path:
    return bench.compile(
        source, f"lib.{version}.so", *SHARED, f"-DVERSION={version}", f"-Wl,-soname,{soname}", "-Wl,--build-id", *flags
    )


@pytest.fixture
def stepping(bench: Bench) -> Bench:
    """A bench with a library, whose versions are 1 to 3, and a program that uses it."""
    for version in (1, 2, 3):
        build(bench, version)
    bench.link("lib.1.so", "libstep.so")
    bench.compile(PROGRAM, "program", "-L.", "-l:libstep.so", "-Wl,-rpath,$ORIGIN")
    return bench


def start(bench: Bench) -> Program:
    program = bench.run("./program")
    bench.library(program.pid, "libstep.so")
    return program


def says(program: Program, version: int, step: int) -> None:
    after = len(program.lines)
    program.ask("")
    program.wait_for("version", after)
    assert program.lines[-1] == f"version {version}, step {step}"


def command(bench: Bench, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([LIVESO, *arguments], env=bench.environment, capture_output=True, text=True, check=False)


def done(bench: Bench, *arguments: str | Path) -> str:
    it = command(bench, *arguments)
    assert it.returncode == 0 and not it.stderr, it
    return it.stdout


def declined(bench: Bench, code: int, *arguments: str | Path) -> str:
    it = command(bench, *arguments)
    assert it.returncode == code and not it.stdout, it
    assert it.stderr.startswith("liveso: ") and it.stderr.count("\n") == 1 and "Traceback" not in it.stderr
    return it.stderr


def digest(bench: Bench, version: int) -> str:
    return hashlib.sha256((bench.folder / f"lib.{version}.so").read_bytes()).hexdigest()


def is_rolled_back(bench: Bench, pid: int, version: int, over: int) -> dict[str, object]:
    return bench.wait_for_library(
        pid,
        "libstep.so",
        result="rolled back",
        version=digest(bench, version),
        rolled_back_over=digest(bench, over),
        rolled_back_since=lambda it: it > 0,
    )


def is_forward(bench: Bench, pid: int, version: int) -> None:
    found = bench.wait_for_library(
        pid, "libstep.so", version=digest(bench, version), result=lambda it: it in ("updated", "current")
    )
    assert (found["reason"], found["rolled_back_over"], found["rolled_back_since"]) == ("", "", 0)


def pins(bench: Bench) -> list[Path]:
    folder = bench.folder / "store" / "rolled-back"
    return list(folder.iterdir()) if folder.exists() else []


def updated(bench: Bench, version: int = 2) -> Program:
    """A program that began with version 1, made a step, and was updated."""
    program = start(bench)
    says(program, 1, 1)
    bench.update(f"lib.{version}.so", "libstep.so", program.pid)
    says(program, version, 2)
    return program


def test_a_library_goes_back_on_its_data_and_stays_until_the_file_changes(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    said = done(bench, "rollback", "libstep.so")
    assert said.startswith(f"{bench.folder}/libstep.so: 1 process runs ") and said.count("\n") == 1
    says(program, 1, 3)
    reason = is_rolled_back(bench, program.pid, 1, 2)["reason"]
    assert "which lies on disk" in str(reason) and "`liveso resume libstep.so`" in str(reason)
    bench.wait_for_log("event=rolled-back", f"pid={program.pid}")
    program.wait_for_error("libstep.so: rolled back to")
    records = [line.split("\t") for line in done(bench, "status").splitlines()]
    assert [it[1] for it in records if it[2].endswith("libstep.so")] == ["rolled-back"]
    assert str(reason) in done(bench, "status") and "rolled back" in done(bench, "why")
    bench.kill_daemon()
    bench.start_daemon()
    is_rolled_back(bench, program.pid, 1, 2)
    says(program, 1, 4)
    shutil.copy(bench.folder / "lib.2.so", bench.folder / "same.so")
    bench.link("same.so", "libstep.so")  # the same content: nothing changed
    later = start(bench)  # it begins with version 2
    is_rolled_back(bench, later.pid, 1, 2)
    says(later, 1, 1)
    says(program, 1, 5)
    bench.link("lib.3.so", "libstep.so")
    for it in (program, later):
        is_forward(bench, it.pid, 3)
    says(program, 3, 6)
    bench.link("lib.2.so", "libstep.so")
    is_forward(bench, program.pid, 2)
    assert not pins(bench)


def test_it_goes_to_the_version_that_is_named_and_forward_by_resume(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    bench.update("lib.3.so", "libstep.so", program.pid)
    done(bench, "rollback", "libstep.so")
    is_rolled_back(bench, program.pid, 2, 3)
    done(bench, "rollback", bench.folder / "libstep.so", digest(bench, 1)[:6].upper())
    is_rolled_back(bench, program.pid, 1, 3)
    says(program, 1, 3)
    assert pins(bench)[0].stat().st_mode & 0o77 == 0
    said = done(bench, "resume", "libstep.so")
    assert "goes into 1 process" in said and f"{bench.folder}/libstep.so" in said
    is_forward(bench, program.pid, 3)
    says(program, 3, 4)
    assert "is not rolled back or held back after a crash anywhere" in declined(bench, 1, "resume", "libstep.so")
    assert not pins(bench)
    build_id = str(bench.library(program.pid, "libstep.so")["build_id"])
    bench.update("lib.2.so", "libstep.so", program.pid)
    done(bench, "rollback", "libstep.so", build_id[:8])
    is_rolled_back(bench, program.pid, 3, 2)


def test_a_file_that_changed_while_no_daemon_was_there_ends_it(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    done(bench, "rollback", "libstep.so")
    bench.kill_daemon()
    bench.link("lib.3.so", "libstep.so")
    bench.start_daemon()
    is_forward(bench, program.pid, 3)
    says(program, 3, 3)


def test_a_file_that_is_gone_for_a_while_does_not_end_it(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    done(bench, "rollback", "libstep.so")
    after = bench.log_length()
    (bench.folder / "libstep.so").unlink()
    assert declined(bench, 1, "rollback", "libstep.so", digest(bench, 1))
    is_rolled_back(bench, program.pid, 1, 2)
    bench.link("lib.2.so", "libstep.so")
    second = start(bench)
    is_rolled_back(bench, second.pid, 1, 2)
    assert not bench.log_lines("event=updated", after=after)
    says(program, 1, 3)


def test_only_the_processes_that_are_named_and_children_of_theirs_go_back(stepping: Bench) -> None:
    bench = stepping
    one, other = start(bench), start(bench)
    for it in (one, other):
        says(it, 1, 1)
    bench.update("lib.2.so", "libstep.so", one.pid, other.pid)
    done(bench, "rollback", "libstep.so", "--target", str(one.pid))
    is_rolled_back(bench, one.pid, 1, 2)
    one.ask("fork")
    one.wait_for("child")
    child = int(one.lines[-1].split()[1])
    try:
        is_rolled_back(bench, child, 1, 2)
        later = start(bench)
        is_forward(bench, later.pid, 2)
        is_forward(bench, other.pid, 2)
        one.kill()
        bench.kill_daemon()
        bench.start_daemon()
        is_rolled_back(bench, child, 1, 2)
        wrong = "--target", str(other.pid)
        assert "not rolled back in any of these" in declined(bench, 1, "resume", "libstep.so", *wrong)
        partly = command(bench, "resume", "libstep.so", "--target", str(child), *wrong)
        assert partly.returncode == 1 and "goes into 1 process" in partly.stdout
        assert partly.stderr == f"liveso: libstep.so is not rolled back in process {other.pid}\n"
        is_forward(bench, child, 2)
    finally:
        os.kill(child, signal.SIGKILL)
    says(other, 2, 2)
    says(later, 2, 1)
    assert not pins(bench)


def test_one_process_goes_forward_alone_where_all_were_rolled_back(stepping: Bench) -> None:
    bench = stepping
    one, other = updated(bench), start(bench)
    done(bench, "rollback", "libstep.so", digest(bench, 1))
    for it in (one, other):
        is_rolled_back(bench, it.pid, 1, 2)
    done(bench, "resume", "libstep.so", "--target", str(one.pid))
    is_forward(bench, one.pid, 2)
    one.ask("fork")
    one.wait_for("child")
    child = int(one.lines[-1].split()[1])
    try:
        is_forward(bench, child, 2)
    finally:
        os.kill(child, signal.SIGKILL)
    is_rolled_back(bench, other.pid, 1, 2)
    is_rolled_back(bench, start(bench).pid, 1, 2)
    done(bench, "resume", "libstep.so")
    is_forward(bench, other.pid, 2)


def test_a_way_back_that_is_refused_leaves_everything_as_it_was(stepping: Bench) -> None:
    bench = stepping
    build(bench, 4, "-DSTARTS")
    bench.link("lib.4.so", "libstep.so")
    program = start(bench)
    says(program, 4, 1)
    bench.update("lib.2.so", "libstep.so", program.pid)
    for arguments in ((), ("--target", str(program.pid)), (digest(bench, 4),)):
        said = declined(bench, 1, "rollback", "libstep.so", *arguments)
        assert f"not rolled back in process {program.pid}: cannot go back to version" in said
        assert "initialiser" in said
        is_forward(bench, program.pid, 2)
        assert not pins(bench)
    says(program, 2, 2)
    assert "is not rolled back or held back after a crash anywhere" in declined(bench, 1, "resume", "libstep.so")


def test_a_process_that_cannot_go_back_stays_and_the_others_go(stepping: Bench) -> None:
    bench = stepping
    plain = start(bench)
    says(plain, 1, 1)
    build(bench, 2, "-DMORE")
    bench.update("lib.2.so", "libstep.so", plain.pid)
    bench.compile(PROGRAM, "needing", "-DMORE", "-L.", "-l:libstep.so", "-Wl,-rpath,$ORIGIN")
    needing = bench.run("./needing")
    bench.library(needing.pid, "libstep.so")
    says(needing, 2, 1)
    it = command(bench, "rollback", "libstep.so")
    assert it.returncode == 1 and it.stdout.startswith(f"{bench.folder}/libstep.so: 1 process runs "), it
    assert f"not rolled back in process {needing.pid}: cannot go back to version" in it.stderr
    assert it.stderr.count("\n") == 1 and "step_more" in it.stderr
    is_rolled_back(bench, plain.pid, 1, 2)
    is_forward(bench, needing.pid, 2)
    says(plain, 1, 2)
    says(needing, 2, 2)
    assert len(pins(bench)) == 1
    done(bench, "resume", "libstep.so")
    is_forward(bench, plain.pid, 2)


def test_what_cannot_be_meant_is_said_in_one_line(stepping: Bench) -> None:
    bench = stepping
    program = start(bench)
    assert "began with" in declined(bench, 1, "rollback", "libstep.so")
    assert "no process has a library libnone.so" in declined(bench, 1, "rollback", "libnone.so")
    assert "lies on disk" in declined(bench, 1, "rollback", "libstep.so", digest(bench, 1))
    assert "at least 6 hexadecimal digits" in declined(bench, 2, "rollback", "libstep.so", "12345")
    assert "no version in the store" in declined(bench, 1, "rollback", "libstep.so", "0123456789abcdef0123")
    assert "is not rolled back or held back after a crash anywhere" in declined(bench, 1, "resume", "libstep.so")
    assert "none of these processes" in declined(bench, 1, "rollback", "libstep.so", "--target", str(os.getpid()))
    declined(bench, 2, "rollback")
    bench.compile("int other(void) { return 1; }", "libother.so", *SHARED, "-Wl,-soname,libother.so")
    using = "int other(void), getchar(void); int main(void) { other(); return getchar(); }"
    bench.compile(using, "user", "-w", "-L.", "-l:libother.so", "-Wl,-rpath,$ORIGIN")
    user = bench.run("./user")
    other = str(bench.library(user.pid, "libother.so")["version"])
    said = declined(bench, 2, "rollback", "libstep.so", other)
    assert "is a version of libother.so, and not known as one of" in said
    says(program, 1, 1)
    assert not pins(bench)


def test_a_beginning_that_several_versions_have_is_not_guessed(stepping: Bench) -> None:
    bench = stepping
    for version in (1, 2, 3):
        build(bench, version, f"-Wl,--build-id=0xabcdef{version:02x}")
    bench.link("lib.1.so", "libstep.so")
    program = updated(bench)
    bench.update("lib.3.so", "libstep.so", program.pid)
    said = declined(bench, 2, "rollback", "libstep.so", "abcdef")
    assert "several versions" in said and digest(bench, 1)[:16] in said
    done(bench, "rollback", "libstep.so", "abcdef01")
    is_rolled_back(bench, program.pid, 1, 3)


def test_processes_that_ran_different_versions_before_are_listed(stepping: Bench) -> None:
    bench = stepping
    first = updated(bench)
    second = start(bench)
    bench.update("lib.3.so", "libstep.so", first.pid, second.pid)
    done(bench, "rollback", "libstep.so", digest(bench, 1), "--target", str(first.pid))
    third = start(bench)
    bench.wait_for_version("lib.3.so", "libstep.so", third.pid)
    done(bench, "resume", "libstep.so")
    is_forward(bench, first.pid, 3)
    bench.link("lib.1.so", "libstep.so")
    fourth = start(bench)
    bench.update("lib.3.so", "libstep.so", first.pid, second.pid, third.pid, fourth.pid)
    said = declined(bench, 2, "rollback", "libstep.so")
    assert digest(bench, 1)[:12] in said and digest(bench, 2)[:12] in said and str(fourth.pid) in said


BASE = "int base_version(void) { return VERSION; }"
TOP = """
int base_version(void);
int step_version(void) { return 10 * VERSION + base_version(); }
int step(void) { return 0; }
"""


def put(bench: Bench, source: str, name: str, version: int, *flags: str) -> None:
    """Compile a library beside its place, and rename it there; its version is kept under its number."""
    kept = bench.compile(
        source, f"kept/{version}/{name}", *SHARED, f"-DVERSION={version}", f"-Wl,-soname,{name}", "-L.", *flags
    )
    shutil.copy(kept, bench.folder / "next")
    os.rename(bench.folder / "next", bench.folder / name)


@pytest.fixture
def pair(bench: Bench) -> tuple[Bench, Program]:
    """A program with a library that needs another one, both in version 2, after 1."""
    put(bench, BASE, "libbase.so", 1)
    put(bench, TOP, "libstep.so", 1, "-l:libbase.so", "-Wl,-rpath,$ORIGIN")
    bench.compile(PROGRAM, "program", "-L.", "-l:libstep.so", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath-link,{bench.folder}")
    program = bench.run("./program")
    for name in ("libbase.so", "libstep.so"):
        bench.library(program.pid, name)
    return bench, program


def both(bench: Bench, program: Program, version: int) -> None:
    put(bench, BASE, "libbase.so", version)
    put(bench, TOP, "libstep.so", version, "-l:libbase.so", "-Wl,-rpath,$ORIGIN")
    for name in ("libbase.so", "libstep.so"):
        bench.wait_for_version(f"kept/{version}/{name}", name, program.pid)


def test_what_a_newer_library_needs_goes_back_after_that(pair: tuple[Bench, Program]) -> None:
    bench, program = pair
    both(bench, program, 2)
    says(program, 22, 0)
    said = declined(bench, 1, "rollback", "libbase.so")
    assert "libstep.so, which needs it, runs a newer version: roll that back first" in said
    says(program, 22, 0)
    done(bench, "rollback", "libstep.so")
    says(program, 12, 0)
    done(bench, "rollback", "libbase.so")
    says(program, 11, 0)
    done(bench, "resume", "libbase.so")
    bench.wait_for_result(program.pid, "libbase.so", "updated")
    says(program, 12, 0)


def test_what_needs_a_library_that_was_rolled_back_is_held_back(pair: tuple[Bench, Program]) -> None:
    bench, program = pair
    put(bench, BASE, "libbase.so", 2)
    bench.wait_for_version("kept/2/libbase.so", "libbase.so", program.pid)
    done(bench, "rollback", "libbase.so")
    put(bench, TOP, "libstep.so", 2, "-l:libbase.so", "-Wl,-rpath,$ORIGIN")
    held = bench.wait_for_result(program.pid, "libstep.so", "held back")
    assert "it needs libbase.so, which was rolled back; `liveso resume libbase.so`" in held["reason"]
    says(program, 11, 0)
    done(bench, "resume", "libbase.so")
    for name in ("libbase.so", "libstep.so"):
        bench.wait_for_result(program.pid, name, "updated")
    says(program, 22, 0)


def test_without_waiting_it_is_begun(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    assert "back to" in done(bench, "rollback", "libstep.so", "--no-wait")
    is_rolled_back(bench, program.pid, 1, 2)
    bench.wait_for_library(program.pid, "libstep.so", reason=containing("which lies on disk"))


def test_a_pin_that_others_could_have_written_is_none(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    done(bench, "rollback", "libstep.so")
    bench.kill_daemon()
    pins(bench)[0].chmod(0o666)
    bench.start_daemon()
    is_forward(bench, program.pid, 2)
    says(program, 2, 3)


@pytest.mark.parametrize(
    ("path", "question", "said"),
    [
        (
            "/rollback",
            {"library": "libstep.so"},
            "a JSON object with library and version and pids and wait is expected",
        ),
        ("/rollback", {"library": "libstep.so", "version": "", "pids": "one", "wait": "1"}, "numbers of processes"),
        ("/rollback", {"library": "libstep.so", "version": "", "pids": "", "wait": "nan"}, "a number of seconds"),
        ("/rollback", {"library": "libstep.so", "version": "", "pids": "", "wait": "-1"}, "a number of seconds"),
        ("/resume", {}, "a JSON object with library and pids is expected"),
    ],
)
def test_a_question_that_is_none_gets_an_answer(bench: Bench, path: str, question: dict[str, str], said: str) -> None:
    answer = ask_daemon(read_settings(bench.environment), path, question)
    assert said in answer["error"] and answer["exit_code"] == 2


def test_a_process_whose_threads_cannot_be_held_goes_back_when_they_can(stepping: Bench) -> None:
    bench = stepping
    program = updated(bench)
    question = {"library": "libstep.so", "version": "", "pids": "", "wait": "2"}
    assert ptrace(SEIZE, program.pid)
    try:
        (answer,) = ask_daemon(read_settings(bench.environment), "/rollback", question)["libraries"]
        assert (answer["running"], answer["refused"], list(answer["pending"])) == ([], {}, [str(program.pid)])
        bench.wait_for_library(program.pid, "libstep.so", result="refused", reason=containing("cannot go back"))
    finally:
        assert ptrace(INTERRUPT, program.pid)
        os.waitpid(program.pid, ALL_THREADS)
        assert ptrace(DETACH, program.pid)
    is_rolled_back(bench, program.pid, 1, 2)
    says(program, 1, 3)
