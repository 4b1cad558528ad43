"""What is recovered from stripped code for RISC-V, against what the linker applied there (`--emit-relocs`): the same
places, and for each of them the instruction that leaves the page which it adds to. Nothing is run."""

import itertools
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from liveso.elf import read_image
from tests.corpus.emitted_riscv64 import linked
from tests.corpus.recovered_parts import assert_recovered
from tests.corpus.ways import LEVELS, LLD, MOLD, SOURCES, Way, compilers_by, linker_folder, linkers_among, stripped

LANGUAGES = {"C": "in_c.c", "C++": "in_cc.cc"}
TARGET = "riscv64-linux-gnu"
LINKERS = {"bfd": (f"{TARGET}-ld.bfd",), "lld": LLD, "mold": MOLD}
FLAGS = (
    (),
    ("-ftls-model=initial-exec",),
    ("-ftls-model=local-dynamic",),
    ("-fno-plt",),
    ("-mno-relax",),
    ("-march=rv64g", "-mabi=lp64d"),
    ("-msave-restore",),
    ("-flto",),
)


@cache
def installed_linkers() -> dict[str, str]:
    return linkers_among(LINKERS)


@cache
def installed_compilers() -> tuple[str, ...]:
    return compilers_by(lambda name: name if name.startswith("clang") else f"{TARGET}-{name}")


def _can_be_built(way: Way) -> bool:
    """Whether compiler and linker know the options, and what belongs together."""
    is_clang = way.compiler.startswith("clang")
    if "-flto" in way.flags:
        return (way.linker == "bfd" and not is_clang) or (way.linker == "lld" and is_clang)
    # C++ has thread-local variables of other libraries, which these are not for
    return way.language == "C" or not any(it.startswith("-ftls-model") for it in way.flags)


def ways() -> list[Way]:
    """All of them where LIVESO_CORPUS is "full", else a part in which each compiler meets each linker."""
    all_ = [
        Way(*them)
        for them in itertools.product(LANGUAGES, installed_compilers(), installed_linkers(), LEVELS, FLAGS)
        if _can_be_built(Way(*them))
    ]
    return all_ if os.environ.get("LIVESO_CORPUS") == "full" else all_[3::13]


def build(folder: Path, way: Way) -> Path:
    """A library with the linker's list of what it applied."""
    path = folder / "library.so"
    tools = linker_folder(folder, way.linker, installed_linkers()[way.linker])
    flags = ["-w", "-shared", "-fPIC", "-ffunction-sections", "-fasynchronous-unwind-tables", way.level, *way.flags]
    link = [f"-B{tools}", f"-fuse-ld={way.linker}", "-Wl,--emit-relocs", "-Wl,-z,now"]
    standard = ["-std=c++17"] if way.language == "C++" else []
    is_clang = way.driver.startswith("clang")
    command = [way.driver, f"--target={TARGET}"] if is_clang else [f"{TARGET}-{way.driver}"]
    command += [*flags, *standard, str(SOURCES / LANGUAGES[way.language]), *link, "-o", str(path)]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return path


@pytest.mark.parametrize("way", ways(), ids=str)
def test_what_is_recovered_is_what_the_linker_applied(tmp_path: Path, way: Way) -> None:
    path = build(tmp_path, way)
    assert_recovered(read_image(stripped(path, f"{TARGET}-strip")), linked(path.read_bytes()))
