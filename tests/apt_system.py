"""A system with apt, liveso and a library in three versions, for the tests of what an operator sees of upgrades."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.apt_root import AptRoot, build_package, offer
from tests.connections import LIBRARY, PROGRAM, flags
from tests.harness import AGENT, LIVESO, Bench, Program, wait_until

HOOKS = Path("packaging/apt/50liveso")
FOLDER = "/usr/lib/liveso-probe"
SONAME = "-Wl,-soname,libprobe.so.1"
ENTRIES = [
    ("1.0-3", "Larger connections; CVE-2026-0003."),
    ("1.0-2", "Fix CVE-2026-0002 and\n    cve-2026-0001."),
    ("1.0-1", "First one, with CVE-2025-9999."),
]
KEEP_CHANGELOGS = "path-include=/usr/share/doc/libprobe1/*\n"


@dataclass
class System:
    """A root with apt and liveso, and a library in three versions: the second may replace the first, the third not."""

    root: AptRoot
    folder: Path
    environment: dict[str, str]
    programs: list[Program]

    def offer(self, *numbers: int) -> None:
        offer(self.root, [self.folder / f"libprobe1_1.0-{it}_amd64.deb" for it in numbers])

    def start_daemon(self) -> Program:
        daemon = self.root.start("/usr/bin/liveso", "daemon", environment=self.environment)
        self.programs.append(daemon)
        daemon.wait_for_error("event=started")
        return daemon

    def signal_daemon(self, name: str) -> None:
        self.root.run("sh", "-c", f"kill -{name} $(head -1 /run/liveso/liveso.sock.lock)")

    def start_program(self, path: str = "/opt/program") -> Program:
        prepared = "env", f"LD_PRELOAD={AGENT}", path  # not what enters the root, which others may serve
        program = self.root.start(*prepared, environment=self.environment)
        self.programs.append(program)
        program.wait_for("ready")
        wait_until(self.libraries, "the program in status")
        return program

    def start_plain_program(self) -> Program:
        """Without live.so."""
        program = self.root.start("/opt/program", environment=self.environment)
        self.programs.append(program)
        program.wait_for("ready")
        return program

    def liveso(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.root.command("/usr/bin/liveso", *arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def libraries(self) -> list[dict[str, Any]]:
        done = self.liveso("status", "--json")
        targets = json.loads(done.stdout)["targets"] if done.returncode == 0 else []
        return [it for target in targets for it in target["libraries"] if it["version"]]

    def cves(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        done = self.liveso("cves", "--json", *arguments)
        return done.returncode, json.loads(done.stdout)

    def says(self, program: Program, version: int) -> None:
        before = len(program.lines)
        program.ask("")
        assert program.wait_for("version", before) == f"version {version}"


def files_of(bench: Bench) -> Iterator[tuple[int, dict[str, Path | str]]]:
    """What a package of the library has in it, by the number of its version."""
    for number in (1, 2, 3):
        library = bench.compile(LIBRARY, f"libprobe.{number}.so", SONAME, *flags(number, number == 3))
        yield (
            number,
            {
                f"{FOLDER[1:]}/libprobe.so.1.{number}": library,
                f"{FOLDER[1:]}/libprobe.so.1": f"libprobe.so.1.{number}",
            },
        )


@contextmanager
def apt_system(bench: Bench) -> Iterator[System]:
    """The library in its first version is installed, and nothing runs."""
    for number, files in files_of(bench):
        build_package(bench.folder, "libprobe1", f"1.0-{number}", files, ENTRIES[3 - number :])
    with bare_system(bench) as system:
        system.offer(1)
        system.root.apt("install", "libprobe1")
        yield system


@contextmanager
def bare_system(bench: Bench) -> Iterator[System]:
    """With a program that uses the library, which is not installed; all versions are compiled already."""
    program = bench.compile(PROGRAM, "program", "-L.", "-l:libprobe.1.so", f"-Wl,-rpath,{FOLDER}")
    root = AptRoot(bench.folder)
    root.write("opt/program", program.read_bytes())
    root.write("etc/dpkg/dpkg.cfg.d/zz-probe", KEEP_CHANGELOGS)
    root.run("chmod", "+x", "/opt/program")
    root.run("ln", "-sfn", str(LIVESO), "/usr/bin/liveso")
    environment = {name: it for name, it in bench.environment.items() if not name.startswith("LIVE_")}
    environment |= {"LIVE_LOGLEVEL": "4", "LIVE_STORE": "/var/lib/liveso-probe", "LIVE_CONFIG": "/dev/null"}
    system = System(root, bench.folder, environment, [])
    yield system
    for it in system.programs:
        it.kill()
    root.close()
    shutil.rmtree(bench.folder / "root", ignore_errors=True)
