"""What is recovered from stripped code, against what the linker applied there (`--emit-relocs`): the same places.

By the compilers and linkers of REQUIRED, and by others of their kinds that are installed: the tests' names say which.
What cannot be recovered is refused, and never lost.
"""

import itertools
import os
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from liveso.code import (
    constant_starts,
    data_references,
    formed_constants,
    relative_tables,
    relative_targets,
    thread_local_references,
)
from liveso.elf import Image, read_image
from liveso.elf.data import constant_sections, constant_span, data_layout
from liveso.verdict import Weight, judge
from tests.corpus.emitted import DTPOFF32, GOTTPOFF, RELATIVE, TLSDESC, TLSGD, Linked, linked
from tests.corpus.ways import LEVELS, LLD, MOLD, SOURCES, Way, compilers_by, linker_folder, linkers_among, stripped

LANGUAGES = {"C": "in_c.c", "C++": "in_cc.cc", "Rust": "in_rs.rs"}
LINKERS = {
    "bfd": ("ld.bfd",),
    "gold": ("ld.gold",),
    "lld": LLD,
    "mold": MOLD,
}
FLAGS = (
    (),
    ("-ftls-model=local-dynamic",),
    ("-ftls-model=initial-exec",),
    ("-mtls-dialect=gnu2",),
    ("-mtls-dialect=gnu2", "-ftls-model=local-dynamic"),
    ("-fno-plt", "-fcf-protection=full"),
    ("-mcmodel=medium",),
    ("-march=x86-64-v3",),
    ("-Wl,--no-relax",),
    ("-flto",),
)


@cache
def installed_linkers() -> dict[str, str]:
    return linkers_among(LINKERS)


@cache
def installed_compilers() -> tuple[str, ...]:
    return compilers_by(str)


def _can_be_built(way: Way) -> bool:
    """Whether the linker knows the compiler's intermediate code, and the options."""
    if "-flto" in way.flags:
        return way.linker == "bfd" or (way.linker == "lld" and way.compiler.startswith("clang"))
    if "-mcmodel=medium" in way.flags and way.linker in ("lld", "mold"):
        return False  # some of their versions cannot
    if "-mtls-dialect=gnu2" in way.flags and not way.compiler.startswith("gcc"):
        return False
    # C++ has thread-local variables of other libraries, which these are not for
    return way.language == "C" or not any("tls-" in it for it in way.flags)


def ways() -> list[Way]:
    """All of them where LIVESO_CORPUS is "full", else a part in which each compiler meets each linker."""
    compilers, linkers = installed_compilers(), tuple(installed_linkers())
    pairs = list(itertools.product(compilers, linkers))
    all_ = [
        Way(language, compiler, linker, level, flags)
        for language in ("C", "C++")
        for compiler, linker in pairs
        for level, flags in itertools.product(LEVELS, FLAGS)
    ]
    all_ += [Way("Rust", "rustc", it, level) for it in linkers if it in ("bfd", "lld") for level in ("0", "2", "s")]
    found = [it for it in all_ if _can_be_built(it)]
    if os.environ.get("LIVESO_CORPUS") == "full":
        return found
    rust = [it for it in found if it.language == "Rust"][1:2]
    return [it for number, it in enumerate(found) if it.language != "Rust" and number % 13 == 3] + rust


def _tools(folder: Path, linker: str) -> Path:
    return linker_folder(folder, linker, installed_linkers()[linker])


def build(folder: Path, way: Way) -> Path:
    """A library with the linker's list of what it applied."""
    path = folder / "library.so"
    source = str(SOURCES / LANGUAGES[way.language])
    link = [
        f"-B{_tools(folder, way.linker)}",
        f"-fuse-ld={way.linker}",
        "-Wl,--emit-relocs",
        "-Wl,-z,now",
    ]
    if way.language == "Rust":
        arguments = [word for it in link for word in ("-C", f"link-arg={it}")]
        command = ["rustc", "--crate-type", "cdylib", "-C", f"opt-level={way.level}", *arguments, source]
    else:
        # with a section for each, functions are the linker's to find, not the assembler's
        flags = ["-w", "-shared", "-fPIC", "-ffunction-sections", way.level, *way.flags]
        standard = ["-std=c++17"] if way.language == "C++" else []
        command = [way.driver, *flags, *standard, source, *link]
    subprocess.run([*command, "-o", str(path)], check=True, cwd=folder, capture_output=True)
    return path


