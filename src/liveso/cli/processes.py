"""Which processes a person means."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from liveso.errors import Declined, ExitCode


def chosen(pids: Iterable[int], commands: Iterable[str], units: Iterable[str], everything: bool) -> list[int]:
    """The numbers of the processes that are named in one of these ways. Raises Declined where a command or a unit has
    none, and where none is named."""
    found = dict.fromkeys(pids)
    for name in commands:
        found |= dict.fromkeys(_some(f"no process runs the command {name}", _having(partial(_runs, name))))
    for unit in units:
        full = unit if "." in unit else f"{unit}.service"
        found |= dict.fromkeys(_some(f"no process belongs to the unit {full}", _having(partial(_is_in, full))))
    if everything:
        found |= dict.fromkeys(_having(_is_own))
    if not found:
        raise Declined("say which processes: their numbers, --command, --unit or --all", ExitCode.BAD_INPUT)
    return list(found)


def _some(problem: str, pids: Iterator[int]) -> list[int]:
    found = list(pids)
    if not found:
        raise Declined(problem, ExitCode.BAD_INPUT)
    return found


def _having(is_meant: Callable[[int], bool]) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                if is_meant(int(name)):
                    yield int(name)
            except OSError:
                continue


def _runs(name: str, pid: int) -> bool:
    """Whether it executes a file of that name, or calls itself so (proc(5), comm)."""
    if "/" in name:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)") == name
    if Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n") == name[:15]:
        return True
    return os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) == name


def _is_in(unit: str, pid: int) -> bool:
    """Whether its control group is that of the unit (cgroups(7))."""
    lines = Path(f"/proc/{pid}/cgroup").read_text(errors="replace").splitlines()
    return any(unit in line.split(":", 2)[2].split("/") for line in lines)


def _is_own(pid: int) -> bool:
    """Whether it is a process of this user's with a program; root's are all."""
    is_process = bool(os.readlink(f"/proc/{pid}/exe"))
    return is_process and os.geteuid() in (0, os.stat(f"/proc/{pid}").st_uid)
