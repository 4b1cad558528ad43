"""Work on many things, on two processors."""

import contextlib
import ctypes
import os
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LEAST = 256  # things: for fewer, a process is not worth it
_ENDED_EARLY = (EOFError, pickle.UnpicklingError)

_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


class Meanwhile(AbstractContextManager["Meanwhile[_Made]"], Generic[_Made]):
    """What `make` makes, by a process that is forked for it, while this one does something else. Where two may not run
    at once, or it is not worth it, it is made when it is asked for."""

    def __init__(self, make: Callable[[], _Made], *, is_worth_it: bool = True) -> None:
        self._make = make
        self._child = self._reading = -1
        if is_worth_it and len(os.sched_getaffinity(0)) > 1:
            self._fork()

    def _fork(self) -> None:
        self._reading, writing = os.pipe()
        parent, self._child = os.getpid(), os.fork()
        if not self._child:
            _send(parent, writing, self._make)
        os.close(writing)

    def result(self) -> _Made:
        """Raises what `make` raises: where the process came to no end, it is made here."""
        if self._child >= 0:
            with self, open(self._reading, "rb", closefd=False) as pipe, contextlib.suppress(*_ENDED_EARLY):
                found: _Made = pickle.load(pipe)
                return found
        return self._make()

    def __exit__(self, *_raised: object) -> None:
        if self._child >= 0:
            os.close(self._reading)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # somebody may wait for all children
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
            self._child = -1


def side_by_side(make: Callable[[_Thing], _Made], things: Sequence[_Thing]) -> list[_Made]:
    """What `make` makes of each thing, in their order. Where two processes may run at once, every other one is made by
    a process that is forked for it: what `make` remembers of those is gone with it. Raises what `make` raises."""
    if len(things) < _LEAST:
        return [make(it) for it in things]
    with Meanwhile(lambda: [make(it) for it in things[1::2]]) as odd:
        even = [make(it) for it in things[::2]]
        found = [*even, *odd.result()]
    found[::2], found[1::2] = even, found[len(even) :]
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
