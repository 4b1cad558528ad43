"""Ways to build a library, by the compilers and linkers that are installed."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "relocations"
COMPILERS = ("gcc", "clang", "gcc-12", "gcc-13", "gcc-14", "gcc-15", "clang-14", "clang-16", "clang-19")
LLD = ("ld.lld", *(f"ld.lld-{number}" for number in range(30, 10, -1)))
MOLD = ("ld.mold", "mold")
REQUIRED = {"gcc", "clang", "bfd", "lld", "mold"}
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")


@dataclass(frozen=True, slots=True)
class Way:
    """How a library is built."""

    language: str
    compiler: str
    linker: str
    level: str
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.language, self.compiler, self.linker, self.level, *self.flags))

    @property
    def driver(self) -> str:
        """The compiler's name for the language."""
        is_cpp = self.language == "C++"
        return self.compiler.replace("gcc", "g++").replace("clang", "clang++") if is_cpp else self.compiler


def linkers_among(known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Where each linker is, by its name for -fuse-ld: `known` are the names of its program."""
    found = {it: next(filter(None, map(shutil.which, names)), "") for it, names in known.items()}
    return {it: path for it, path in found.items() if path or it in REQUIRED}


def compilers_by(program: Callable[[str], str]) -> tuple[str, ...]:
    """The compilers, each under one of its names, that `program` tells the program of."""
    found: dict[Path, str] = {}
    for name in COMPILERS:
        path = shutil.which(program(name))
        if path or name in REQUIRED:
            found.setdefault(Path(path or name).resolve(), name)
    return tuple(found.values())


def compilers_for(target: str) -> tuple[str, ...]:
    """Those that make code for another machine, by its name for GNU's tools."""
    return compilers_by(lambda name: name if name.startswith("clang") else f"{target}-{name}")


def command_for(target: str, way: Way) -> list[str]:
    """What calls a way's compiler for another machine."""
    return [way.driver, f"--target={target}"] if way.driver.startswith("clang") else [f"{target}-{way.driver}"]


def cross_built(
    compilers: Iterable[str],
    linkers: Iterable[str],
    flags: Iterable[tuple[str, ...]],
    can_be_built: Callable[[Way], bool],
) -> list[Way]:
    """All of them where LIVESO_CORPUS is "full", else a part in which each compiler meets each linker."""
    all_ = [Way(*them) for them in itertools.product(("C", "C++"), compilers, linkers, LEVELS, flags)]
    found = [it for it in all_ if can_be_built(it)]
    return found if os.environ.get("LIVESO_CORPUS") == "full" else found[3::13]


def linker_folder(folder: Path, linker: str, path: str) -> Path:
    """Where compilers find a linker, which is at `path`, under the name that they look for."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / f"ld.{linker}").symlink_to(path)
    return tools


def stripped(path: Path, strip: str = "strip") -> bytes:
    result = path.with_suffix(".stripped")
    subprocess.run([strip, "--strip-all", "-o", str(result), str(path)], check=True, capture_output=True)
    return result.read_bytes()
