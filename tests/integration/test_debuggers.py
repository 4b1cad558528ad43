"""gdb and perf see updated code as they see any: by name, by line, with frames of both versions."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until

NESTED = Path(__file__).parent / "programs" / "nested.c"
LIBRARY = """
int calls;
__attribute__((noinline)) int compute(int number)
{
	calls++;
	return VERSION * 100 + number;
}
int run(int (*back)(int), int number)
{
	int found = compute(number);
	if (back)
		found += back(number);
	return found + calls * 0;
}
"""
BUSY = """
#include <stdio.h>
#include <unistd.h>
void work(void);
int main(void)
{
	puts("begins");
	fflush(stdout);
	for (;;)
		work();
}
"""
WORK = """
static volatile long sum;
__attribute__((noinline)) void spin_VERSION(void)
{
	for (long i = 0; i < 1000000; i++)
		sum += i;
}
void work(void)
{
	spin_VERSION();
	sum++;
}
"""
DEBUGGER = ["gdb", "-q", "-nx", "-iex", "set debuginfod enabled off"]


@pytest.fixture
def nested(bench: Bench) -> Program:
    """It has called the first version of its library, and is inside of that."""
    for version in (1, 2, 3):
        flags = ("-g", "-O1", "-fPIC", "-shared", "-Wl,-soname,libnested.so", f"-DVERSION={version}")
        bench.compile(LIBRARY, f"lib.{version}.so", *flags)
    bench.link("lib.1.so", "libnested.so")
    bench.compile(NESTED, "nested", "-g", "-L.", "-l:lib.1.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./nested")
    program.wait_for("begins")
    bench.library(program.pid, "libnested.so")
    return program


def ask(program: Program, expected: int) -> None:
    before = len(program.lines)
    program.ask("x")
    assert program.wait_for("run says", before) == f"run says {expected}"


class Debugger:
    """gdb, which is asked one thing after the other."""

    def __init__(self, program: Program) -> None:
        self.gdb = program
        self._count = 0

    def say(self, *commands: str) -> str:
        """What gdb prints for these."""
        self._count += 1
        before = len(self.gdb.lines)
        for it in (*commands, f"echo \\ndone {self._count}\\n"):
            self.gdb.ask(it)
        self.gdb.wait_for(f"done {self._count}", before)
        return "\n".join(it.replace("(gdb) ", "") for it in self.gdb.lines[before:])


@contextmanager
def debugger(bench: Bench) -> Iterator[Debugger]:
    gdb = bench.run_plain(*DEBUGGER)
    try:
        it = Debugger(gdb)
        it.say("set pagination off", "set confirm off", "set width 0")
        yield it
        it.say("detach")
    finally:
        gdb.kill()


def frames(backtrace: str) -> list[str]:
    """The functions of a backtrace, innermost first."""
    return re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) ", backtrace, re.MULTILINE)


def test_a_breakpoint_by_name_stops_in_new_code_with_both_versions_on_the_stack(bench: Bench, nested: Program) -> None:
    bench.update("lib.2.so", "libnested.so", nested.pid)
    ask(nested, 200)
    with debugger(bench) as gdb:
        gdb.say(f"attach {nested.pid}")
        assert "breakpoint 1" in gdb.say("break compute").lower()
        nested.ask("x")
        said = gdb.say("continue", "bt", "info sharedlibrary")
        assert "return VERSION" in said or "calls++" in said or "{" in said  # the line, of this source
        own = [it for it in frames(said) if it in ("compute", "run", "serve", "main")]
        assert own == ["compute", "run", "serve", "run", "main"]
        copy = re.search(r"(0x\w+) +(0x\w+) +Yes +(\S*/store/\S*libnested\.so)$", said, re.MULTILINE)
        assert copy, said
        pc = int(re.findall(r"0x\w+", gdb.say("p/x $pc"))[-1], 16)
        assert int(copy[1], 16) <= pc < int(copy[2], 16)
        assert re.search(
            r"compute( \+ \d+)? in section \.text of \S*/store/\S*libnested\.so", gdb.say("info symbol $pc")
        )
        assert "= 1" in gdb.say("p number") and "= 2" in gdb.say("p calls")
        outer = gdb.say("frame function main", "down", "info symbol $pc")
        assert re.search(r"run \+ \d+ in section \.text of ", outer) and "/store/" not in outer
        assert "Value returned is $" in (back := gdb.say("frame 0", "delete", "finish")) and "= 201" in back
    nested.wait_for("run says 201")
    assert nested.end() == 0


def test_a_breakpoint_from_before_an_update_stops_in_old_code_and_then_in_new(bench: Bench, nested: Program) -> None:
    with debugger(bench) as gdb:
        gdb.say(f"attach {nested.pid}", "break compute")
        nested.ask("x")
        said = gdb.say("continue", "bt", "info symbol $pc")
        assert frames(said)[:3] == ["compute", "run", "serve"] and "/store/" not in said.splitlines()[-2]
        bench.link("lib.2.so", "libnested.so")  # which waits: gdb traces the process
        bench.wait_for_library(nested.pid, "libnested.so", reason=lambda it: "traces it already" in it)
        gdb.say("detach")
        nested.wait_for("run says 100")
        bench.wait_for_version("lib.2.so", "libnested.so", nested.pid)
        nested.ask("x")
        nested.wait_for("run says 201")
        gdb.say(f"attach {nested.pid}")
        nested.ask("x")
        said = gdb.say("continue", "bt", "info symbol $pc")
        assert frames(said)[:3] == ["compute", "run", "serve"]
        assert re.search(r"compute.* in section \.text of \S*/store/", said)
    nested.wait_for("run says 202")
    assert nested.end() == 0


def test_a_breakpoint_by_line_and_a_step_into_new_code(bench: Bench, nested: Program) -> None:
    for version in (2, 3):
        bench.update(f"lib.{version}.so", "libnested.so", nested.pid)
    ask(nested, 300)
    with debugger(bench) as gdb:
        gdb.say(f"attach {nested.pid}", "break nested.c:11")
        nested.ask("x")
        gdb.say("continue")
        said = gdb.say("step", "bt 3", "info symbol $pc")
        assert frames(said)[:2] == ["run", "serve"]
        gdb.say("delete")
    nested.wait_for("run says 301")
    assert nested.end() == 0


def perf(bench: Bench, *arguments: str | int) -> str:
    done = subprocess.run(["perf", *map(str, arguments)], cwd=bench.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def may_count() -> None:
    """The processor's own counters need not be there: the clock's are enough."""
    command = ["perf", "record", "-e", "cpu-clock", "-o", "/dev/null", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"perf may not record here: {done.stderr.splitlines()[-1:]}")


@pytest.mark.usefixtures("may_count")
def test_perf_names_functions_and_callers_of_each_version(bench: Bench) -> None:
    for version in ("one", "two"):
        text = WORK.replace("VERSION", version)
        flags = ("-g", "-O0", "-fPIC", "-shared")  # each function has a frame, by which perf finds callers
        bench.compile(text, f"lib.{version}.so", *flags, "-Wl,-soname,libwork.so")
    bench.link("lib.one.so", "libwork.so")
    bench.compile(BUSY, "busy", "-g", "-O0", "-L.", "-l:lib.one.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./busy")
    program.wait_for("begins")
    bench.library(program.pid, "libwork.so")
    recorder = bench.run_plain("perf", "record", "-e", "cpu-clock", "-g", "-p", str(program.pid), "-o", "through.data")
    maps = Path(f"/proc/{program.pid}/maps")
    wait_until(lambda: (bench.folder / "through.data").exists(), "perf")
    bench.update("lib.two.so", "libwork.so", program.pid)
    perf(bench, "record", "-e", "cpu-clock", "-g", "-p", program.pid, "-o", "after.data", "sleep", "0.5")
    recorder.process.terminate()
    recorder.end()
    copy = re.findall(r"/\S*/store/\S*/libwork\.so", maps.read_text())
    assert copy and Path(copy[0]).exists()
    for data in ("through.data", "after.data"):
        shown = perf(bench, "report", "--stdio", "--no-children", "-i", data, "--sort", "dso,symbol", "-g", "caller")
        assert re.search(r"libwork\.so +\[\.\] spin_two", shown), shown
        callers = shown[shown.index("spin_two") :]
        assert re.search(r"main\b", callers) and re.search(r"\bwork\b", callers), shown
    assert "spin_one" not in perf(bench, "report", "--stdio", "-i", "after.data", "--sort", "dso,symbol")
