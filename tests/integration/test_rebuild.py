"""`liveso run --build`: a source changes, and what becomes of it in the running program is told."""

import os
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program, wait_until
from tests.terminal import Terminal

PROGRAM = (Path(__file__).parent / "programs" / "asked.c").read_text()
LIBRARY = "int calls;\nint value(void) { calls++; return 1; }\n"
OTHER_LAYOUT = "long calls[4];\nint value(void) { calls[1]++; return 5; }\n"
MAKEFILE = """
asked: asked.c libvalue.so
	gcc -g asked.c -o $@ -L. -lvalue -Wl,-rpath,'$$ORIGIN'
libvalue.so: value.c
	echo >>../builds
	gcc -O1 -g -Wall -fPIC -shared value.c -o $@
"""


@pytest.fixture
def game(bench: Bench) -> Iterator[Path]:
    """The folder of a program with a library, which `make` builds."""
    folder = bench.folder / "game"
    folder.mkdir()
    for name, text in (("asked.c", PROGRAM), ("value.c", LIBRARY), ("Makefile", MAKEFILE)):
        (folder / name).write_text(text)
    yield folder


def builds(game: Path) -> int:
    return (game.parent / "builds").read_text().count("\n")


def start(bench: Bench, *options: str, program: str = "./asked") -> Program:
    command: list[str | Path] = [LIVESO, "run", *(options or ("--build", "make -s")), "--", program]
    running = Program.start(command, bench.environment, bench.folder / "game")
    bench.programs.append(running)
    return running


def begin(bench: Bench, *options: str) -> Program:
    """Start it, and wait until the daemon knows it."""
    program = start(bench, *options)
    bench.library(own_pid(program), "libvalue.so")
    return program


def own_pid(program: Program, after: int = 0) -> int:
    return int(program.wait_for("begins", after).split()[1])


def say(program: Program, line: str) -> str:
    before = len(program.lines)
    program.ask(line)
    return program.wait_for(f"{line}: ", before)


def told(program: Program, after: int = 0) -> str:
    """The next line of ours."""
    return program.wait_for_error("liveso: ", after=after)


def edit(game: Path, value: int) -> None:
    (game / "value.c").write_text(LIBRARY.replace("return 1", f"return {value}"))


def test_what_is_edited_goes_in_and_what_cannot_be_is_told(bench: Bench, game: Path) -> None:
    program = begin(bench)
    assert say(program, "one") == "one: value 1, call 1"
    edit(game, 2)
    assert re.fullmatch(r"liveso: built in \d\.\d s; libvalue\.so: updated in \d+ ms", told(program))
    assert say(program, "two") == "two: value 2, call 2"

    before = len(program.error_lines)
    (game / "value.c").write_text(LIBRARY.replace("return", "retrun"))
    program.wait_for_error("error:", "retrun", after=before)
    assert "the build failed (exit code 2, after" in program.wait_for_error("liveso:", after=before)
    assert say(program, "three") == "three: value 2, call 3"

    before = len(program.error_lines)
    (game / "value.c").write_text(OTHER_LAYOUT)
    assert "libvalue.so: refused: " in told(program, before) and "calls" in told(program, before)
    assert say(program, "four") == "four: value 2, call 4"
    assert builds(game) == 4
    assert program.end() == 7


def test_a_build_that_writes_into_the_watched_folder_does_not_trigger_itself(bench: Bench, game: Path) -> None:
    build = "echo >>count.txt; cp value.c copy.c; date +%N >stamp; gcc -g -fPIC -shared copy.c -o libvalue.so"
    subprocess.run(["make", "-s", "-C", game], check=True)
    (game / "libvalue.so").unlink()
    program = begin(bench, "--build", build)
    for value in range(2, 7):
        before = len(program.error_lines)
        edit(game, value)
        assert "libvalue.so: updated in" in told(program, before)
    assert (game / "count.txt").read_text().count("\n") == 6
    assert len(program.error_lines_with("liveso:")) == 5


