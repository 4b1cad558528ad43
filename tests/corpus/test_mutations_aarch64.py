"""The verdict over the same changes in code for AArch64, built with cross compilers. Nothing is run: what the changes
do to a running program, the other machine has shown."""

from pathlib import Path

import pytest

from tests.corpus.mutations.build import Build, pair, refusals, sample
from tests.corpus.mutations.mutations import HARMFUL, HARMLESS, Mutation

TARGET = "aarch64-linux-gnu"
BUILDS = (
    Build("gcc", "-O0", "stripped", "now", TARGET),
    Build("gcc", "-O2", "stripped", "lazy", TARGET),
    Build("gcc", "-O2", "debug", "now", TARGET),
    Build("clang", "-O0", "stripped", "now", TARGET),
    Build("clang", "-O2", "stripped", "now", TARGET),
    Build("clang", "-O2", "debug", "now", TARGET),
)

NOTHING_MADE_OF_IT = {
    "static variables of one size exchanged": {"clang"},
    "thread-local variables exchanged": {"clang"},
    "constructor sets up something else": {"clang"},
    "static local variable added before": {"gcc"},
}
"""Changes of which a compiler makes none in some builds: variables stay where they were, or nothing is left to run."""

NO_TRACE = {
    "bit fields exchanged": {"gcc", "clang"},  # gcc since 14
    "bit field wider": {"clang"},
    "element of a heap array exchanged": {"gcc", "clang"},
    "derived class grown": {"clang"},
    "whole number turned into a floating-point one": {"gcc"},
}
"""Harmful changes that stripped code lets through, as docs/verdict.md says, with the compilers that leave no trace."""

WRONG_NO = {"new import", "larger local buffer", "other flags"}
"""Harmless changes that are refused where binding is lazy: the linker's table grows, and variables behind it move."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "aarch64"


def builds(mutation: Mutation) -> list[Build]:
    return sample(BUILDS, (*HARMFUL, *HARMLESS).index(mutation), share=3)


def accepted(folder: Path, mutation: Mutation) -> list[Build]:
    return [build for build in builds(mutation) if not refusals(*pair(folder, mutation, build))]


@pytest.mark.parametrize("mutation", HARMFUL, ids=lambda it: it.name)
def test_a_harmful_change_is_refused(folder: Path, mutation: Mutation) -> None:
    for build in accepted(folder, mutation):
        allowed = NOTHING_MADE_OF_IT.get(mutation.name, set())
        if build.symbols == "stripped":
            allowed = allowed | NO_TRACE.get(mutation.name, set())
        assert build.compiler in allowed, build


@pytest.mark.parametrize("mutation", HARMLESS, ids=lambda it: it.name)
def test_a_harmless_change_is_accepted(folder: Path, mutation: Mutation) -> None:
    wrong = set(builds(mutation)) - set(accepted(folder, mutation))
    assert not wrong or (mutation.name in WRONG_NO and all(build.binding == "lazy" for build in wrong)), wrong
