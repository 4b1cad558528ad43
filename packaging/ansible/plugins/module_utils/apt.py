"""apt and dpkg: what would be upgraded, and its files. What is read is what they print for programs."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from .liveso import Trouble, run

_INST = re.compile(r"^Inst (\S+) (?:\[([^\]]*)\] )?\(([^ )]+)", re.M)
_LOCK_WAIT = 300  # seconds that apt waits for another one
_LOOK = 120.0  # seconds for what only asks


def planned(simulation: str) -> list[dict[str, str]]:
    """The packages that `apt-get --simulate` would bring, in its order."""
    found = _INST.findall(simulation)
    return [{"name": name, "before": before, "after": after} for name, before, after in found]


def command_for(packages: Sequence[str]) -> list[str]:
    """What upgrades these packages, or all; none that is not installed."""
    options = [
        f"DPkg::Lock::Timeout={_LOCK_WAIT}",
        "Dpkg::Options::=--force-confdef",
        "Dpkg::Options::=--force-confold",
    ]
    command = ["apt-get", "--yes", "--quiet", *(word for it in options for word in ("-o", it))]
    return [*command, "--only-upgrade", "install", "--", *packages] if packages else [*command, "upgrade"]


def refresh(limit: float) -> None:
    _apt(
        ["apt-get", "--quiet", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT}", "update"],
        limit,
        "the lists are not refreshed",
    )


def simulate(packages: Sequence[str]) -> list[dict[str, str]]:
    missing = [it for it in packages if not is_installed(it.partition("=")[0])]
    if missing:
        raise Trouble(f"{', '.join(missing)}: not installed on this machine; a rollout upgrades, and installs nothing")
    command = command_for(packages)
    return planned(_apt([command[0], "--simulate", *command[1:]], _LOOK, "apt does not say what it would do"))


def upgrade(packages: Sequence[str], limit: float) -> None:
    _apt(command_for(packages), limit, "the packages are not upgraded")


def _apt(command: Sequence[str], limit: float, what: str) -> str:
    ran = run(command, limit)
    if ran.code:
        lines = [it for it in (ran.errors + ran.output).splitlines() if it.startswith(("E:", "dpkg: error", "W:"))]
        raise Trouble(f"{what}: {' '.join(lines) or ran.said}")
    return ran.output


def is_installed(package: str) -> bool:
    ran = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\n", package], _LOOK)
    return ran.code == 0 and ran.output.startswith("ii")


def files_of(packages: Sequence[str]) -> set[str]:
    """Where the files of packages lie, past all symbolic links."""
    found: set[str] = set()
    for name in packages:
        ran = run(["dpkg-query", "-L", name], _LOOK)
        found |= {os.path.realpath(line) for line in ran.output.splitlines() if ".so" in line}
    return found


def real(path: str) -> str:
    """Where a library lies that a process loaded by this path."""
    return os.path.realpath(path)


class Digests:
    """SHA-256 of files, each read once while it stays the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, str]] = {}

    def of(self, path: str) -> str:
        """Empty where it cannot be read."""
        try:
            seen = os.stat(path)
            mark = seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
            if self._known.get(path, (None, ""))[0] != mark:
                digest = hashlib.sha256()
                with open(path, "rb") as file:
                    for part in iter(lambda: file.read(1 << 20), b""):
                        digest.update(part)
                self._known[path] = mark, digest.hexdigest()
        except OSError:
            return ""
        return self._known[path][1]