def test_changes_during_a_build_are_built_once_more(bench: Bench, game: Path) -> None:
    """Also of a file that never changed before: others edit, too, while a build runs."""
    build = "echo >>../begun; while [ -e ../hold ]; do sleep 0.01; done; make -s"
    begun = bench.folder / "begun"
    program = begin(bench, "--build", build)
    hold = bench.folder / "hold"
    hold.write_text("")
    edit(game, 2)
    wait_until(lambda: begun.read_text().count("\n") == 2, "the second build")
    for number in range(3):
        (game / "Makefile").write_text(MAKEFILE + f"# {number}\n")
        edit(game, 3 + number)
    hold.unlink()
    assert "libvalue.so: updated in" in told(program)
    wait_until(lambda: begun.read_text().count("\n") == 3, "the third build")
    wait_until(lambda: say(program, "now").startswith("now: value 5,"), "the last edit")
    before = len(program.error_lines)
    edit(game, 9)
    wait_until(lambda: say(program, "now").startswith("now: value 9,"), "another edit")
    assert "updated" in program.wait_for_error("libvalue.so: updated", after=before)
    assert begun.read_text().count("\n") == 4


def test_only_what_is_watched_counts(bench: Bench, game: Path) -> None:
    (game / "src").mkdir()
    (game / "value.c").rename(game / "src/value.c")
    (game / "Makefile").write_text(MAKEFILE.replace("value.c", "src/value.c"))
    program = begin(bench, "--build", "make -s", "--watch", "src/", "--watch", "asked.c")
    (game / "notes.c").write_text("int a;")
    (game / "src/value.c").write_text(LIBRARY.replace("return 1", "return 2"))
    assert "libvalue.so: updated in" in told(program)
    (game / "asked.c").write_text(PROGRAM + "\nint unused;\n")
    line = program.wait_for_error("liveso:", "asked itself is another one: only a restart runs it")
    assert "libvalue.so" not in line
    assert len(program.error_lines_with("liveso:")) == 2


def test_a_program_starts_with_the_first_build_that_succeeds(bench: Bench, game: Path) -> None:
    (game / "value.c").write_text("in value;\n")
    program = start(bench)
    assert "the build failed (exit code 2" in told(program) and "starts when a build succeeds" in told(program)
    assert not program.lines
    edit(game, 4)
    own_pid(program)
    assert say(program, "one") == "one: value 4, call 1"


def test_what_a_build_leaves_behind_does_not_hold_it_up(bench: Bench, game: Path) -> None:
    program = begin(bench, "--build", "sleep 1000 & make -s")
    edit(game, 2)
    assert "updated in" in told(program)
    program.end()


def test_a_refusal_restarts_the_program(bench: Bench, game: Path) -> None:
    (game / "asked.c").write_text(PROGRAM.replace("extern int calls;", "static int calls;"))
    program = begin(bench, "--build", "make -s", "--on-refusal", "restart")
    first, before = own_pid(program), len(program.lines)
    (game / "value.c").write_text(OTHER_LAYOUT)
    assert told(program).endswith("; restarting it")
    program.wait_for("got signal 15")
    assert own_pid(program, before) != first
    assert say(program, "again").startswith("again: value 5")
    assert program.end() == 7


def test_what_does_not_end_is_killed_and_so_are_its_children(bench: Bench, game: Path) -> None:
    program = start(bench, "--build", "make -s", "--on-refusal", "restart", program="./both")
    (game / "both").write_text("#!/bin/sh\ntrap '' TERM\n./asked <&0\necho never\n")
    (game / "both").chmod(0o755)
    (game / "asked.c").write_text(PROGRAM.replace("sigaction(SIGTERM", "sigaction(SIGUSR1"))
    first = own_pid(program)
    bench.library(first, "libvalue.so")
    before = len(program.lines)
    (game / "value.c").write_text(OTHER_LAYOUT)
    assert own_pid(program, before) != first
    assert has_ended(first)
    assert "never" not in program.lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_programs(bench: Bench, game: Path, number: signal.Signals) -> None:
    program = begin(bench)
    program.process.send_signal(number)
    program.wait_for(f"got signal {number:02}")
    assert program.end() == 3
    assert sum("got signal" in line for line in program.lines) == 1


