"""Real programs under a light load, prepared with live.so or attached while they run: a library of theirs changes, and
changes back. No request fails, and each program ends as it would."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.compatibility.load import Load
from bench.compatibility.offers import Offers
from bench.compatibility.site import Site, digest
from bench.compatibility.subjects import SUBJECTS
from tests.harness import AGENT, LIVESO, Bench, Program
from tests.integration.test_virtual_machines import PROGRAMS, put

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "compatibility"
ORDER = (2, 1)
NAME = "libcompares.so"
COMPARES = """
static unsigned long calls;
int version(void) { return VERSION; }
unsigned long number_of_calls(void) { return calls; }
int strcmp(const char *one, const char *other)
{
    __atomic_add_fetch(&calls, VERSION == 1 ? 1 : 3 - VERSION, __ATOMIC_RELAXED);
    while (*one && *one == *other)
        one++, other++;
    return (unsigned char)*one - (unsigned char)*other;
}
"""
"""Stands in front of libc's function of that name in the whole program."""

either_way = pytest.mark.parametrize("is_prepared", [True, False], ids=["prepared", "attached"])


def attach(bench: Bench, *pids: int) -> None:
    """One that ends meanwhile is said to have ended, and is no reason to leave out the others."""
    command = [str(LIVESO), "attach", *map(str, pids)]
    done = subprocess.run(command, check=False, env=bench.environment, capture_output=True, text=True, timeout=120)
    assert all("has ended" in line for line in done.stderr.splitlines()), done


def own_errors(program: Program) -> list[str]:
    return [line for line in program.error_lines if not line.startswith("live.so: ")]


def compile_versions(bench: Bench) -> None:
    for version in (1, 2):
        flags = ("-O2", "-fno-builtin", "-fPIC", "-shared", f"-Wl,-soname,{NAME}", f"-DVERSION={version}")
        bench.compile(COMPARES, f"compares.{version}.so", *flags)


# --- services, as `make compatibility` starts them


class SiteWithLibrary(Site):
    """Its programs have the library that changes in front of all others."""

    is_prepared = True

    def environment(self, root: Path | None = None, with_agent: bool = True) -> dict[str, str]:
        environment = super().environment(root, with_agent)
        if with_agent:
            library = str(self.libraries / NAME)
            environment["LD_PRELOAD"] = f"{self.agent}:{library}" if self.is_prepared else library
        return environment


def runs_everywhere(site: SiteWithLibrary, version: str) -> bool:
    """Where processes were attached, those that they let execute a program are none of them (sshd does so)."""
    status, mapped = site.status(), site.mapped([NAME])
    known = mapped if site.is_prepared else mapped & status.keys()
    return bool(known) and all(it in status and status[it]["version"] == version for it in known)


@either_way
@pytest.mark.parametrize("name", ["Redis", "PostgreSQL", "OpenSSH"])
def test_a_service(name: str, is_prepared: bool) -> None:
    if name == "OpenSSH" and os.geteuid() != 0:
        pytest.skip("it takes connections as root only")
    subject = next(it for it in SUBJECTS if it.name == name)
    root = Offers(CACHE).root(*subject.root)
    with tempfile.TemporaryDirectory(prefix="liveso-real-", ignore_cleanup_errors=True) as folder:
        site = SiteWithLibrary(Path(folder), root, {})
        site.is_prepared = is_prepared
        try:
            compile_versions(site.bench)
            site.install({NAME: site.folder / "compares.1.so"})
            for library in root.glob("usr/lib/x86_64-linux-gnu/libpq.so.5"):
                site.install({library.name: library})  # what clients are linked to
            subject.start(site)
            load = Load(lambda index: subject.connect(site, index), 2)
            try:
                site.wait_until(lambda: len(load.within(0, float("inf"))) > 20, "it does not answer")
                if not is_prepared:
                    attach(site.bench, *{it.pid for it in site.mapped([NAME])})
                for version in (1, *ORDER):
                    file = site.folder / f"compares.{version}.so"
                    site.install({NAME: file})
                    site.wait_until(lambda: runs_everywhere(site, digest(file)), f"not all run {file}")  # noqa: B023
                    site.check()
            finally:
                load.stop()
            assert load.failed() == []
            server = site.started[0]
            for it in site.clients:
                it.communicate()
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0, site.log()
        finally:
            site.close()


# --- interpreters and virtual machines


def start(bench: Bench, is_prepared: bool, *command: str | Path, preload: str = "") -> Program:
    agent = [str(AGENT)] if is_prepared else []
    preloaded = ":".join([*agent, *([preload] if preload else [])])
    program = bench.run_plain(*command, **({"LD_PRELOAD": preloaded} if preloaded else {}))
    program.wait_for("ready")
    if not is_prepared:
        attach(bench, program.pid)
    return program


