"""Builds both versions of a mutation."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from liveso.elf import read_image
from liveso.verdict import Finding, judge
from tests.corpus.mutations.mutations import Mutation
from tests.once import made_once

SOURCES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Build:
    """How a version is built: `symbols` is debug or stripped, `binding` lazy or now, `target` what the compiler makes
    code for, if not for this machine."""

    compiler: str
    level: str
    symbols: str
    binding: str
    target: str = ""

    def command(self, is_cpp: bool) -> list[str]:
        names = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}[self.compiler]
        # gcc 12 and clang 14 make these for RISC-V where they are asked to, later ones as for other machines
        tables = ["-fasynchronous-unwind-tables"] if self.target.startswith("riscv") else []
        if self.target and self.compiler == "clang":
            return [names[is_cpp], f"--target={self.target}", *tables]
        return [f"{self.target}-{names[is_cpp]}" if self.target else names[is_cpp], *tables]


def pair(folder: Path, mutation: Mutation, build: Build) -> tuple[Path, Path]:
    """The old and the new version of a mutation."""
    text = (SOURCES / mutation.source).read_text()
    changed = text
    for before, after in mutation.edits:
        assert before in changed, f"{mutation.name}: the source has no {before!r}"
        changed = changed.replace(before, after, 1)
    # a flag that only keeps the order of variables belongs to both versions
    common = tuple(flag for flag in mutation.flags if "reorder" in flag)
    return _compile(folder, mutation.source, text, build, common), _compile(
        folder, mutation.source, changed, build, mutation.flags
    )


def sample(builds: Sequence[Build], number: int, share: int) -> list[Build]:
    """One in `share` of the builds, others for each `number`, or all where LIVESO_CORPUS is "full"."""
    if os.environ.get("LIVESO_CORPUS") == "full":
        return list(builds)
    return [build for index, build in enumerate(builds) if (index + index // share + number) % share == 0]


@cache
def _compile(folder: Path, name: str, text: str, build: Build, flags: tuple[str, ...]) -> Path:
    key = sha256(repr((name, text, build, flags)).encode()).hexdigest()[:20]
    return made_once(folder / f"{key}-{Path(name).stem}.so", lambda output: _link(output, name, text, build, flags))


def _link(output: Path, name: str, text: str, build: Build, flags: tuple[str, ...]) -> None:
    file = output.with_suffix(Path(name).suffix)
    file.write_text(text)
    given = [flag for flag in flags if not (build.compiler == "clang" and "reorder" in flag)]
    options = [build.level, "-w", "-fPIC", "-shared", "-Wl,-soname,libsubject.so", f"-Wl,-z,{build.binding}"]
    symbols = "-g" if build.symbols == "debug" else "-s"
    command = [*build.command(name.endswith("cc")), str(file), "-o", str(output)]
    subprocess.run([*command, *options, symbols, *given], check=True)


def refusals(old: Path, new: Path) -> tuple[Finding, ...]:
    before, after = (read_image(path.read_bytes()) for path in (old, new))
    return judge(before, after).refusals(None)
