"""What a daemon does not take over from the program that started it."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

_WANTED_DESCRIPTORS = 65536  # a connection for each of 10,000 targets, leases, sheets
_SOFT = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC)


def shed_inherited_limits() -> None:
    """Undo limits, niceness and readiness to be killed, as far as this user may (setrlimit(2), proc(5))."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < _WANTED_DESCRIPTORS:  # root may raise it
        _try(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (_WANTED_DESCRIPTORS, _WANTED_DESCRIPTORS)))
    for limit in (resource.RLIMIT_NOFILE, *_SOFT):
        _lift(limit)
    if os.nice(0) != 0:
        _try(lambda: os.setpriority(os.PRIO_PROCESS, 0, 0))
    _try(lambda: Path("/proc/self/oom_score_adj").write_text("0"))


def _lift(limit: int) -> None:
    _soft, hard = resource.getrlimit(limit)
    _try(lambda: resource.setrlimit(limit, (hard, hard)))


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except (OSError, ValueError):
        pass  # not for this user
