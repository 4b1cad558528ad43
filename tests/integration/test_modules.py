"""Modules that a library or a server loads by itself: those of the name service, of PAM, and of nginx."""

from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until
from tests.packages import package

PROGRAMS = Path(__file__).parent / "programs"


def build(bench: Bench, source: str, name: str, version: int, *flags: str) -> None:
    """Compile a version of a module, and put it in its place in one step."""
    bench.compile(PROGRAMS / source, name, "-O2", "-fPIC", "-shared", f"-DVERSION={version}", *flags)


def ask(program: Program, line: str, answer: str) -> list[str]:
    """What the program says to a line, until the line that begins with `answer`."""
    before = len(program.lines)
    program.ask(line)
    last = program.wait_for(answer, before)
    return program.lines[before : program.lines.index(last, before) + 1]


NSS = "libnss_guests.so.2"


@pytest.fixture
def names(bench: Bench) -> Program:
    """A program that asks the name service, which has a module of its own, all the while."""
    build(bench, "names.c", NSS, 1, f"-Wl,-soname,{NSS}")
    bench.compile(PROGRAMS / "ask_names.c", "program", "-pthread")
    program = bench.run("./program", LD_LIBRARY_PATH=str(bench.folder))
    program.wait_for("guest-2 is 1002")
    assert ask(program, "", "guest-1") == ["guest-1: guest-1, asked for 1 times, entry 1"]
    bench.library(program.pid, NSS)
    return program


def test_a_module_of_the_name_service_is_updated_behind_its_entries(bench: Bench, names: Program) -> None:
    """glibc keeps the addresses of a module's entries, as it found them once: those stay, and lead to new functions."""
    for count, version in enumerate((2, 3, 1), 2):
        before = len(names.lines)
        build(bench, "names.c", NSS, version, f"-Wl,-soname,{NSS}")
        bench.wait_for_version(NSS, NSS, names.pid)
        names.wait_for(f"guest-2 is {version}002", before)
        assert f"asked for {count} times" in ask(names, "", "guest-1")[-1]
    assert names.end() == 0
    assert names.lines[-1] == "failures 0"


@pytest.fixture
def pam(bench: Bench) -> Program:
    """A program that authenticates with a module of its own."""
    include = f"-I{package('libpam0g-dev') / 'usr/include'}"
    (bench.folder / "pam").mkdir()
    module = bench.folder / "pam_guests.so"
    (bench.folder / "pam" / "guests").write_text(f"auth required {module}\n")
    build_pam(bench, 1)
    bench.compile(PROGRAMS / "ask_pam.c", "program", include, "-l:libpam.so.0")
    program = bench.run("./program", bench.folder / "pam")
    bench.library(program.pid, "libpam.so.0")
    return program


def build_pam(bench: Bench, version: int) -> None:
    include = f"-I{package('libpam0g-dev') / 'usr/include'}"
    build(bench, "pam_guests.c", "pam_guests.so", version, include, "-l:libpam.so.0")


def test_a_transaction_of_pam_goes_on_in_the_new_version(bench: Bench, pam: Program) -> None:
    """PAM asks for a module's functions once a transaction, and keeps a function that forgets its data. All versions
    share the module's variable."""
    ask(pam, "o1", "o1: Success")
    assert ask(pam, "a1 word-1", "a1:") == ["step 1, version 1", "a1: Success"]
    build_pam(bench, 2)
    bench.wait_for_version("pam_guests.so", "pam_guests.so", pam.pid)
    ask(pam, "o2", "o2: Success")
    assert ask(pam, "a2 word-2", "a2:") == ["step 2, version 2", "a2: Success"]
    assert ask(pam, "c1", "c1:") == ["step 3, version 2, of word-1", "c1: Success"]
    assert ask(pam, "a2 word-1", "a2:") == ["step 4, version 2", "a2: Authentication failure"]
    assert ask(pam, "e1", "e1:") == ["forgotten word-1 in 2", "e1: Success"]
    build_pam(bench, 3)
    bench.wait_for_version("pam_guests.so", "pam_guests.so", pam.pid)
    ask(pam, "o3", "o3: Success")
    assert ask(pam, "a3 word-3", "a3:") == ["step 5, version 3", "a3: Success"]
    assert ask(pam, "e3", "e3:") == ["forgotten word-3 in 3", "e3: Success"]
    assert ask(pam, "e2", "e2:")[0] == "forgotten word-2 in 3"
    wait_until(lambda: "pam_guests" not in Path(f"/proc/{pam.pid}/maps").read_text(), "all versions unloaded")
    ask(pam, "o1", "o1: Success")
    assert ask(pam, "a1 word-3", "a1:") == ["step 1, version 3", "a1: Success"]
    assert pam.end() == 0, pam.output()


def test_a_module_of_pam_is_unloaded_and_loaded_again_between_versions(bench: Bench, pam: Program) -> None:
    for round_ in range(40):
        version = 1 + round_ // 8
        if round_ % 8 == 0:
            build_pam(bench, version)
        ask(pam, "o1", "o1: Success")
        assert ask(pam, f"a1 word-{version}", "a1:") == [f"step 1, version {version}", "a1: Success"]
        assert ask(pam, "e1", "e1:") == [f"forgotten word-{version} in {version}", "e1: Success"]
    assert pam.end() == 0, pam.output()
