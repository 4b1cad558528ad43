"""Processes with mounts, processes and users of their own, as services of systemd and containers have them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness import AGENT, LIVESO, Bench, Program, wait_until

LIBRARY = "static int calls; int version(void) { calls++; return VERSION; } int count(void) { return calls; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int version(void), count(void);
int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int told = 0;; usleep(10000)) {
        int now = version();
        if (now != told)
            printf("version %d\\n", told = now);
    }
}
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make namespaces here")


def build(bench: Bench) -> None:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    bench.compile(PROGRAM, "program", "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")


def run_in(bench: Bench, namespaces: str, before: str = ":", environment: str = "") -> tuple[Program, int]:
    """The program in namespaces, after a command there, with its process ID here."""
    build(bench)
    command = f"exec unshare {namespaces} sh -c '{before}; exec env {environment} ./program'"
    program = bench.run_plain("sh", "-c", command)
    program.wait_for("version 1")
    return program, pid_of(bench)


def pid_of(bench: Bench) -> int:
    """The process that executes the program."""
    processes = [it for it in Path("/proc").iterdir() if it.name.isdecimal()]
    (found,) = [int(it.name) for it in processes if _executes(it) == str(bench.folder / "program")]
    return found


def _executes(process: Path) -> str:
    try:
        return os.readlink(process / "exe")
    except OSError:
        return ""


def liveso(bench: Bench, *arguments: str | int) -> subprocess.CompletedProcess[str]:
    command = [str(LIVESO), *map(str, arguments)]
    return subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=120)


NAMESPACES = {
    "mounts": "--mount",
    "mounts and processes": "--mount --pid --fork --kill-child=KILL --mount-proc",
    "a rootless container": "--user --map-root-user --mount --pid --fork --kill-child=KILL --mount-proc --net --ipc",
}


@pytest.mark.parametrize("namespaces", NAMESPACES)
@pytest.mark.parametrize("is_prepared", [False, True], ids=["attached", "prepared"])
def test_what_sees_the_same_files_is_updated(bench: Bench, namespaces: str, is_prepared: bool) -> None:
    """Its /mnt is its own, as /tmp is with PrivateTmp."""
    environment = f"LD_PRELOAD={AGENT}" if is_prepared else ""
    program, pid = run_in(bench, NAMESPACES[namespaces], "mount -t tmpfs none /mnt", environment)
    if not is_prepared:
        done = liveso(bench, "attach", pid)
        assert done.stderr == ""
    bench.library(pid, "libversion.so")
    (shown,) = [it for it in bench.status() if it["pid"] == pid]
    assert bool(shown["container"]) == ("--pid" in NAMESPACES[namespaces])
    for version in (2, 3, 1):
        before = len(program.lines)
        bench.update(f"lib.{version}.so", "libversion.so", pid)
        program.wait_for(f"version {version}", before)
    os.kill(pid, 9)


def test_a_store_that_it_does_not_see_is_named(bench: Bench) -> None:
    store = bench.folder / "store"
    _program, pid = run_in(bench, "--mount", f"mkdir -p {store} && mount -t tmpfs none {store}")
    done = liveso(bench, "attach", pid)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "it sees other files than the daemon" in done.stderr and str(store) in done.stderr


def test_a_library_of_its_own_is_left_alone_when_the_one_of_that_name_changes_here(bench: Bench) -> None:
    build(bench)
    folder = bench.folder / "libraries"
    folder.mkdir()
    (folder / "libversion.so").write_bytes((bench.folder / "lib.1.so").read_bytes())
    bench.compile(PROGRAM, "program", "-Llibraries", "-lversion", f"-Wl,-rpath,{folder}")
    own = f"cp -r {folder} {bench.folder}/own; mount --bind {bench.folder}/own {folder}"
    command = f"exec unshare --mount sh -c '{own}; exec ./program'"
    program = bench.run_plain("sh", "-c", command)
    program.wait_for("version 1")
    pid = pid_of(bench)
    assert liveso(bench, "attach", pid).stderr == ""
    bench.library(pid, "libversion.so")
    (folder / "new").write_bytes((bench.folder / "lib.2.so").read_bytes())
    (folder / "new").rename(folder / "libversion.so")
    wait_until(lambda: "sees another file there" in bench.library(pid, "libversion.so")["reason"], "the reason")
    assert program.lines == ["version 1"]


def test_another_root_is_named(bench: Bench) -> None:
    build(bench)
    root = bench.folder / "root"
    places = ["usr", "lib", "lib64", "bin", str(bench.folder)[1:]]
    for place in places:
        (root / place).mkdir(parents=True)
    mounts = "; ".join(f"mount --rbind /{place} {root}/{place}" for place in places[:-1])
    copies = f"cp {bench.folder}/program {bench.folder}/lib.1.so {bench.folder}/runtime -r {root}{bench.folder} 2>&1"
    link = f"ln -s lib.1.so {root}{bench.folder}/libversion.so"
    program = bench.run_plain(
        *("unshare", "--mount", "sh", "-c", f"{mounts}; {copies}; {link}; exec chroot {root} {bench.folder}/program")
    )
    program.wait_for("version 1")
    done = liveso(bench, "attach", program.pid)
    assert done.returncode == 1 and "(container, chroot)" in done.stderr and len(done.stderr.splitlines()) == 1