def test_a_program_that_crashes_ends_this_by_the_same_signal(bench: Bench, game: Path) -> None:
    program = begin(bench)
    program.ask("crash")
    assert program.end() == -signal.SIGSEGV
    assert not program.error_lines_with("liveso:")


def test_a_build_that_runs_ends_with_the_program(bench: Bench, game: Path) -> None:
    program = begin(
        bench, "--build", "[ -e ../first ] && echo $$ >../build && exec sleep 1000; touch ../first; make -s"
    )
    edit(game, 2)
    file = bench.folder / "build"
    pid = int(wait_until(lambda: file.exists() and file.read_text(), "a build"))
    assert program.end() == 7
    assert has_ended(pid)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--watch", "."), "--watch is for --build"),
        (("--on-refusal", "restart"), "--on-refusal is for --build"),
        (("--build", " "), "--build names no command"),
        (("--build", "make", "--watch", "nowhere"), "nowhere"),
        (("--build", "make", "--on-refusal", "ask"), "needs a terminal"),
    ],
)
def test_what_makes_no_sense_is_one_line(bench: Bench, game: Path, options: tuple[str, ...], said: str) -> None:
    program = start(bench, *options)
    assert program.end() == 2
    assert len(program.error_lines) == 1 and said in program.error_lines[0]


def test_a_program_that_is_not_there_is_told(bench: Bench, game: Path) -> None:
    program = start(bench, program="./nowhere")
    assert program.end() == 127
    assert program.error_lines == ["liveso: ./nowhere: there is no such program"]


# --- on a terminal


@pytest.fixture
def shell(bench: Bench, game: Path) -> Iterator[Terminal]:
    """A shell with job control in the program's folder."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], bench.environment, game)
    terminal.wait_for("prompt> ")
    yield terminal
    terminal.close()


def run(shell: Terminal, *options: str) -> None:
    """Type the command, and wait until the program reads."""
    before = shell.length
    shell.type(f"{LIVESO} run --build 'make -s' {' '.join(options)} -- ./asked\n")
    shell.wait_for("begins", before)


def line(shell: Terminal, text: str, answer: str) -> None:
    before = shell.length
    shell.type(f"{text}\n")
    shell.wait_for(f"{text}: {answer}", before)


def test_keys_are_the_programs_as_if_it_ran_alone(shell: Terminal) -> None:
    run(shell)
    line(shell, "one", "value 1, call 1")
    before = shell.length
    shell.type("\x03")
    shell.wait_for("got signal 02", before)
    line(shell, "two", "value 1, call 2")
    before = shell.length
    shell.type("\x1a")
    shell.wait_for("Stopped", before)
    shell.wait_for("prompt> ", before)
    shell.type("jobs\n")
    shell.type("fg\n")
    line(shell, "three", "value 1, call 3")
    before = shell.length
    shell.type("\x04echo code $?\n")
    shell.wait_for("code 7", before)
    assert shell.said.count("got signal") == 1


def test_a_job_can_be_stopped_continued_and_ended_in_the_background(shell: Terminal) -> None:
    run(shell)
    shell.type("\x1a")
    shell.wait_for("Stopped")
    before = shell.length
    shell.type("kill %1; fg\n")
    shell.wait_for("got signal 15", before)
    shell.type("echo code $?\n")
    shell.wait_for("code 3", before)


def test_a_hang_up_reaches_the_program(bench: Bench, game: Path) -> None:
    """Though it reads nothing of the terminal, whose end is told to the leader of the session alone."""
    os.mkfifo(game / "input")
    descriptor = os.open(game / "input", os.O_RDWR)
    command = ["run", "--build", "make -s", "--", "sh", "-c", "exec ./asked <input"]
    terminal = Terminal([LIVESO, *command], bench.environment, game)
    terminal.wait_for("begins")
    terminal.close()
    assert terminal.process.returncode == 3
    os.close(descriptor)


def test_errors_have_the_compilers_colours(shell: Terminal, game: Path) -> None:
    run(shell)
    before = shell.length
    (game / "value.c").write_text(LIBRARY.replace("return", "retrun"))
    said = shell.wait_for("the build failed", before)
    assert "\x1b[01;31m\x1b[Kerror: " in said


def refuse(shell: Terminal, game: Path, bench: Bench) -> int:
    """Have a build refused, and wait for the question; the program's number."""
    pid = int(re.findall(r"process (\d+) begins", shell.said)[-1])
    bench.library(pid, "libvalue.so")
    before = shell.length
    (game / "value.c").write_text(OTHER_LAYOUT)
    shell.wait_for("restart ./asked, or ignore that? [r/I]", before)
    return pid


