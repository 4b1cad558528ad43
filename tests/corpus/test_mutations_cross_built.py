"""The verdict over the same changes in code for AArch64 and RISC-V, built with cross compilers. Nothing is run: what
the changes do to a running program, x86-64 has shown."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.elf.data import data_layout
from liveso.verdict import judge
from tests.corpus.mutations.build import Build, pair, refusals, sample
from tests.corpus.mutations.mutations import HARMFUL, HARMLESS, Mutation

AARCH64, RISCV64 = "aarch64-linux-gnu", "riscv64-linux-gnu"
TARGETS = (AARCH64, RISCV64)
BUILDS = (
    Build("gcc", "-O0", "stripped", "now"),
    Build("gcc", "-O2", "stripped", "lazy"),
    Build("gcc", "-O2", "debug", "now"),
    Build("clang", "-O0", "stripped", "now"),
    Build("clang", "-O2", "stripped", "now"),
    Build("clang", "-O2", "debug", "now"),
)

NOTHING_MADE_OF_IT = {
    "static variables of one size exchanged": {"clang"},
    "thread-local variables exchanged": {"clang"},
    "constructor sets up something else": {"clang"},
}
"""Changes of which a compiler makes none in some builds: variables stay where they were, or nothing is left to run."""

MOVE_VARIABLES = {
    "new object with a constructor",  # which clang runs itself, so that another variable starts with what it leaves
    "static local variable added before",
    "static variable inserted",
    "static variables of one size exchanged",
    "thread-local variable added",
    "thread-local variables exchanged",
    "variable inserted",
}
"""Harmful changes that are none for code which is led to where the variables were."""

NO_TRACE = {
    AARCH64: {
        "bit fields exchanged": {"gcc", "clang"},  # gcc since 14
        "bit field wider": {"clang"},
        "element of a heap array exchanged": {"gcc", "clang"},
        "derived class grown": {"clang"},
    },
    RISCV64: {
        "bit fields exchanged": {"gcc", "clang"},
        "bit field wider": {"gcc"},
        "element of a heap array exchanged": {"clang"},
        "static array longer": {"clang"},
    },
}
"""Harmful changes that stripped code lets through, as docs/verdict.md says, with the compilers that leave no trace."""

WRONG_NO = {
    AARCH64: {"new import", "larger local buffer", "other flags"},
    RISCV64: {"virtual function rewritten"},
}
"""Harmless changes that are refused where binding is lazy: the linker's table grows, and variables behind it move (for
AArch64), or sums and products have their terms the other way round."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "cross-built"


def builds(mutation: Mutation, target: str) -> list[Build]:
    found = sample(BUILDS, (*HARMFUL, *HARMLESS).index(mutation), share=3)
    return [replace(build, target=target) for build in found]


def accepted(folder: Path, mutation: Mutation, target: str) -> list[Build]:
    return [build for build in builds(mutation, target) if not refusals(*pair(folder, mutation, build))]


def places(image: Image, path: Path, target: str) -> tuple[dict[str, int], dict[str, int]]:
    """The variables that the symbols of the same code name: where they lie in the writable data, and in each thread's
    block."""
    listing = subprocess.run([f"{target}-nm", "-S", str(path)], check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^(\w+) \w+ [bBdD] ([\w.]+?)(?:\.\d+)?$", listing, re.MULTILINE)
    span, found = data_layout(image).span, {name: int(address, 16) for address, name in rows}
    return (
        {name: at - span.start for name, at in found.items() if at in span},
        {name: at for name, at in found.items() if at < image.block_size},
    )


def leads_to_all(folder: Path, mutation: Mutation, build: Build) -> bool:
    """Whether the verdict says rightly of each variable where it was."""
    old, new = (read_image(path.read_bytes()) for path in pair(folder, mutation, build))
    named = pair(folder, mutation, replace(build, symbols="debug"))
    verdict = judge(old, new)
    correspondences = verdict.correspondence, verdict.thread_locals
    before, after = (places(image, path, build.target) for image, path in zip((old, new), named, strict=True))
    assert before[0].keys() & after[0].keys()
    return all(
        found is not None and found.old(at) == one[name]
        for found, one, other in zip(correspondences, before, after, strict=True)
        for name, at in other.items()
        if name in one and name != "completed"
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mutation", HARMFUL, ids=lambda it: it.name)
def test_a_harmful_change_is_refused(folder: Path, mutation: Mutation, target: str) -> None:
    for build in accepted(folder, mutation, target):
        if mutation.name in MOVE_VARIABLES and leads_to_all(folder, mutation, build):
            continue
        allowed = NOTHING_MADE_OF_IT.get(mutation.name, set())
        if build.symbols == "stripped":
            allowed = allowed | NO_TRACE[target].get(mutation.name, set())
        assert build.compiler in allowed, build


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mutation", HARMLESS, ids=lambda it: it.name)
def test_a_harmless_change_is_accepted(folder: Path, mutation: Mutation, target: str) -> None:
    wrong = set(builds(mutation, target)) - set(accepted(folder, mutation, target))
    allowed = mutation.name in WRONG_NO[target] and all(build.binding == "lazy" for build in wrong)
    assert not wrong or allowed, wrong
