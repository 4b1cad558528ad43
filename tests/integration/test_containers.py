"""Programs of another release of Debian, in a container: with their own C library, dynamic linker and files."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.compatibility.offers import Offers
from tests.harness import LIVESO, Bench, Program, seen_from_here
from tests.integration.test_real_programs import CACHE, NAME, ORDER, PYTHON, compile_versions

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make namespaces here")

CONTAINER = """
exec unshare --mount --pid --fork --kill-child=KILL --propagation private sh -c '
    mount --rbind root root && mount -t proc none root/proc && cd root && pivot_root . old &&
    LD_PRELOAD=/opt/libcompares.so exec /usr/bin/python3.13 -c "$PROGRAM" /opt/libcompares.so'
"""


@pytest.fixture
def root(bench: Bench) -> Path:
    """The container's root, which is Debian 13 as far as it is needed."""
    packages = ("python3.13-minimal", "python3.13", "libc6", "libgcc-s1", "zlib1g")
    offered = Offers(CACHE).root("trixie", packages)
    root = bench.folder / "root"
    subprocess.run(["cp", "-a", offered, root], check=True)
    for folder in ("proc", "old", "opt"):
        (root / folder).mkdir()
    if not (root / "lib64").exists():
        (root / "lib64").symlink_to("usr/lib64")
    compile_versions(bench)
    for version in (1, 2):
        shutil.copy(bench.folder / f"compares.{version}.so", root / "opt")
    (root / "opt" / NAME).symlink_to("/opt/compares.1.so")
    return root


def process_in(root: Path) -> int:
    """The process that executes something in a root, by its number here."""
    for it in Path("/proc").iterdir():
        try:
            if it.name.isdecimal() and (it / "exe").samefile(root / "usr/bin/python3.13"):
                return int(it.name)
        except OSError:
            continue
    raise LookupError(root)


def ask(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("version", before)


def test_a_newer_cpython_with_a_newer_c_library(bench: Bench, root: Path) -> None:
    program = bench.run_plain("sh", "-c", CONTAINER, PROGRAM=PYTHON)
    program.wait_for("ready")
    pid = process_in(root)
    done = subprocess.run([LIVESO, "attach", str(pid)], env=bench.environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert bench.library(pid, NAME)["path"] == seen_from_here(pid, f"/opt/{NAME}")
    for version in (*ORDER, *ORDER):
        (root / "opt/new").symlink_to(f"compares.{version}.so")
        (root / "opt/new").rename(root / "opt" / NAME)
        bench.wait_for_version(f"compares.{version}.so", NAME, pid)
        assert ask(program) == f"version {version}"
    zlib = next((root / "usr/lib/x86_64-linux-gnu").glob("libz.so.1.*"))
    link = zlib.with_name("libz.so.1")
    rebuilt = zlib.with_name("rebuilt")
    subprocess.run(["objcopy", "--add-section", ".note=/etc/hostname", zlib, rebuilt], check=True)
    rebuilt.rename(zlib)
    bench.wait_for_version(zlib, link.name, pid)
    assert program.end() == 0, program.output()
    assert program.lines[-1] == "end True" and not program.error_lines
