"""Work on many things, on two processors."""

import contextlib
import ctypes
import os
import pickle
import signal
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LEAST = 256  # things: for fewer, a process is not worth it

_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


def side_by_side(make: Callable[[_Thing], _Made], things: Sequence[_Thing]) -> list[_Made]:
    """What `make` makes of each thing, in their order. Where two processes may run at once, every other one is made by
    a process that is forked for it: what `make` remembers of those is gone with it. Raises what `make` raises."""
    if len(things) < _LEAST or len(os.sched_getaffinity(0)) < 2:
        return [make(it) for it in things]
    reading, writing = os.pipe()
    parent, child = os.getpid(), os.fork()
    if not child:
        _send(parent, writing, lambda: [make(it) for it in things[1::2]])
    os.close(writing)
    try:
        made = [make(it) for it in things[::2]]
        with open(reading, "rb", closefd=False) as pipe:
            others: list[_Made] | None = _received(pipe)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # somebody may wait for all children
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if others is None:
        others = [make(it) for it in things[1::2]]
    found = [*made, *others]
    found[::2], found[1::2] = made, others
    return found


def _send(parent: int, writing: int, make: Callable[[], object]) -> None:
    """Write what `make` makes into a pipe, and end the process. It ends with its `parent`, too."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            with open(writing, "wb") as pipe:
                pickle.dump(make(), pipe, pickle.HIGHEST_PROTOCOL)
            status = 0
    finally:
        os._exit(status)


def _received(pipe: BinaryIO) -> list[_Made] | None:
    """None where the process came to no end: the one that asks tries again then."""
    try:
        found: list[_Made] = pickle.load(pipe)
    except (EOFError, pickle.UnpicklingError):
        return None
    return found
