"""What both commands share that package managers run, before and after they unpack: whatever goes wrong in them, apt or
dnf goes on as if they were not there (docs/apt.md, docs/dnf.md)."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from liveso.errors import LivesoError

BEFORE_LIMIT, AFTER_LIMIT = 8, 32  # seconds in which each must be done; a little later `timeout` ends it, too
ANSWER_WITHIN = 30.0  # seconds, from a daemon
RESULTS_WITHIN = 27.0  # seconds


@contextmanager
def quietly(limit: int) -> Iterator[None]:
    """Do something, and end this process with exit code 0, whatever comes of it; after `limit` seconds at the latest,
    by a signal of which the shell that started it makes 0."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends it, also in the middle of what never returns
    signal.alarm(limit)
    try:
        yield
        sys.stdout.flush()
    except (LivesoError, OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # no daemon, or one of another version: apt's user has not asked for it
    os._exit(0)
