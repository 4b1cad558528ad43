"""The program as a child of this process, in the same process group: the shell's job is the program with it."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from liveso.cli.preload import IGNORED_BY_PYTHON, Prepared, cannot_be_run

PATIENCE = 5.0
"""Seconds that a program which is to end has before it is killed."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process, by number and start: a number can be given again."""

    pid: int
    started: str


def start(prepared: Prepared, mask: Iterable[int]) -> int:
    """The number of the new process, which has the signal `mask`. Raises CannotExecute."""
    try:
        return os.posix_spawn(
            prepared.program,
            prepared.command,
            prepared.environment,
            setsigmask=mask,
            setsigdef=IGNORED_BY_PYTHON,
        )
    except OSError as error:
        raise cannot_be_run(prepared.program, error) from error


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_stopped(pid: int) -> bool:
    return _stat(pid)[:1] == ["T"]


def family(pid: int) -> list[int]:
    """A process and its descendants, it first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for it in found:
        found += children.get(it, [])
    return found


def session_of(pid: int) -> list[Child]:
    """The process and those descendants that did not leave its session: daemons that it started, liveso's too, did."""
    stats = {it: _stat(it) for it in family(pid)}
    own = stats[pid][3:4]
    return [Child(it, fields[19]) for it, fields in stats.items() if fields and fields[3:4] == own]


def end_rest(children: Iterable[Child], limit: float = PATIENCE) -> None:
    """End those that are still there, of a program that has ended; blocks for at most twice the `limit`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + limit
        for it in (rest := [it for it in children if _is_there(it)]):
            send(it.pid, number)
        while any(_is_there(it) for it in rest) and time.monotonic() < end:
            time.sleep(0.02)


def _is_there(it: Child) -> bool:
    fields = _stat(it.pid)
    return bool(fields) and fields[19] == it.started and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); none where the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def programs(pids: Iterable[int], changed: Callable[[int, str], bool]) -> list[str]:
    """The paths of the programs that these processes execute and that `changed` says are not what lies there now."""
    found = {}
    for pid in pids:
        try:
            path = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except OSError:
            continue
        if path not in found:
            found[path] = changed(pid, path)
    return [path for path, is_other in found.items() if is_other]
