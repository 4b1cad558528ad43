"""The same changes in programs for AArch64 that run (qemu-user): objects that one version made are what the other works
with after the update, and what comes out is held against programs that run one version from their start.

One build of each change, or all where LIVESO_CORPUS is "full"."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.corpus.mutations.build import SOURCES, Build, pair, sample
from tests.corpus.mutations.mutations import HARMFUL, HARMLESS, Mutation
from tests.corpus.test_mutations import PROGRAMS
from tests.corpus.test_mutations_cross_built import AARCH64, BUILDS, NO_TRACE
from tests.harness import Bench

pytestmark = pytest.mark.parametrize("emulated_bench", ["aarch64"], indirect=True)
ROUND = ("more", "", "default")
WRONG_NO = {"other default"}
"""At -O0 its variable is taken for one with its neighbour, which the program has set."""

TURNS = ("old", "new", "old", "new")
"""Which version runs for one round after the other."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a program showed in a round: what it keeps as a whole, each of its objects, and what nobody has set."""

    whole: tuple[str, ...]
    objects: tuple[str, ...]
    default: str

    @classmethod
    def of(cls, lines: Sequence[str]) -> "Shown":
        more, shown, default = lines
        whole, *objects = shown.removesuffix(" end").split(" | ")
        return cls((more.partition(" | ")[0], whole), tuple(objects), default.partition(" | ")[0])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many updates a program of one build went through, and what it saw that it should not have."""

    build: Build
    updates: int
    wrong: tuple[str, ...]


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "aarch64"


@pytest.fixture
def bench(emulated_bench: Bench) -> Bench:
    return emulated_bench


def from_the_start(bench: Bench, library: Path) -> list[Shown]:
    """What a program shows that runs one version all the time."""
    bench.link(str(library), "libsubject.so")
    command = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "./program"]
    asked = "".join(f"{it}\n" for it in ROUND * len(TURNS))
    found = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, cwd=bench.folder)
    lines = found.stdout.splitlines()
    return [Shown.of(lines[at : at + len(ROUND)]) for at in range(0, len(lines), len(ROUND))]


def with_updates(bench: Bench, versions: dict[str, Path]) -> list[Shown]:
    """What a program shows that is updated before each round, until an update is refused."""
    bench.link(str(versions[TURNS[0]]), "libsubject.so")
    program = bench.run("./program")
    bench.library(program.pid, "libsubject.so")
    found = []
    for number, turn in enumerate(TURNS):
        if number and bench.update_or_refusal(str(versions[turn]), "libsubject.so", program.pid) == "refused":
            break
        for line in ROUND:
            program.ask(line)
        program.wait_for("end", len(ROUND) * (number + 1) - 1)
        found.append(Shown.of(program.lines[-len(ROUND) :]))
    assert program.end() == 0
    return found


def expected(references: dict[str, list[Shown]], number: int) -> Shown:
    """What is to be seen in a round: each object is as the version left it that made it."""
    turns = [references[turn] for turn in TURNS[: number + 1]]
    objects = list[str]()
    for now, made_by in enumerate(turns):
        objects.extend(made_by[number].objects[len(objects) : len(made_by[now].objects)])
    running = turns[-1][number]
    return Shown(running.whole, tuple(objects), running.default)


def run(bench: Bench, folder: Path, mutation: Mutation, build: Build) -> Outcome:
    versions = dict(zip(("old", "new"), pair(folder, mutation, build), strict=True))
    source = SOURCES / PROGRAMS[mutation.source]
    bench.compile(source, "program", str(versions["old"]), "-Wl,-rpath,$ORIGIN", "-pthread")
    found = with_updates(bench, versions)
    references = {turn: from_the_start(bench, versions[turn]) for turn in TURNS[: len(found)]}
    wrong = [
        f"{number} updates: {shown}\ninstead of {right}"
        for number, shown in enumerate(found)
        if shown != (right := expected(references, number))
    ]
    return Outcome(build, len(found) - 1, tuple(wrong))


def outcomes(bench: Bench, folder: Path, mutation: Mutation) -> list[Outcome]:
    builds = sample(BUILDS, (*HARMFUL, *HARMLESS).index(mutation), share=len(BUILDS))
    return [run(bench, folder, mutation, replace(build, target=AARCH64)) for build in builds]


def every_other(mutations: Sequence[Mutation]) -> pytest.MarkDecorator:
    """The others are further ones."""
    marked = [
        pytest.param(it, marks=pytest.mark.further if number % 2 else (), id=it.name)
        for number, it in enumerate(mutations)
    ]
    return pytest.mark.parametrize("mutation", marked)


@every_other(HARMFUL)
def test_what_is_accepted_of_a_harmful_change_does_no_harm(bench: Bench, folder: Path, mutation: Mutation) -> None:
    """But for what leaves no trace in stripped code, as docs/verdict.md says."""
    untraced = NO_TRACE[AARCH64].get(mutation.name, set())
    for it in outcomes(bench, folder, mutation):
        assert not it.wrong or (it.build.symbols == "stripped" and it.build.compiler in untraced), it


@every_other(HARMLESS)
def test_a_harmless_change_is_made_and_does_no_harm(bench: Bench, folder: Path, mutation: Mutation) -> None:
    for it in outcomes(bench, folder, mutation):
        assert not it.wrong, it
        assert it.updates == len(TURNS) - 1 or (mutation.name in WRONG_NO and it.build.level == "-O0"), it
