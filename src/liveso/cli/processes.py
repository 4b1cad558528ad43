"""Which processes a person means."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from liveso.daemon.reach import is_own
from liveso.errors import Declined, ExitCode, LivesoError
from liveso.process.belonging import is_called, is_in_unit


def chosen(pids: Iterable[int], commands: Iterable[str], units: Iterable[str], everything: bool) -> list[int]:
    """The numbers of the processes that are named in one of these ways. Raises Declined where a command or a unit has
    none, and where none is named."""
    found = dict.fromkeys(pids)
    for name in commands:
        found |= dict.fromkeys(_some(f"no process runs the command {name}", _having(partial(is_called, name))))
    for unit in units:
        full = unit if "." in unit else f"{unit}.service"
        found |= dict.fromkeys(_some(f"no process belongs to the unit {full}", _having(partial(is_in_unit, full))))
    if everything:
        found |= dict.fromkeys(_having(is_own))
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
            except (OSError, LivesoError):
                continue
