"""The Debian package, as an operator has it: installed on fresh roots of both releases, with a real systemd, upgraded
while programs run, and removed. `make test-deb` makes the package and says where it is (LIVESO_DEB)."""

import json
import os
import re
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import wait_until
from tests.packaging.roots import Root, booted, fresh_root

PACKAGE = os.environ.get("LIVESO_DEB", "")
pytestmark = [
    pytest.mark.skipif(not PACKAGE, reason="make test-deb"),
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", ["bookworm", "trixie"]),
]

LIBRARY = "int version(void) { return VERSION; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int version(void);
int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;; usleep(20000))
        printf("version %d\\n", version());
}
"""
APP = "/opt/app"
FILTERED = ["SystemCallFilter=@system-service", "NoNewPrivileges=yes", "PrivateTmp=yes", "User=nobody"]
PREPARED = ["Environment=LD_PRELOAD=/usr/lib/liveso/live.so LIVE_MODE=resident LIVE_LOGLEVEL=1"]


def compiled(folder: Path) -> dict[str, bytes]:
    """A program and four versions of its library, by their paths in a root. They run on every glibc since Debian 12's,
    which this machine's may be newer than: what they need is older."""
    for version in range(1, 5):
        library = [
            "gcc",
            "-O2",
            "-shared",
            "-fPIC",
            "-x",
            "c",
            "-",
            "-Wl,-soname,libversion.so",
            f"-DVERSION={version}",
        ]
        subprocess.run([*library, "-o", folder / f"{version}.so"], input=LIBRARY, text=True, check=True)
    program: list[str | Path] = ["gcc", "-O2", "-x", "c", "-", "-x", "none", folder / "1.so", f"-Wl,-rpath,{APP}"]
    subprocess.run([*program, "-o", folder / "program"], input=PROGRAM, text=True, check=True)
    libraries = {f"{APP}/{version}.so": (folder / f"{version}.so").read_bytes() for version in range(1, 5)}
    return {f"{APP}/program": (folder / "program").read_bytes(), **libraries}


def offered(root: Root, package: Path) -> str:
    """Where the package lies in the root."""
    path = f"/srv/{package.name}"
    root.put({path: package.read_bytes()})
    return path


def newer(folder: Path) -> Path:
    """The same package with a higher version."""
    subprocess.run(["dpkg-deb", "-R", PACKAGE, folder / "newer"], check=True)
    control = folder / "newer/DEBIAN/control"
    version = re.sub(r"(?m)^(Version: .*)$", r"\1+newer", control.read_text())
    control.write_text(version)
    package = folder / f"newer-{Path(PACKAGE).name}"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", folder / "newer", package], check=True)
    return package


def put_on_disk(root: Root, version: int) -> None:
    """As a package manager does: under another name first."""
    root.run("sh", "-c", f"cp {APP}/{version}.so {APP}/new && mv {APP}/new {APP}/libversion.so")


def start(root: Root, unit: str, *properties: str) -> int:
    """Start the program as a service, and return its number."""
    options = [f"--property={it}" for it in (*properties, f"StandardOutput=append:{APP}/{unit}")]
    root.run("systemd-run", "--quiet", f"--unit={unit}", *options, f"{APP}/program")
    return pid_of(root, unit)


def pid_of(root: Root, unit: str) -> int:
    return int(root.run("systemctl", "show", "--property=MainPID", "--value", unit))


def says(root: Root, unit: str, version: int) -> None:
    """Wait until the program says this version, and look that it goes on saying it."""

    def last() -> str:
        return root.run("tail", "-n", "1", f"{APP}/{unit}").strip()

    wait_until(lambda: last() == f"version {version}", lambda: f"{unit}: {last()}; {said_by_daemon(root)}")
    before = len(root.run("cat", f"{APP}/{unit}"))
    wait_until(lambda: len(root.run("cat", f"{APP}/{unit}")) > before + 100, f"{unit} goes on")
    assert last() == f"version {version}"


def said_by_daemon(root: Root) -> str:
    return root.attempt("liveso", "status", "--verbose").stdout + root.attempt("journalctl", "-u", "liveso").stdout


def processes(root: Root) -> list[str]:
    """liveso's, by what they are called, but for those that have ended: nobody waits for them where no system runs."""
    said = root.run("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null")
    found = re.findall(r"^\d+ \((.*)\) (\w)", said, re.MULTILINE)
    return [name for name, state in found if name.startswith("liveso") and state != "Z"]


def library_of(root: Root, pid: int) -> dict[str, Any]:
    """What status says of the program's library; nothing while it is not known."""
    done = root.attempt("liveso", "status", "--json")
    if done.returncode:
        return {}
    targets = json.loads(done.stdout)["targets"]
    found = [it for target in targets if target["pid"] == pid for it in target["libraries"]]
    return next((it for it in found if it["path"] == f"{APP}/libversion.so" and it["version"]), {})


