"""What is recovered from stripped code for RISC-V, against what the linker applied there (`--emit-relocs`): the same
places, and for each of them the instruction that leaves the page which it adds to. Nothing is run."""

import io
import subprocess
from functools import cache
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from liveso.elf import read_image, tables
from tests.corpus.emitted_riscv64 import linked
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


def _can_be_built(way: Way) -> bool:
    """Whether compiler and linker know the options, and what belongs together."""
    is_clang = way.compiler.startswith("clang")
    if "-flto" in way.flags:
        return way.linker == "bfd" and not is_clang  # clang's loses how floating-point numbers are passed
    # C++ has thread-local variables of other libraries, which these are not for
    return way.language == "C" or not any(it.startswith("-ftls-model") for it in way.flags)


def ways() -> list[Way]:
    return cross_built(compilers_for(TARGET), installed_linkers(), FLAGS, _can_be_built)


def build(folder: Path, way: Way) -> Path:
    """A library with the linker's list of what it applied."""
    path = folder / "library.so"
    tools = linker_folder(folder, way.linker, installed_linkers()[way.linker])
    flags = ["-w", "-shared", "-fPIC", "-ffunction-sections", "-fasynchronous-unwind-tables", way.level, *way.flags]
    link = [f"-B{tools}", f"-fuse-ld={way.linker}", "-Wl,-z,now"]
    # mold lists relocations at the places that they had before it made code shorter
    link += ["-Wl,--no-relax"] if way.linker == "mold" else []
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
    subprocess.run([*command, "-Wl,--emit-relocs"], check=True, cwd=folder, capture_output=True)
    return path


def _without_symbols(way: Way, path: Path) -> bytes:
    """What GNU strip makes of a library; it has no room in lld's, in which the tables that it takes away are hidden."""
    if way.linker != "lld":
        return stripped(path, f"{TARGET}-strip")
    content = bytearray(path.read_bytes())
    elf = ELFFile(io.BytesIO(content))
    for index, section in enumerate(elf.iter_sections()):
        if section["sh_type"] in ("SHT_SYMTAB", "SHT_RELA") and not section["sh_flags"] & tables.SHF_ALLOC:
            at = elf["e_shoff"] + index * elf["e_shentsize"] + 4  # sh_type
            content[at : at + 4] = bytes(4)  # SHT_NULL
    return bytes(content)


@pytest.mark.parametrize("way", ways(), ids=str)
def test_what_is_recovered_is_what_the_linker_applied(tmp_path: Path, way: Way) -> None:
    path = build(tmp_path, way)
    assert_recovered(read_image(_without_symbols(way, path)), linked(path.read_bytes()))
