"""Programs that end, fork, change their rights or are watched in odd ways do what they do without live.so."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveso.process import proc
from tests.harness import AGENT, LIVESO, Bench, Program, wait_until
from tests.integration.test_attach import LIBRARY
from tests.integration.test_overwritten import UsersBench
from tests.users import VICTIM, make_folder

PROGRAMS = Path(__file__).parent / "programs"
MODES = ("visited", "resident")
WAYS = (*MODES, "attached")
ENDS = (
    "first_ends_alone",
    "first_ends_before_others",
    "child_ends_by_pthread_exit",
    "raw_exit",
    "raw_exits",
    "killed",
    "strictly_killed",
    "strictly_exits",
    "filter_kills_the_thread",
    "filter_kills_the_process",
    "filter_for_all_threads",
    "new_user_namespace",
    "forks_in_signal_handlers",
    "vforks_and_executions",
    "threads_by_the_thousand",
    "single_threaded",
)
NOT_WITH_A_THREAD = (
    "raw_exits",
    "filter_for_all_threads",
    "new_user_namespace",
    "forks_in_signal_handlers",
    "single_threaded",
)
"""What a second thread cannot but change (docs/decisions/0002-an-agent-thread.md)."""

READS = (
    "filtered",
    "filtered_in_all_threads",
    "strict",
    "in_a_user_namespace",
    "another_user",
    "another_user_alone",
    "without_capabilities",
    "not_to_be_dumped",
    "first_thread_has_ended",
)
STORMS = ("forks_in_signal_handlers", "vforks_and_executions", "threads_come_and_go")
UNLIKE = "live.so's thread has left it, because its user, groups, capabilities or filters"
FILTERED = "the program filters its system calls since it started"
LEFT_BY_THE_THREAD = {
    "filtered": UNLIKE,
    "strict": UNLIKE,
    "another_user_alone": UNLIKE,
    "without_capabilities": UNLIKE,
    "filtered_in_all_threads": FILTERED,
}
"""What status says of those that the thread is not to serve any more."""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="changes users, which only root may"),
    pytest.mark.xdist_group("odd programs"),
]


def build(bench: Bench) -> None:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    link = ("-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")
    bench.compile(PROGRAMS / "odd_lives.c", "odd_lives", "-O1", "-pthread", *link)
    bench.compile(PROGRAMS / "odd_ends.c", "odd_ends", "-O1", "-pthread")


@pytest.fixture(scope="module")
def odd() -> Iterator[Bench]:
    """A daemon for all tests here, in a folder that everybody may enter: the programs become other users."""
    with tempfile.TemporaryDirectory(prefix="liveso-odd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bench = Bench(folder)
        bench.start_daemon()
        build(bench)
        yield bench
        bench.close()


def outcome(program: Program) -> tuple[int, list[str], list[str]]:
    code = program.end()
    return code, program.lines, program.error_lines


def begin(bench: Bench, way: str, *command: str) -> Program:
    if way == "attached":
        return bench.run_plain(*command)
    return bench.run(*command, LIVE_MODE=way, LIVE_LOGLEVEL="0")


def liveso(bench: Bench, *arguments: str | int, user: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*user, str(LIVESO), *map(str, arguments)]
    return subprocess.run(command, env=bench.environment, capture_output=True, text=True, check=False, timeout=120)


def attach(bench: Bench, *programs: Program) -> None:
    done = liveso(bench, "attach", *(it.pid for it in programs))
    assert (done.returncode, done.stderr) == (0, "")


def wait_until_served(bench: Bench, program: Program) -> None:
    wait_until(lambda: any(it["pid"] == program.pid and "mode" in it for it in bench.status()), "it is served")


def said(bench: Bench, program: Program) -> str:
    """What status says of why a program is as it is."""
    found = [it for it in bench.status() if it["pid"] == program.pid]
    return " ".join([it["note"] for it in found] + [library["reason"] for it in found for library in it["libraries"]])


def wait_until_said(bench: Bench, program: Program, reason: str) -> None:
    wait_until(lambda: reason in said(bench, program), lambda: f"{reason} in {said(bench, program)!r}")


def ends_of(way: str) -> tuple[str, ...]:
    return tuple(it for it in ENDS if way != "resident" or it not in NOT_WITH_A_THREAD)


@pytest.mark.parametrize("end, mode", [(end, mode) for mode in MODES for end in ends_of(mode)])
def test_a_program_ends_as_it_would_without_live_so(odd: Bench, end: str, mode: str) -> None:
    expected = outcome(odd.run_plain("./odd_ends", end))
    assert outcome(odd.run("./odd_ends", end, LIVE_MODE=mode, LIVE_LOGLEVEL="0")) == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_is_served_ends_as_it_would_without_live_so(odd: Bench, way: str) -> None:
    expected = {end: outcome(odd.run_plain("./odd_ends", end)) for end in ends_of(way)}
    programs = {end: begin(odd, way, "./odd_ends", end, "waits") for end in ends_of(way)}
    if way == "attached":
        attach(odd, *programs.values())
    for it in programs.values():
        wait_until_served(odd, it)
        it.ask("")
    assert {end: outcome(it) for end, it in programs.items()} == expected


@pytest.mark.parametrize("way", WAYS)
def test_an_odd_program_is_updated_or_status_says_why_not(odd: Bench, way: str) -> None:
    odd.update("lib.1.so", "libversion.so")
    programs = {it: begin(odd, way, "./odd_lives", it) for it in (*READS, *STORMS)}
    for it in programs.values():
        it.wait_for("version 1")
        if way != "attached":
            wait_until_served(odd, it)
        it.ask("x")
    wait_until(lambda: all(len(it.lines) > 1 for it in programs.values()), "all are odd")
    if way == "attached":
        attach(odd, *programs.values())
    for version in (2, 3):
        odd.link(f"lib.{version}.so", "libversion.so")
        for name, it in programs.items():
            reason = LEFT_BY_THE_THREAD.get(name, "") if way == "resident" else ""
            if reason:
                wait_until_said(odd, it, reason)
            else:
                odd.wait_for_version(f"lib.{version}.so", "libversion.so", it.pid)
            before = len(it.lines)
            it.ask("x")
            it.wait_for(f"version {1 if reason else version}", before)
    left = [name for name, reason in LEFT_BY_THE_THREAD.items() if reason == UNLIKE and way == "resident"]
    for name in left:  # root's daemon visits what the thread has left
        assert len(os.listdir(f"/proc/{programs[name].pid}/task")) == 1
        attach(odd, programs[name])
        odd.wait_for_version("lib.3.so", "libversion.so", programs[name].pid)
        programs[name].ask("x")
        programs[name].wait_for("version 3")
    endings = {name: outcome(it)[0] for name, it in programs.items() if name in READS}
    assert endings == {**dict.fromkeys(READS, 0), "strict": -signal.SIGKILL}  # which may not end all threads
    for name in STORMS:
        assert programs[name].process.poll() is None
        programs[name].kill()


@pytest.mark.parametrize("mode", MODES)
def test_a_program_under_valgrind_is_not_touched(odd: Bench, mode: str) -> None:
    odd.update("lib.1.so", "libversion.so")
    program = odd.run("valgrind", "-q", "./odd_lives", "usual", LIVE_MODE=mode, LIVE_LOGLEVEL="0")
    program.wait_for("version 1")
    wait_until_said(odd, program, "does not execute its libraries' code itself")
    odd.link("lib.2.so", "libversion.so")
    done = liveso(odd, "attach", program.pid)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    for _each in range(3):
        before = len(program.lines)
        program.ask("x")
        program.wait_for("version 1", before)
    assert (program.end(), program.error_lines) == (0, [])


@contextmanager
def debugger_of(bench: Bench, program: Program) -> Iterator[Program]:
    """gdb, which holds a program; whoever ends that first would wait for gdb."""
    debugger = bench.run_plain("gdb", "-q", "-nx", "-p", str(program.pid))
    try:
        debugger.ask("echo ready\\n")
        debugger.wait_for("ready")
        yield debugger
        debugger.ask("detach")
        debugger.ask("quit")
        assert debugger.end() == 0
    finally:
        debugger.kill()


def test_what_gdb_holds_is_updated_once_gdb_has_gone(odd: Bench) -> None:
    odd.update("lib.1.so", "libversion.so")
    prepared, plain = begin(odd, "visited", "./odd_lives", "usual"), begin(odd, "attached", "./odd_lives", "usual")
    for it in (prepared, plain):
        it.wait_for("version 1")
    wait_until_served(odd, prepared)
    with debugger_of(odd, prepared) as first, debugger_of(odd, plain) as second:
        done = liveso(odd, "attach", plain.pid)
        assert done.returncode == 1 and f"process {second.pid} traces it already" in done.stderr
        odd.link("lib.2.so", "libversion.so")
        wait_until(lambda: f"process {first.pid} traces it already" in said(odd, prepared), "status says who does")
    attach(odd, plain)
    for it in (prepared, plain):
        odd.wait_for_version("lib.2.so", "libversion.so", it.pid)
        it.ask("x")
        it.wait_for("version 2")
        assert it.end() == 0


def test_what_a_users_daemon_may_not_look_at_runs_on(odd: Bench) -> None:
    """PR_SET_DUMPABLE: the kernel lets only root trace the process, and read what it has mapped."""
    odd.update("lib.1.so", "libversion.so")
    user = ["setpriv", f"--reuid={VICTIM}", f"--regid={VICTIM}", "--clear-groups"]
    theirs = UsersBench(make_folder(odd.folder / "theirs", VICTIM), user)
    if subprocess.run([*user, LIVESO, "--help"], capture_output=True, check=False).returncode != 0:
        pytest.skip("another user may not run this installation")
    theirs.environment["HOME"] = str(theirs.folder)
    daemon = theirs.run_plain(*user, LIVESO, "daemon")
    daemon.wait_for_error("event=started")
    try:
        program = str(odd.folder / "odd_lives")
        plain = theirs.run_plain(*user, program, "not_to_be_dumped")
        prepared = {
            mode: theirs.run_plain(
                *(*user, "env", f"LD_PRELOAD={AGENT}", f"LIVE_MODE={mode}", program, "not_to_be_dumped")
            )
            for mode in MODES
        }
        for it in prepared.values():
            it.wait_for("version 1")
            wait_until_served(theirs, it)
        programs = plain, *prepared.values()
        for it in programs:
            it.ask("x")
        wait_until(lambda: all(len(it.lines) > 1 for it in programs), "they are not to be dumped")
        done = liveso(theirs, "attach", plain.pid, user=user)
        assert done.returncode == 1 and "may not be read; run the daemon as the same user or as root" in done.stderr
        odd.link("lib.2.so", "libversion.so")
        for it in prepared.values():
            wait_until_said(theirs, it, "may not be")
        for it in programs:
            before = len(it.lines)
            it.ask("x")
            it.wait_for("version 1", before)
            assert it.end() == 0
    finally:
        theirs.close()


@pytest.mark.parametrize("oddity", ["strict", "filtered", "filtered_in_all_threads"])
def test_a_restricted_thread_is_told_from_outside(odd: Bench, oddity: str) -> None:
    program = odd.run_plain("./odd_lives", oddity)
    program.wait_for("version")
    assert proc.system_call_filters(program.pid, program.pid) == 0
    before = len(program.lines)
    program.ask("x")
    program.wait_for("version", before)
    assert proc.system_call_filters(program.pid, program.pid) == 1
