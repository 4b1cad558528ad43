"""The verdict over pairs that differ in one known change, held against what a running program then sees."""

import itertools
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from liveso.code import data_references
from liveso.elf import read_image
from liveso.verdict import Finding, judge
from tests.corpus.mutations.mutations import HARMFUL, HARMLESS, Mutation
from tests.harness import Bench

SOURCES = Path(__file__).parent / "mutations"
COMPILERS = {"gcc": "g++", "clang": "clang++"}
COMBINATIONS = list(itertools.product(COMPILERS, ("-O0", "-O2", "-O3"), ("debug", "stripped"), ("lazy", "now")))
PROGRAMS = {"store.c": "store_program.c", "shapes.cc": "shapes_program.c"}

NO_TRACE = {"bit fields exchanged": 12}
"""Harmful changes that stripped code lets through, as docs/verdict.md says, with the number of such builds of each."""

WRONG_NO = {"new import", "larger local buffer"}
"""Harmless changes that are refused in some builds: the writable data begins elsewhere in its page."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


def build(folder: Path, mutation: Mutation, combination: tuple[str, str, str, str]) -> tuple[Path, Path]:
    """The old and the new version of a pair."""
    text = (SOURCES / mutation.source).read_text()
    changed = text
    for before, after in mutation.edits:
        assert before in changed, f"{mutation.name}: the source has no {before!r}"
        changed = changed.replace(before, after, 1)
    # a flag that only keeps the order of variables belongs to both versions
    common = tuple(flag for flag in mutation.flags if "reorder" in flag)
    return _compile(folder, mutation.source, text, combination, common), _compile(
        folder, mutation.source, changed, combination, mutation.flags
    )


@cache
def _compile(
    folder: Path, name: str, text: str, combination: tuple[str, str, str, str], flags: tuple[str, ...]
) -> Path:
    compiler, level, symbols, binding = combination
    file = folder / f"{abs(hash((name, text, combination, flags)))}-{name}"
    file.write_text(text)
    command = [COMPILERS[compiler] if name.endswith("cc") else compiler, str(file), "-o", str(file.with_suffix(".so"))]
    given = [flag for flag in flags if not (compiler == "clang" and "reorder" in flag)]
    options = [level, "-w", "-fPIC", "-shared", "-Wl,-soname,libsubject.so", f"-Wl,-z,{binding}"]
    subprocess.run([*command, *options, "-g" if symbols == "debug" else "-s", *given], check=True)
    return file.with_suffix(".so")


def refusals(old: Path, new: Path) -> tuple[Finding, ...]:
    before, after = (read_image(path.read_bytes()) for path in (old, new))
    return judge(before, after, data_references(after)).refusals(None)


def sees_the_same(bench: Bench, mutation: Mutation, old: Path, new: Path) -> bool:
    """Whether a program that uses the old version sees all its objects and variables after the update as before it."""
    bench.link(str(old), "libsubject.so")
    bench.compile(SOURCES / PROGRAMS[mutation.source], "program", "./libsubject.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libsubject.so")
    program.ask("")
    before = program.wait_for(" end")
    bench.update(str(new), "libsubject.so", program.pid)
    seen = len(program.lines)
    program.ask("")
    try:
        return program.wait_for(" end", seen) == before
    except (AssertionError, BrokenPipeError):
        return False


def _accepted(folder: Path, mutation: Mutation) -> Iterator[tuple[tuple[str, str, str, str], Path, Path]]:
    for combination in COMBINATIONS:
        old, new = build(folder, mutation, combination)
        if not refusals(old, new):
            yield combination, old, new


@pytest.mark.parametrize("mutation", HARMFUL, ids=lambda it: it.name)
def test_a_harmful_change_is_refused(bench: Bench, folder: Path, mutation: Mutation) -> None:
    """Where a build is accepted, the compiler made nothing of the change: the program must prove it."""
    wrong = []
    for combination, old, new in _accepted(folder, mutation):
        if not sees_the_same(bench, mutation, old, new):
            wrong.append(combination)
    assert all(symbols == "stripped" for _compiler, _level, symbols, _binding in wrong), wrong
    assert len(wrong) <= NO_TRACE.get(mutation.name, 0), wrong


@pytest.mark.parametrize("mutation", HARMLESS, ids=lambda it: it.name)
def test_a_harmless_change_is_accepted_and_harms_nothing(bench: Bench, folder: Path, mutation: Mutation) -> None:
    accepted = list(_accepted(folder, mutation))
    if mutation.name not in WRONG_NO:
        assert len(accepted) == len(COMBINATIONS)
    combination, old, new = accepted[0]
    assert sees_the_same(bench, mutation, old, new), combination
