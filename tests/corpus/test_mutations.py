"""The verdict over pairs that differ in one known change, held against what a running program then sees."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.mutations.build import SOURCES, Build, pair, refusals, sample
from tests.corpus.mutations.mutations import HARMFUL, HARMLESS, Mutation
from tests.harness import Bench

BUILDS = [
    Build(*options)
    for options in itertools.product(("gcc", "clang"), ("-O0", "-O2", "-O3"), ("debug", "stripped"), ("lazy", "now"))
]
PROGRAMS = {"store.c": "store_program.c", "shapes.cc": "shapes_program.c"}

NO_TRACE = {"bit fields exchanged": 12}
"""Harmful changes that stripped code lets through, as docs/verdict.md says, with the number of such builds of each."""

WRONG_NO = {"new import", "larger local buffer"}
"""Harmless changes that are refused in some builds: the writable data begins elsewhere in its page."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "mutations"


def sees_the_same(bench: Bench, mutation: Mutation, old: Path, new: Path) -> bool:
    """Whether a program that uses the old version sees all its objects and variables after the update as before it.

    The process may refuse what the verdict accepts: where both it and the new version changed a variable's value.
    """
    bench.link(str(old), "libsubject.so")
    bench.compile(SOURCES / PROGRAMS[mutation.source], "program", "./libsubject.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libsubject.so")
    program.ask("")
    before = program.wait_for(" end")
    bench.update_or_refusal(str(new), "libsubject.so", program.pid)
    seen = len(program.lines)
    program.ask("")
    try:
        return program.wait_for(" end", seen) == before
    except (AssertionError, BrokenPipeError):
        return False


def _builds(mutation: Mutation) -> list[Build]:
    return sample(BUILDS, (*HARMFUL, *HARMLESS).index(mutation), share=8)


def _accepted(folder: Path, mutation: Mutation) -> Iterator[tuple[Build, Path, Path]]:
    for build in _builds(mutation):
        old, new = pair(folder, mutation, build)
        if not refusals(old, new):
            yield build, old, new


@pytest.mark.parametrize("mutation", HARMFUL, ids=lambda it: it.name)
def test_a_harmful_change_is_refused(bench: Bench, folder: Path, mutation: Mutation) -> None:
    """Where a build is accepted, the compiler made nothing of the change: the program must prove it."""
    wrong = []
    for build, old, new in _accepted(folder, mutation):
        if not sees_the_same(bench, mutation, old, new):
            wrong.append(build)
    assert all(build.symbols == "stripped" for build in wrong), wrong
    assert len(wrong) <= NO_TRACE.get(mutation.name, 0), wrong


@pytest.mark.parametrize("mutation", HARMLESS, ids=lambda it: it.name)
def test_a_harmless_change_is_accepted_and_harms_nothing(bench: Bench, folder: Path, mutation: Mutation) -> None:
    accepted = list(_accepted(folder, mutation))
    assert mutation.name in WRONG_NO or len(accepted) == len(_builds(mutation))
    for build, old, new in accepted[:1]:
        assert sees_the_same(bench, mutation, old, new), build