@pytest.mark.parametrize("way", ways(), ids=str)
def test_what_is_recovered_is_what_the_linker_applied(tmp_path: Path, way: Way) -> None:
    path = build(tmp_path, way)
    image, expected = read_image(stripped(path)), linked(path.read_bytes())
    found = data_references(image)
    if "-mcmodel=medium" in way.flags and found.unclear:
        return  # refused, as the test below says
    assert not found.undecoded and not found.unclear and not found.outside
    variables = [it.name for it in data_layout(image).sections]
    to_variables = expected.into(*variables)
    assert len(to_variables) > 10
    assert sorted(found.table["place"].tolist()) == sorted(to_variables)
    span = constant_span(image)
    assert span
    tables = [it.name for it in image.sections if it.size and it.address in span and not it.is_thread_local]
    assert sorted(found.constants["place"].tolist()) == sorted(expected.into(*tables))
    assert sorted(found.functions["place"].tolist()) == sorted(expected.formed_functions)
    constants = {it.name for it in constant_sections(image)}
    formed = {
        it.place for it in expected.emitted if it.kind in RELATIVE and it.forms_address and it.section in constants
    }
    assert {it + 3 for it in formed_constants(image).places.tolist()} == formed
    _thread_locals_are_found(image, expected)
    found_tables, found_targets = relative_tables(image), relative_targets(image)
    for start, targets in expected.tables_of_distances(set(constant_starts(image).tolist())):
        assert start in found_tables and targets <= found_targets


_WHOLE_BLOCK = "_TLS_MODULE_BASE_"  # what linkers call it


def _thread_locals_are_found(image: Image, expected: Linked) -> None:
    found = thread_local_references(image)
    kinds = (TLSGD, DTPOFF32, GOTTPOFF, TLSDESC)
    wanted = {it.place for it in expected.emitted if it.kind in kinds and it.section and it.symbol != _WHOLE_BLOCK}
    missed = wanted - set(found.table["place"].tolist())
    assert set(found.table["place"].tolist()) <= wanted
    assert not missed or found.unclear  # what moves is refused then


FAR = """
static int n, table[100000] = {1};
int bump(int at) { return n += table[at]++; }
int *address(void) { return table + n; }
"""
REFUSED = {
    "large model": (FAR, ("-mcmodel=large",), "large code model"),
    "large model without unwind table": (
        FAR,
        ("-mcmodel=large", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
        "large code model",
    ),
    "far variables": (FAR, ("-mcmodel=medium", "-mlarge-data-threshold=64"), "-mcmodel=medium"),
    "addresses in the code": (FAR, ("-fno-pic", "-mcmodel=large", "-Wl,-z,notext"), "text relocations"),
}


@pytest.mark.parametrize("linker", installed_linkers())
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recovered_is_refused(tmp_path: Path, name: str, linker: str) -> None:
    text, flags, reason = REFUSED[name]
    path, tools = tmp_path / "library.so", _tools(tmp_path, linker)
    command = ["gcc", "-O2", "-shared", "-fPIC", "-s", *flags, f"-B{tools}", f"-fuse-ld={linker}", "-Wl,-z,now"]
    subprocess.run([*command, "-x", "c", "-", "-o", str(path)], input=text, text=True, check=True, capture_output=True)
    image = read_image(path.read_bytes())
    texts = [it.text for it in judge(image, image).findings if it.weight is not Weight.NOTE]
    assert any(re.search(reason, it) for it in texts), texts


ASKING = """
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN __thread int one = 1;
HIDDEN __thread long two = 2;
__thread int three = 3;
static __thread int four = 4;
int *first(int n) { one += n; return &one; }
long *second(void) { return &two; }
int third(void) { return three++ + four++; }
int *fourth(void) { return &four; }
"""
KNOWING = """
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN __thread int one;
extern HIDDEN __thread long two;
extern __thread int three;
int use_first(int n) { return one += n; }
long *use_second(void) { return &two; }
int use_third(void) { return three++; }
"""


@pytest.mark.parametrize("linker", installed_linkers())
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_what_the_linker_relaxes_is_found(tmp_path: Path, compiler: str, linker: str) -> None:
    """General dynamic accesses become initial exec ones where another object has such for the same variable."""
    options = ["-O2", "-fPIC", "-shared", "-ffunction-sections", f"-B{_tools(tmp_path, linker)}"]
    objects = []
    for name, text, model in (("asking", ASKING, "global-dynamic"), ("knowing", KNOWING, "initial-exec")):
        objects.append(str(tmp_path / f"{name}.o"))
        command = [compiler, "-O2", "-fPIC", "-c", f"-ftls-model={model}", "-x", "c", "-", "-o", objects[-1]]
        subprocess.run(command, input=text, text=True, check=True)
    path = tmp_path / "library.so"
    link = [f"-fuse-ld={linker}", "-Wl,--emit-relocs", *objects, "-o", str(path)]
    subprocess.run([compiler, *options, *link], check=True)
    found = thread_local_references(read_image(stripped(path)))
    kinds = (TLSGD, DTPOFF32, GOTTPOFF)
    expected = Counter(it.value for it in linked(path.read_bytes()).emitted if it.kind in kinds and it.section)
    assert not found.unclear
    assert Counter(found.table["target"].tolist()) == expected
