"""What is recovered from stripped code for AArch64, against what the linker applied there (`--emit-relocs`): the same
places, and for each of them the instructions that leave the page which it adds to. Nothing is run."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from liveso.elf import read_image
from tests.corpus.emitted_aarch64 import linked
from tests.corpus.recovered_parts import assert_recovered
from tests.corpus.ways import (
    LLD,
    MOLD,
    SOURCES,
    Way,
    command_for,
    compilers_for,
    cross_built,
    linker_folder,
    linkers_among,
    stripped,
)

LANGUAGES = {"C": "in_c.c", "C++": "in_cc.cc"}
TARGET = "aarch64-linux-gnu"
LINKERS = {
    "bfd": (f"{TARGET}-ld.bfd",),
    "gold": (f"{TARGET}-ld.gold",),
    "lld": LLD,
    "mold": MOLD,
}
FLAGS = (
    (),
    ("-ftls-model=initial-exec",),
    ("-ftls-model=local-dynamic",),
    ("-mtls-dialect=trad",),
    ("-mtls-dialect=trad", "-ftls-model=local-dynamic"),
    ("-ftls-model=local-dynamic", "-mllvm", "-aarch64-elf-ldtls-generation"),
    ("-mcmodel=tiny",),
    ("-mbranch-protection=standard", "-fno-plt"),
    ("-Wl,--fix-cortex-a53-843419",),
    ("-Wl,--no-relax",),
    ("-fno-section-anchors",),
    ("-flto",),
)
ONLY_GCC = {"-mtls-dialect=trad", "-fno-section-anchors"}


@cache
def installed_linkers() -> dict[str, str]:
    return linkers_among(LINKERS)


def _can_be_built(way: Way) -> bool:
    """Whether compiler and linker know the options, and what belongs together."""
    is_clang = way.compiler.startswith("clang")
    if "-mllvm" in way.flags and (not is_clang or way.linker != "bfd"):
        return False  # the others do not know its relocations
    if is_clang and not ONLY_GCC.isdisjoint(way.flags):
        return False
    if "-flto" in way.flags:
        return (way.linker == "bfd" and not is_clang) or (way.linker == "lld" and is_clang)
    if "-mtls-dialect=trad" in way.flags and way.linker == "lld":
        return False  # it knows descriptors only
    if "-mcmodel=tiny" in way.flags and way.linker != "bfd":
        return False  # the others do not know all of its relocations
    if "-Wl,--fix-cortex-a53-843419" in way.flags and way.linker == "mold":
        return False
    if "-Wl,--no-relax" in way.flags and way.linker in ("gold", "bfd"):
        return False  # they change nothing by it
    if way.linker == "gold" and way.language == "C++" and way.level not in ("-O0", "-O1"):
        return False  # it lists relocations of a second section of code at wrong places at times
    # C++ has thread-local variables of other libraries, which these are not for
    return way.language == "C" or not any(it.startswith(("-ftls-model", "-mcmodel")) for it in way.flags)


def ways() -> list[Way]:
    return cross_built(compilers_for(TARGET), installed_linkers(), FLAGS, _can_be_built)


def build(folder: Path, way: Way) -> Path:
    """A library with the linker's list of what it applied."""
    path = folder / "library.so"
    tools = linker_folder(folder, way.linker, installed_linkers()[way.linker])
    # gold lists relocations of a function's own section at wrong places
    sections = [] if way.linker == "gold" else ["-ffunction-sections"]
    flags = ["-w", "-shared", "-fPIC", *sections, way.level, *way.flags]
    link = [f"-B{tools}", f"-fuse-ld={way.linker}", "-Wl,--emit-relocs", "-Wl,-z,now"]
    standard = ["-std=c++17"] if way.language == "C++" else []
    command = [
        *command_for(TARGET, way),
        *flags,
        *standard,
        str(SOURCES / LANGUAGES[way.language]),
        *link,
        "-o",
        str(path),
    ]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return path


@pytest.mark.parametrize("way", ways(), ids=str)
def test_what_is_recovered_is_what_the_linker_applied(tmp_path: Path, way: Way) -> None:
    path = build(tmp_path, way)
    image, expected = read_image(stripped(path, f"{TARGET}-strip")), linked(path.read_bytes())
    assert_recovered(image, expected)