BASH = """
echo ready
while read -r line; do
    for word in one two three; do
        case $(echo "$word") in "$word") ;; *) echo wrong ;; esac
    done
    [[ $line == again ]] && echo "answer $((++count))"
done
echo "end $count"
"""
PYTHON = """
import ctypes, sys, threading, zlib
library = ctypes.CDLL(sys.argv[1])
ends, rounds = threading.Event(), []
def work():
    while not ends.is_set():
        assert zlib.decompress(zlib.compress(b"text" * 99)) == b"text" * 99 and library.version() in (1, 2)
        rounds.append(1)
threads = [threading.Thread(target=work) for _ in range(2)]
for it in threads:
    it.start()
print("ready", flush=True)
for line in sys.stdin:
    print("version", library.version(), flush=True)
ends.set()
for it in threads:
    it.join()
print("end", len(rounds) > 100, flush=True)
"""


def there_and_back(bench: Bench, program: Program) -> None:
    """Update the library and update it back, ask the program what it runs, and let it end."""
    for version in ORDER:
        bench.library(program.pid, NAME)
        bench.update(f"compares.{version}.so", NAME, program.pid)
        before = len(program.lines)
        program.ask("")
        assert program.wait_for("version", before) == f"version {version}"
    assert program.end() == 0, program.output()


@either_way
def test_bash(bench: Bench, is_prepared: bool) -> None:
    compile_versions(bench)
    bench.link("compares.1.so", NAME)
    program = start(bench, is_prepared, "bash", "-c", BASH, preload=str(bench.folder / NAME))
    for number, version in enumerate(ORDER, 1):
        bench.library(program.pid, NAME)
        bench.update(f"compares.{version}.so", NAME, program.pid)
        program.ask("again")
        program.wait_for(f"answer {number}")
    assert program.end() == 0
    assert program.lines[-1] == "end 2" and "wrong" not in program.lines and not own_errors(program)


@either_way
def test_a_rust_program(bench: Bench, is_prepared: bool) -> None:
    compile_versions(bench)
    bench.link("compares.1.so", NAME)
    command = ["rustc", "-Copt-level=2", "-L.", "-lcompares", "-Clink-arg=-Wl,-rpath,$ORIGIN", "-o", "program"]
    subprocess.run([*command, PROGRAMS / "counts.rs"], check=True, cwd=bench.folder)
    program = start(bench, is_prepared, "./program")
    there_and_back(bench, program)
    assert program.lines[-1] == "end 0 true" and not own_errors(program)


@either_way
def test_cpython(bench: Bench, is_prepared: bool) -> None:
    compile_versions(bench)
    bench.link("compares.1.so", NAME)
    program = start(bench, is_prepared, sys.executable, "-c", PYTHON, bench.folder / NAME)
    there_and_back(bench, program)
    assert program.lines[-1] == "end True" and not own_errors(program)


def build_node(bench: Bench) -> tuple[str, list[str | Path]]:
    for version in (1, 2):
        flags = ("-O2", "-s", "-fPIC", "-shared", "-fvisibility=hidden", f"-DVERSION={version}")
        bench.compile(PROGRAMS / "adder.c", f"adder.{version}.node", *flags)
    return "adder.{}.node", ["node", "--expose-gc", PROGRAMS / "adder.js"]


def build_java(bench: Bench) -> tuple[str, list[str | Path]]:
    compiled = shutil.which("javac")
    assert compiled, "install default-jdk-headless"
    include = Path(compiled).resolve().parent.parent / "include"
    for version in (1, 2):
        flags = ("-O2", "-s", "-fPIC", "-shared", f"-DVERSION={version}", f"-I{include}", f"-I{include / 'linux'}")
        bench.compile(PROGRAMS / "counter.c", f"libcounter.{version}.so", *flags)
    subprocess.run([compiled, "-d", str(bench.folder), str(PROGRAMS / "Counter.java")], check=True)
    return "libcounter.{}.so", ["java", "-Xmx64m", "-cp", bench.folder, "Counter"]


@either_way
@pytest.mark.parametrize("build", [build_node, build_java], ids=["node", "java"])
def test_a_virtual_machine(
    bench: Bench, build: Callable[[Bench], tuple[str, list[str | Path]]], is_prepared: bool
) -> None:
    versions, command = build(bench)
    name = versions.replace(".{}", "")
    shutil.copy(bench.folder / versions.format(1), bench.folder / name)
    program = start(bench, is_prepared, *command, bench.folder / name)
    for version in ORDER:
        bench.library(program.pid, name)
        put(bench, versions.format(version), name, program.pid)
        before = len(program.lines)
        program.ask("")
        assert program.wait_for(" ", before).startswith(str(version))
    assert program.end() == 0, program.output()
    assert program.lines[-1].startswith("end ")
