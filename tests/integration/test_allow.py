"""The policy `ask`: an update that changes what values mean waits for a person, and goes in when that says so."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from liveso.client.ask import ask_daemon
from liveso.settings import read_settings
from tests.connections import LIBRARY, PROGRAM, SHARED, flags
from tests.harness import LIVESO, Bench, Program

SONAME = "-Wl,-soname,libconn.so"


def build(bench: Bench, version: int, value: int, has_other_layout: bool = False) -> Path:
    return bench.compile(LIBRARY, f"libconn.{version}.so", SONAME, *flags(version, has_other_layout, value))


@pytest.fixture
def asking(idle_bench: Bench) -> Bench:
    """A bench whose daemon asks, with a library whose versions 1 and 2 have other values for a state, and 3 another
    layout, too."""
    bench = idle_bench
    bench.environment["LIVE_POLICY"] = "ask"
    for version, value in ((1, 11), (2, 12), (3, 12)):
        build(bench, version, value, version == 3)
    bench.link("libconn.1.so", "libconn.so")
    bench.compile(PROGRAM, "program", "-L.", "-l:libconn.so", "-Wl,-rpath,$ORIGIN")
    bench.start_daemon()
    return bench


def start(bench: Bench) -> Program:
    program = bench.run("./program")
    says(program, 1)
    assert bench.library(program.pid, "libconn.so")["result"] == "current"
    return program


def says(program: Program, version: int) -> None:
    after = len(program.lines)
    program.ask("")
    assert program.wait_for("version", after) == f"version {version}"


def allow(bench: Bench, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [LIVESO, "allow", *arguments]
    return subprocess.run(command, env=bench.environment, capture_output=True, text=True, check=False)


def declined(bench: Bench, code: int, *arguments: str | Path) -> str:
    done = allow(bench, *arguments)
    assert done.returncode == code and not done.stdout, done
    assert done.stderr.startswith("liveso: ") and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    return done.stderr


def digest(bench: Bench, version: int) -> str:
    return digest_of(bench, f"libconn.{version}.so")


def digest_of(bench: Bench, file: str) -> str:
    return hashlib.sha256((bench.folder / file).read_bytes()).hexdigest()


def waits(bench: Bench, program: Program, version: int) -> str:
    """Lead the link to a version, and wait until it waits for a person; the reason."""
    bench.link(f"libconn.{version}.so", "libconn.so")
    found = bench.wait_for_library(program.pid, "libconn.so", result="waiting", waiting_version=digest(bench, version))
    return str(found["reason"])


def test_a_meaning_that_changed_waits_for_a_person(asking: Bench) -> None:
    program = start(asking)
    reason = waits(asking, program, 2)
    assert "the value 11 that" in reason and "became 12" in reason
    cure = reason[reason.index("`liveso allow ") + len("`liveso allow ") : reason.rindex("`")].split()
    says(program, 1)
    asking.wait_for_log("event=waiting-for-person")
    program.wait_for_error("waits for a person")
    shown = subprocess.check_output([LIVESO, "status"], env=asking.environment, text=True).splitlines()
    assert [line.split("\t")[1] for line in shown if "libconn.so" in line.split("\t")[2]] == ["waiting"]
    assert "liveso allow libconn.so" in subprocess.check_output([LIVESO, "why"], env=asking.environment, text=True)
    done = allow(asking, *cure)
    assert done.returncode == 0 and not done.stderr, done
    assert str(asking.folder / "libconn.so") in done.stdout and "1 process" in done.stdout
    assert f": {cure[1]} is allowed" in done.stdout, "by the name that status has for it"
    found = asking.wait_for_result(program.pid, "libconn.so", "updated")
    assert found["waiting_version"] == "" and found["version"] == digest(asking, 2)
    says(program, 2)


def test_a_permission_outlives_the_daemon_and_is_for_this_content_only(asking: Bench) -> None:
    program = start(asking)
    waits(asking, program, 2)
    asking.kill_daemon()
    asking.start_daemon()
    waits(asking, program, 2)
    assert allow(asking, asking.folder / "libconn.so", digest(asking, 2)[:6].upper()).returncode == 0
    asking.wait_for_result(program.pid, "libconn.so", "updated")
    kept = next((asking.folder / "store" / "allowed").iterdir())
    assert kept.name == f"{digest(asking, 1)}-{digest(asking, 2)}" and kept.stat().st_mode & 0o77 == 0
    program.end()
    asking.link("libconn.1.so", "libconn.so")
    later = start(asking)
    asking.kill_daemon()
    asking.link("libconn.2.so", "libconn.so")
    asking.start_daemon()
    asking.wait_for_result(later.pid, "libconn.so", "updated")
    says(later, 2)
    build(asking, 4, 13)
    waits(asking, later, 4)
    assert len(list(kept.parent.iterdir())) == 1


def test_a_rollback_that_asks_a_person_stays_and_is_done_when_that_allows_it(asking: Bench) -> None:
    program = start(asking)
    waits(asking, program, 2)
    assert allow(asking, "libconn.so", digest(asking, 2)).returncode == 0
    asking.wait_for_result(program.pid, "libconn.so", "updated")
    done = subprocess.run(
        [LIVESO, "rollback", "libconn.so"], env=asking.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and not done.stdout and "`liveso allow libconn.so" in done.stderr, done
    says(program, 2)
    asking.wait_for_library(program.pid, "libconn.so", result="waiting", waiting_version=digest(asking, 1))
    assert allow(asking, "libconn.so", digest(asking, 1)).returncode == 0
    asking.wait_for_library(program.pid, "libconn.so", result="rolled back", rolled_back_over=digest(asking, 2))
    says(program, 1)


def test_what_is_refused_for_its_layout_cannot_be_allowed(asking: Bench) -> None:
    program = start(asking)
    asking.link("libconn.3.so", "libconn.so")
    refused = asking.wait_for_result(program.pid, "libconn.so", "refused")
    assert refused["waiting_version"] == ""
    said = declined(asking, 1, "libconn.so", digest(asking, 3))
    assert "is refused, which nobody can allow" in said and refused["reason"] in said
    asking.link("libconn.2.so", "libconn.so")  # what the daemon does next shows that it did nothing before
    asking.wait_for_result(program.pid, "libconn.so", "waiting")
    says(program, 1)
    assert not (asking.folder / "store" / "allowed").exists()


def test_a_question_that_names_nothing_is_answered_in_one_line(asking: Bench) -> None:
    program = start(asking)
    waits(asking, program, 2)
    version = digest(asking, 2)
    assert "at least 6 hexadecimal digits" in declined(asking, 2, "libconn.so", version[:5])
    assert "at least 6 hexadecimal digits" in declined(asking, 2, "libconn.so", "the new one")
    assert "no process has a library libnone.so" in declined(asking, 1, "libnone.so", version)
    assert "no process has a library" in declined(asking, 1, os.fsdecode(b"\xff\n"), version)
    other = digest(asking, 3)
    assert f"no version {other} of libconn.so waits" in declined(asking, 1, "libconn.so", other)
    declined(asking, 2, "libconn.so")
    says(program, 1)
    assert allow(asking, "libconn.so", version).returncode == 0
    asking.wait_for_result(program.pid, "libconn.so", "updated")
    assert "waits for a person" in declined(asking, 1, "libconn.so", version)


USER = r"""
struct conn;
struct conn *conn_new(void); int conn_write(struct conn *);
int user_version(void) { return NUMBER + (conn_write(conn_new()) > 99); }
"""
PROGRAM_OF_USER = r"""
#include <stdio.h>
int user_version(void); int conn_version(void);
int main(void) {
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        printf("version %d\n", 10 * conn_version() + user_version());
        fflush(stdout);
    }
    return 0;
}
"""


def test_what_needs_a_library_that_waits_is_held_back_and_goes_in_with_it(asking: Bench) -> None:
    bench = asking
    for number in (1, 2):
        flags = (f"-DNUMBER={number}", "-Wl,-soname,libuser.so", "-L.", f"-l:libconn.{number}.so", "-Wl,-rpath,$ORIGIN")
        bench.compile(USER, f"libuser.{number}.so", *SHARED, *flags)
    bench.link("libuser.1.so", "libuser.so")
    libraries = ("-L.", "-l:libuser.so", "-l:libconn.so", "-Wl,-rpath,$ORIGIN")
    bench.compile(PROGRAM_OF_USER, "program", *libraries)
    program = bench.run("./program")
    says(program, 11)
    for name in ("libconn.so", "libuser.so"):
        assert bench.library(program.pid, name)["result"] == "current"
    bench.link("libconn.2.so", "libconn.so")
    bench.link("libuser.2.so", "libuser.so")
    bench.wait_for_result(program.pid, "libconn.so", "waiting")
    held = bench.wait_for_result(program.pid, "libuser.so", "held back")
    assert held["reason"] == "it needs libconn.so, which waits for a person"
    assert "is held back, which nobody can allow" in declined(bench, 1, "libuser.so", digest_of(bench, "libuser.2.so"))
    says(program, 11)
    assert allow(bench, "libconn.so", digest(bench, 2)).returncode == 0
    for name in ("libconn.so", "libuser.so"):
        bench.wait_for_result(program.pid, name, "updated")
    says(program, 22)


@pytest.mark.parametrize("question", [{}, {"library": "libconn.so"}, {"library": "x" * 100_000, "version": "123456"}])
def test_a_question_that_is_none_gets_an_answer(asking: Bench, question: dict[str, str]) -> None:
    answer = ask_daemon(read_settings(asking.environment), "/allow", question)
    assert answer == {"error": "a JSON object with library and version is expected", "exit_code": 2}


def test_without_a_daemon_nothing_is_allowed(idle_bench: Bench) -> None:
    assert "no daemon answers" in declined(idle_bench, 4, "libconn.so", "123456")


def test_a_permission_that_others_could_have_written_is_none(asking: Bench) -> None:
    allowed = asking.folder / "store" / "allowed"
    allowed.mkdir(parents=True, mode=0o700)
    forged = allowed / f"{digest(asking, 1)}-{digest(asking, 2)}"
    forged.write_text("{}")
    forged.chmod(0o666)
    program = start(asking)
    waits(asking, program, 2)
    allowed.chmod(0o777)
    assert str(allowed) in declined(asking, 6, "libconn.so", digest(asking, 2))
    says(program, 1)


def test_check_says_that_a_person_is_asked(asking: Bench) -> None:
    def check(new: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command: list[str | Path] = [
            LIVESO,
            "check",
            "libconn.1.so",
            new,
            "--policy",
            "ask",
            "--no-debuginfod",
            *arguments,
        ]
        return subprocess.run(
            command, env=asking.environment, cwd=asking.folder, capture_output=True, text=True, check=False
        )

    done = check("libconn.2.so")
    assert done.returncode == 3 and done.stdout.splitlines()[0].endswith("after a person has allowed it")
    (answer,) = json.loads(check("libconn.2.so", "--json").stdout)
    assert (answer["applies"], answer["asks_person"]) == (False, True)
    assert {it["weight"] for it in answer["findings"] if it["layer"] == "meaning"} == {"asks"}
    assert check("libconn.3.so").returncode == 1 and check("libconn.1.so").returncode == 0
