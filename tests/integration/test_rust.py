"""A Rust library, with the standard library inside it as in every cdylib, is rebuilt while a C program uses it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness import Bench, Program
from tests.once import made_once
from tests.packages import release_here

PROGRAMS = Path(__file__).parent / "programs"
FEES = {"one": 1, "two": 20, "three": 7}


# as a developer builds, and as a distribution ships it
BUILDS = ("-Copt-level=0", "-Copt-level=2 -Cstrip=debuginfo")
both_builds = pytest.mark.parametrize("ledger", BUILDS, ids=["debug", "release"], indirect=True)
debug_build = pytest.mark.parametrize("ledger", BUILDS[:1], ids=["debug"], indirect=True)


@pytest.fixture(scope="module")
def built(shared: Path) -> Callable[[str, str], Path]:
    """Compiles a version when it is first asked for; the file."""

    def compile_(flags: str, name: str) -> Path:
        def make(folder: Path) -> None:
            folder.mkdir()
            command = ["rustc", "--crate-type=cdylib", "--crate-name=ledger", "-Cpanic=unwind", *flags.split()]
            command += ["-Clink-arg=-Wl,-soname,libledger.so", "-o", "libledger.so"]
            subprocess.run(
                [*command, PROGRAMS / "ledger.rs"],
                check=True,
                cwd=folder,
                env=os.environ | {"NAME": name, "FEE": str(FEES[name])},
            )

        key = "".join(it if it.isalnum() else "-" for it in f"{name} {flags}")
        return made_once(shared / "rust" / key, make) / "libledger.so"

    return compile_


@dataclass
class Ledger:
    """The program with its library, each version of which is built with `flags`."""

    bench: Bench
    built: Callable[[str, str], Path]
    flags: str
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.install("one")
        self.bench.compile(PROGRAMS / "ledger.c", "program", "-pthread", "-L.", "-lledger", "-Wl,-rpath,$ORIGIN")
        self.program = self.bench.run("./program")
        self.bench.library(self.program.pid, "libledger.so")

    def install(self, name: str, *more: str) -> None:
        """Put a version in its place in one step."""
        shutil.copy(self.built(" ".join((self.flags, *more)), name), self.bench.folder / "next")
        os.rename(self.bench.folder / "next", self.bench.folder / "libledger.so")

    def update(self, name: str) -> None:
        self.install(name)
        self.bench.wait_for_version("libledger.so", "libledger.so", self.program.pid)

    def ask(self, command: str, answer: str) -> list[str]:
        """What the program says to a command, until the line that begins with `answer`."""
        before = len(self.program.lines)
        self.program.ask(command)
        last = self.program.wait_for(answer, before)
        return self.program.lines[before : self.program.lines.index(last, before) + 1]

    def end(self) -> None:
        assert self.program.end() == 0, self.program.output()


@pytest.fixture
def ledger(bench: Bench, built: Callable[[str, str], Path], request: pytest.FixtureRequest) -> Ledger:
    return Ledger(bench, built, request.param)


class Expected:
    """What the book holds: balances in the order of its accounts, the first of which two owners share; fees, calls."""

    def __init__(self) -> None:
        self.owners = ["ann+bob"]
        self.balances = [0]
        self.fees = self.calls = 0

    def add(self, name: str) -> None:
        self.owners.append(f"owner-{name}")
        self.balances.append(0)

    def deposit(self, name: str) -> int:
        """100 are deposited in each account, of which version `name` takes its fee; the sum of all."""
        amount = 100 - FEES[name]
        self.balances = [self.balances[0] + amount // 2 * 2, *(it + amount for it in self.balances[1:])]
        self.fees += FEES[name] * len(self.balances)
        self.calls += 1
        return sum(self.balances) + self.fees

    def accounts(self) -> list[str]:
        words = ["have", *(["has"] * len(self.owners))]
        return [f"{owner} {word} {it}" for owner, word, it in zip(self.owners, words, self.balances, strict=False)]


@both_builds
def test_statics_objects_threads_and_panics_go_on_from_version_to_version(ledger: Ledger) -> None:
    """In each round there is one more account, a trait object that the version of that round has made."""
    expected = Expected()
    for round_, name in enumerate(("one", "two", "three"), 1):
        if round_ > 1:
            ledger.update(name)
        ledger.ask("a", "added")
        expected.add(name)
        assert ledger.ask("d", "deposit") == [f"deposit {expected.deposit(name)}"]
        said = ledger.ask("t", "thread gone")
        assert said[:2] == [f"in a thread {expected.deposit(name)}", "a thread ends after 1"]
        assert ledger.ask("p", "panic") == ["panic -1"]
        expected.calls += 1
        said = ledger.ask("b", f"{name}:")
        assert [line.rpartition(" in ")[0] for line in said[:-1]] == expected.accounts()
        assert said[-2].endswith(f" in {name}")
        log = f'log ["{name} takes nothing like -9999"]'
        assert said[-1] == f"{name}: fees {expected.fees}, calls {expected.calls}, {2 * round_} here, {log}"
    ledger.update("one")
    ledger.ask("n", "new")
    left = ", ".join(f'"{line}"'.replace(" has", " leaves with") for line in expected.accounts()[1:])
    assert ledger.ask("b", "one:")[-1] == f"one: fees 0, calls {expected.calls}, 6 here, log [{left}]"
    ledger.end()


@both_builds
def test_threads_of_the_library_and_calls_under_way_go_on(ledger: Ledger) -> None:
    """A thread stays in the loop of the version that began it, and may have that version's functions in it (inlined):
    then its fees are other ones, and what two share of an odd amount. A panic in a call from before is caught there."""
    ledger.ask("a", "added")
    assert ledger.ask("w", "worker") == ["worker 199"]
    ledger.ask("l", "waiting")
    ledger.update("two")
    assert ledger.ask("", "late") == ["late 398"]
    assert ledger.ask("w", "worker")[0] in ("worker 597", "worker 598")
    ledger.ask("W", "new worker")
    assert ledger.ask("w", "worker")[-1] in ("worker 797", "worker 798")
    ledger.ask("L", "waiting")
    ledger.update("three")
    assert ledger.ask("", "late panic") == ["late panic -1"]
    said = ledger.ask("b", "three:")[-1]
    assert ", calls 5, 2 here" in said and " takes no -1" in said
    ledger.end()
    assert "a thread ends after 2" in ledger.program.lines


# what Rust's run-time does with each panic since it has marks, in C, because Debian's is older
PANICS = """
#include <stdint.h>
struct exception { volatile uint64_t class; void *cleanup, *private[2]; const char *mark; };
static const char mark;
static const uint64_t class = 0x54535552005a4f4d; /* MOZ RUST */
void make(struct exception *it) { it->class = class; it->cleanup = 0; it->mark = &mark; }
int is_own(struct exception *it) { return it->class == class && it->mark == &mark ? VERSION : -VERSION; }
"""
KEEPER = """
#include <stdio.h>
void make(void *);
int is_own(void *);
int main(void)
{
    long first[5], last[5];
    make(first), make(last);
    while (getchar() != EOF) {
        printf("%d %d\\n", is_own(first), is_own(last));
        fflush(stdout);
        make(last);
    }
    return 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_panic_is_known_to_all_versions(bench: Bench, compiler: str) -> None:
    def make(version: int) -> None:
        flags = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libpanics.so", f"-DVERSION={version}")
        bench.compile(PANICS, "libpanics.so", *flags, compiler=compiler)

    make(1)
    bench.compile(KEEPER, "keeper", "-L.", "-lpanics", "-Wl,-rpath,$ORIGIN", compiler=compiler)
    program = bench.run("./keeper")
    bench.library(program.pid, "libpanics.so")
    for version in (2, 3, 1):
        make(version)
        bench.wait_for_version("libpanics.so", "libpanics.so", program.pid)
        before = len(program.lines)
        program.ask("")
        program.wait_for(f"{version} {version}", before)
    assert program.end() == 0


@both_builds
def test_trait_objects_from_before_run_new_code(ledger: Ledger) -> None:
    ledger.update("two")
    assert ledger.ask("b", "two:")[0] == "ann+bob have 0 in two"


@debug_build
@pytest.mark.parametrize(
    ("option", "first", "second"),
    [("more", "more 7", "more 8"), ("more_in_threads", "more in threads 8", "more in threads 9")],
    ids=["static", "thread-local"],
)
def test_another_variable_lives_in_the_new_version(ledger: Ledger, option: str, first: str, second: str) -> None:
    ledger.install("two", "-Cstrip=debuginfo", "--cfg", option)
    pid, answers = ledger.program.pid, {"updated", "refused"}
    library = ledger.bench.wait_for_library(pid, "libledger.so", result=lambda it: it in answers)
    if library["result"] == "refused":  # the thread-local variables in the standard library of Debian 13
        assert option == "more_in_threads" and release_here() == "trixie", library["reason"]
        assert "it is not certain which thread-local variable is which" in library["reason"]
        assert ledger.ask("d", "deposit") == [f"deposit {100 - FEES['one']}"]
        return
    assert ledger.ask("b", "more")[-1] == first
    assert ledger.ask("b", "more")[-1] == second
    assert ledger.ask("d", "deposit") == ["deposit 100"]
    ledger.end()
