"""Which processes a daemon serves that nobody asked for: all (`liveso daemon --all`), as far as the settings allow."""

import os
import pwd
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase

from liveso.process import belonging, proc
from liveso.settings import Settings

_FIRST = 1  # the process that a machine ends with (init(1)): it is attached by its number only


def _users(pid: int) -> Iterable[str]:
    for user in proc.users(pid):
        yield str(user)
        with suppress(KeyError):
            yield pwd.getpwuid(user).pw_name


_NAMES: dict[str, Callable[[int], Iterable[str]]] = {
    "unit": belonging.units,
    "command": belonging.commands,
    "user": _users,
    "container": lambda pid: (belonging.container_of(pid),),
}
"""What a process is called, by the word in front of a pattern."""


def is_reached(pid: int, settings: Settings) -> bool:
    """Whether a process is one of those that are served: none of its names is denied, and one is allowed, if any is
    said to be. Raises OSError, TargetError."""
    if pid == _FIRST:
        return False
    if _fits(pid, settings.deny):
        return False
    return not settings.allow or _fits(pid, settings.allow)


def is_own(pid: int) -> bool:
    """Whether it is a process of this user's with a program; root's are all. Raises OSError."""
    return bool(os.readlink(f"/proc/{pid}/exe")) and os.geteuid() in (0, os.stat(f"/proc/{pid}").st_uid)


def _fits(pid: int, patterns: Iterable[str]) -> bool:
    for pattern in patterns:
        kind, _equals, glob = pattern.partition("=")
        if any(fnmatchcase(name, glob) for name in _NAMES[kind](pid) if name):
            return True
    return False