def has_ended(pid: int) -> bool:
    """Also where nobody waits for it, as the first process of a container may not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def asking(shell: Terminal, game: Path, bench: Bench) -> int:
    """The program has refused a build, and the user is asked; its number."""
    (game / "asked.c").write_text(PROGRAM.replace("extern int calls;", "static int calls;"))
    run(shell)
    pid = refuse(shell, game, bench)
    wait_until(lambda: stopped(pid), "the program to stand still")
    return pid


def test_who_wants_a_restart_gets_it(shell: Terminal, asking: int) -> None:
    before = shell.length
    shell.type("r\n")
    shell.wait_for("begins", before)
    line(shell, "one", "value 5")
    assert not Path(f"/proc/{asking}").exists()


def test_who_wants_none_goes_on(shell: Terminal, asking: int) -> None:
    shell.type("\n")
    wait_until(lambda: not stopped(asking), "the program to go on")
    line(shell, "one", "value 1")


def test_another_edit_is_an_answer_too(shell: Terminal, game: Path, asking: int) -> None:
    before = shell.length
    edit(game, 2)
    shell.wait_for("libvalue.so: updated in", before)
    assert not stopped(asking)
    line(shell, "one", "value 2")


def test_an_interrupt_at_the_question_is_the_programs(shell: Terminal, asking: int) -> None:
    before = shell.length
    shell.type("\x03")
    shell.wait_for("got signal 02", before)
    line(shell, "one", "value 1")
    os.kill(asking, signal.SIGTERM)
    shell.wait_for("got signal 15")


def test_a_program_that_has_set_the_terminal_keeps_its_modes(shell: Terminal, game: Path, bench: Bench) -> None:
    """Lines of ours begin at the left all the same, and a question has an echo."""
    (game / "asked.c").write_text(PROGRAM.replace("extern int calls;", "static int calls;"))
    shell.type(f"{LIVESO} run --build 'make -s' -- sh -c 'stty -opost -echo; exec ./asked'\n")
    shell.wait_for("begins")
    assert not shell.modes() & termios.ECHO
    before = shell.length
    (game / "value.c").write_text(LIBRARY.replace("return", "retrun"))
    assert "\r\nliveso: the build failed" in shell.wait_for("the build failed", before)
    pid = int(re.findall(r"process (\d+) begins", shell.said)[-1])
    bench.library(pid, "libvalue.so")
    before = shell.length
    (game / "value.c").write_text(OTHER_LAYOUT)
    shell.wait_for("or ignore that? [r/I]", before)
    assert shell.modes() & termios.ECHO
    shell.type("\n")
    wait_until(lambda: not shell.modes() & termios.ECHO and not stopped(pid), "the program's own modes")
    line(shell, "one", "value 1")
