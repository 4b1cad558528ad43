"""Processes with mounts, processes and users of their own, as services of systemd and containers have them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness import AGENT, LIVESO, Bench, Program, seen_from_here, wait_until

LIBRARY = "static int calls; int version(void) { calls++; return VERSION; } int count(void) { return calls; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int version(void), count(void);
int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 1)
        fork();
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


def test_a_process_that_does_not_see_the_store_is_updated(bench: Bench) -> None:
    """It is as with PrivateTmp, where the store is in /tmp."""
    store = bench.folder / "store"
    program, pid = run_in(bench, "--mount", f"mkdir -p {store} && mount -t tmpfs none {store}")
    assert liveso(bench, "attach", pid).stderr == ""
    for version in (2, 3, 1):
        update_in_root(bench, pid, program, bench.folder, version)
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    os.kill(pid, 9)


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


# how a program is executed with another root, which is ready at $ROOT
ROOTS = {
    "chroot": (
        "exec unshare --mount --propagation private sh -c 'mount --rbind /proc $ROOT/proc; exec chroot $ROOT $PROGRAM'"
    ),
    "a container": (
        "exec unshare --mount --pid --fork --kill-child=KILL --propagation private sh -c '"
        "mount --rbind $ROOT $ROOT; mount -t proc none $ROOT/proc; cd $ROOT; pivot_root . old; exec $PROGRAM'"
    ),
    "a rootless container": (
        "exec unshare --user --map-root-user --mount --pid --fork --kill-child=KILL sh -c '"
        "mount --rbind $ROOT $ROOT; mount -t proc none $ROOT/proc; cd $ROOT; pivot_root . old; exec $PROGRAM'"
    ),
    "no /proc": "exec chroot $ROOT $PROGRAM",
}


def make_root(bench: Bench, name: str) -> Path:
    """A folder with all that the program of a name needs: its library is in /opt, by way of an absolute link."""
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    root = bench.folder / "root"
    for folder in ("opt", "proc", "old", "lib64"):
        (root / folder).mkdir(parents=True)
    bench.link("lib.1.so", "libversion.so")
    bench.compile(PROGRAM, str(root / name), "-L.", "-lversion", "-Wl,-rpath,/opt/current")
    for line in subprocess.check_output(["ldd", str(root / name)], text=True).splitlines():
        for word in line.split():
            if word.startswith("/"):
                copy = root / word[1:]
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(Path(word).read_bytes())
                copy.chmod(0o755)
    (root / "opt/libraries").mkdir()
    (root / "opt/current").symlink_to("/opt/libraries")  # what lies there outside is none of its business
    for version in (1, 2, 3):
        (root / f"opt/libraries/lib.{version}.so").write_bytes((bench.folder / f"lib.{version}.so").read_bytes())
    (root / "opt/libraries/libversion.so").symlink_to("/opt/libraries/lib.1.so")
    return root


def run_with_root(bench: Bench, way: str, name: str = "program", arguments: str = "") -> tuple[Program, list[int]]:
    """The program, and the processes that execute it."""
    root = make_root(bench, name)
    command = ROOTS[way].replace("$ROOT", str(root)).replace("$PROGRAM", f"/{name} {arguments}")
    started = bench.run_plain("sh", "-c", command)
    count = 2 if arguments else 1
    wait_until(lambda: started.lines.count("version 1") == count, "they run")
    pids = [int(it.name) for it in Path("/proc").iterdir() if it.name.isdecimal() and _is_file(it / "exe", root / name)]
    assert len(pids) == count
    return started, pids


def _is_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def lead_to(folder: Path, version: int) -> None:
    (folder / "new").symlink_to(f"lib.{version}.so")
    (folder / "new").rename(folder / "libversion.so")


def update_in_root(bench: Bench, pid: int, program: Program, folder: Path, version: int) -> None:
    """Lead the link in a folder to a version, and see it run."""
    before = len(program.lines)
    lead_to(folder, version)
    bench.wait_for_version(folder / f"lib.{version}.so", "libversion.so", pid)
    program.wait_for(f"version {version}", before)


@pytest.mark.parametrize("way", [way for way in ROOTS if way != "no /proc"])
def test_a_process_with_another_root_is_updated_to_what_lies_there(bench: Bench, way: str) -> None:
    program, (pid,) = run_with_root(bench, way)
    folder = bench.folder / "root/opt/libraries"
    assert liveso(bench, "attach", pid).stderr == ""
    path = seen_from_here(pid, "/opt/current/libversion.so")
    assert bench.library(pid, "libversion.so")["path"] == path
    for version in (2, 3, 1, 2):
        update_in_root(bench, pid, program, folder, version)
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    bench.kill_daemon()
    bench.start_daemon()  # it is known by what it remembers
    bench.wait_for_library(
        pid, "libversion.so", result="updated", path=seen_from_here(pid, "/opt/current/libversion.so")
    )
    for version in (1, 3):
        update_in_root(bench, pid, program, folder, version)
    os.kill(pid, 9)


def test_another_root_without_proc_is_named(bench: Bench) -> None:
    _program, (pid,) = run_with_root(bench, "no /proc")
    done = liveso(bench, "attach", pid)
    assert done.returncode == 1 and "it has no /proc" in done.stderr and len(done.stderr.splitlines()) == 1


def test_containers_are_served_with_all_processes(idle_bench: Bench) -> None:
    """A parent and its child, each of which has the library below its own root."""
    bench = idle_bench
    name = "program-in-a-container"
    bench.environment["LIVE_ALLOW"] = f"command=/{name}"
    bench.start_daemon("--all")
    program, pids = run_with_root(bench, "a container", name, "with-child")
    folder = bench.folder / "root/opt/libraries"
    for pid in pids:
        assert bench.library(pid, "libversion.so")["path"] == seen_from_here(pid, "/opt/current/libversion.so")
    for version in (2, 3):
        before = len(program.lines)
        lead_to(folder, version)
        for pid in pids:
            bench.wait_for_version(folder / f"lib.{version}.so", "libversion.so", pid)
        wait_until(lambda: program.lines[before:].count(f"version {version}") == 2, "both run it")  # noqa: B023
    done = liveso(bench, "rollback", "libversion.so")
    assert done.returncode == 0, done
    before = len(program.lines)
    wait_until(
        lambda: all(bench.library(it, "libversion.so")["result"] == "rolled back" for it in pids), "both go back"
    )
