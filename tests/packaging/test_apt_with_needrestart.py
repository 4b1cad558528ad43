"""What an operator sees at the end of an upgrade, with the package of liveso and Debian's needrestart installed: liveso
says what is in force in running services, and needrestart does not ask for what is."""

import subprocess
from pathlib import Path

import pytest

from tests.apt_root import build_package
from tests.apt_system import ENTRIES, FOLDER, SONAME
from tests.connections import DECLARED, LIBRARY, flags
from tests.harness import wait_until
from tests.packaging.roots import Root, booted, fresh_root
from tests.packaging.test_deb import APP, PACKAGE, offered, said_by_daemon

pytestmark = [
    pytest.mark.skipif(not PACKAGE, reason="make test-deb"),
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", ["bookworm", "trixie"]),
]

PROGRAM = rf"""
#include <stdio.h>
#include <unistd.h>
{DECLARED}
int main(void) {{
    struct conn *it = conn_new();
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;; usleep(20000)) printf("version %d\n", conn_version() + 0 * conn_write(it));
}}
"""
UNIT = f"""[Service]
ExecStart={APP}/probe
StandardOutput=append:{APP}/out
[Install]
WantedBy=multi-user.target
"""


def library(folder: Path, number: int) -> Path:
    """The third has another layout, and may not replace the others."""
    path = folder / f"libprobe.{number}.so"
    built: list[str | Path] = ["gcc", SONAME, *flags(number, number == 3), "-xc", "-", "-o", path]
    subprocess.run(built, input=LIBRARY, text=True, check=True)
    return path


def package(folder: Path, number: int) -> Path:
    files = {f"{FOLDER[1:]}/libprobe.so.1": library(folder, number)}
    entries = [it for it in ENTRIES if int(it[0][-1]) <= number]
    return build_package(folder, "libprobe1", f"1.0-{number}", files, entries)


def program(folder: Path) -> bytes:
    path = folder / "probe"
    linked: list[str | Path] = ["-xnone", folder / "libprobe.1.so", f"-Wl,-rpath,{FOLDER}"]
    subprocess.run(["gcc", "-O2", "-xc", "-", "-o", path, *linked], input=PROGRAM, text=True, check=True)
    return path.read_bytes()


def service_says(root: Root, number: int) -> None:
    wait_until(
        lambda: root.attempt("tail", "-n", "1", f"{APP}/out").stdout.strip() == f"version {number}",
        lambda: said_by_daemon(root),
    )


def is_asked_for(said: str) -> bool:
    """Whether needrestart, in its list (mode l), asks for the service."""
    return "probe.service" in said[said.rindex("liveso: libprobe1") :].partition("\n")[2]


def test_liveso_says_what_is_in_force_and_needrestart_asks_for_the_rest(release: str, tmp_path: Path) -> None:
    packages = {number: package(tmp_path, number) for number in (1, 2, 3)}
    with fresh_root(release) as base, booted(base) as root:
        root.put({f"{APP}/probe": program(tmp_path), "/etc/systemd/system/probe.service": UNIT.encode()})
        paths = {number: offered(root, file) for number, file in packages.items()}
        root.install("needrestart", offered(root, Path(PACKAGE)), paths[1])
        root.run("systemctl", "enable", "--now", "probe")
        service_says(root, 1)
        wait_until(lambda: "probe" in root.attempt("liveso", "status").stdout, lambda: said_by_daemon(root))

        said = root.run("apt-get", "install", "--yes", paths[2], NEEDRESTART_MODE="l")
        assert "liveso: libprobe1 1.0-1 → 1.0-2 in force: probe" in said, said
        assert "CVE-2026-0001" in said
        assert not is_asked_for(said), said
        service_says(root, 2)
        assert root.attempt("liveso", "restart-needed").stdout.count("probe.service") == 0

        root.run(
            "systemctl", "restart", "probe"
        )  # what was updated once has liveso's copies mapped (docs/needrestart.md)
        service_says(root, 2)
        wait_until(lambda: "probe" in root.attempt("liveso", "status").stdout, lambda: said_by_daemon(root))
        said = root.run("apt-get", "install", "--yes", paths[3], NEEDRESTART_MODE="l")
        assert "liveso: libprobe1 1.0-2 → 1.0-3 not in force: probe" in said, said
        assert "`systemctl restart probe` brings it" in said
        assert is_asked_for(said), said
        service_says(root, 2)
        assert "systemctl restart probe" in root.attempt("liveso", "restart-needed").stdout
        root.run("liveso", "restart", "--yes", "--units", "probe")
        service_says(root, 3)
        assert "probe.service" not in root.attempt("liveso", "restart-needed").stdout