def test_it_is_installed_on_a_fresh_root_and_leaves_nothing_there(release: str, tmp_path: Path) -> None:
    with fresh_root(release) as root:
        root.put(compiled(tmp_path))
        put_on_disk(root, 1)
        root.install(offered(root, Path(PACKAGE)))
        assert root.run("liveso", "--version").startswith("liveso ")
        root.run("liveso", "check", f"{APP}/1.so", f"{APP}/2.so")
        # the manuals, as far as the root keeps any; what a shell completes
        ask = 'COMP_WORDS=(liveso roll); COMP_CWORD=1; _liveso; echo "${COMPREPLY[@]}"'
        completion = "/usr/share/bash-completion/completions/liveso"
        assert root.run("bash", "-c", f". {completion}; {ask}").split() == ["rollback"]
        assert root.attempt("sh", "-c", "liveso status 2>&1").returncode == 4, "no systemd runs: no daemon"
        # whoever runs a program with live.so gets the daemon of this package
        preloaded = f"LD_PRELOAD=/usr/lib/liveso/live.so exec {APP}/program >{APP}/out 2>{APP}/errors"
        root.run("sh", "-c", f"({preloaded}) & sleep 0.1")
        wait_until(lambda: root.attempt("liveso", "status").returncode == 0, "a daemon that live.so has started")
        put_on_disk(root, 2)
        wait_until(lambda: root.run("tail", "-n", "1", f"{APP}/out") == "version 2\n", lambda: said_by_daemon(root))
        root.run("sh", "-c", "echo '/lib/x.so:/usr/lib/liveso/live.so' >/etc/ld.so.preload")
        root.run("apt-get", "purge", "--yes", "--quiet", "liveso")
        assert root.run("cat", "/etc/ld.so.preload").splitlines()[-1] == "/lib/x.so:"
        root.run("rm", "/etc/ld.so.preload")
        assert root.named("liveso") == []
        wait_until(lambda: processes(root) == [], lambda: f"the end of {processes(root)}")
        before = len(root.run("cat", f"{APP}/out"))
        wait_until(lambda: len(root.run("cat", f"{APP}/out")) > before + 100, "the program goes on")
        assert root.run("tail", "-n", "1", f"{APP}/out") == "version 2\n"
        assert root.run("cat", f"{APP}/errors") == ""


def test_the_service_keeps_programs_up_to_date_through_its_own_upgrade_and_removal(
    release: str, tmp_path: Path
) -> None:
    units = {"plain": [], "filtered": FILTERED, "prepared": PREPARED}
    with fresh_root(release) as base, booted(base) as root:
        root.put(compiled(tmp_path))
        put_on_disk(root, 1)
        pids = {unit: start(root, unit, *units[unit]) for unit in ("plain", "filtered")}  # before there is any liveso
        root.install(offered(root, Path(PACKAGE)))
        assert root.run("systemctl", "is-active", "liveso").strip() == "active"
        assert root.run("systemctl", "is-enabled", "liveso").strip() == "enabled"
        assert "event=started" in root.run("journalctl", "--no-pager", "-u", "liveso")
        pids["prepared"] = start(root, "prepared", *PREPARED)

        all_run(root, pids, 1)
        put_on_disk(root, 2)
        all_run(root, pids, 2)

        daemon = pid_of(root, "liveso")
        mapped = root.run("grep", "liveso", f"/proc/{pids['prepared']}/maps")
        root.install(offered(root, newer(tmp_path)))
        assert root.run("dpkg-query", "--show", "--showformat=${Version}", "liveso").endswith("+newer")
        assert pid_of(root, "liveso") not in (0, daemon)
        for unit, pid in pids.items():
            assert pid_of(root, unit) == pid
            wait_until(partial(library_of, root, pid), lambda: said_by_daemon(root))
        assert "live.so (deleted)" in root.run("grep", "liveso", f"/proc/{pids['prepared']}/maps"), mapped
        put_on_disk(root, 3)
        all_run(root, pids, 3)

        root.run("systemctl", "kill", "--signal=KILL", "liveso")  # it comes again by itself
        put_on_disk(root, 4)
        all_run(root, pids, 4)

        root.run("apt-get", "remove", "--yes", "--quiet", "liveso")
        debians = ("/var/lib/dpkg/", "/var/lib/systemd/", "/etc/systemd/system/")  # what it was: enabled
        left = [it for it in root.named("liveso") if not it.startswith(debians)]
        assert left == [
            "/etc/apt/apt.conf.d/50liveso",
            "/etc/liveso",
            "/etc/liveso/liveso.toml",
            "/etc/needrestart/conf.d/50-liveso.conf",
            "/var/lib/liveso",
        ], "what an operator wrote, and what happened, stays until it is purged"
        root.run("apt-get", "purge", "--yes", "--quiet", "liveso")
        assert root.named("liveso") == []
        wait_until(lambda: processes(root) == [], lambda: f"the end of {processes(root)}")
        for unit, pid in pids.items():
            assert pid_of(root, unit) == pid
            says(root, unit, 4)
        assert "liveso" not in root.run("systemctl", "--failed", "--no-legend", "--plain")


def all_run(root: Root, pids: dict[str, int], version: int) -> None:
    for unit, pid in pids.items():
        says(root, unit, version)
        assert pid_of(root, unit) == pid, f"{unit} was started again"


def test_what_is_wrong_in_the_settings_is_said_once(release: str, tmp_path: Path) -> None:
    with fresh_root(release) as base, booted(base) as root:
        root.install(offered(root, Path(PACKAGE)))
        root.run("sh", "-c", "echo 'colour = 1' >>/etc/liveso/liveso.toml")
        assert root.attempt("systemctl", "restart", "liveso").returncode != 0
        time.sleep(3)  # as long as three starts would take
        said = root.run("journalctl", "--no-pager", "--output=cat", "-u", "liveso")
        assert len(re.findall("unknown setting colour", said)) == 1, said
        assert root.run("systemctl", "show", "--property=Result,NRestarts", "liveso").split() == [
            "Result=exit-code",
            "NRestarts=0",
        ]
