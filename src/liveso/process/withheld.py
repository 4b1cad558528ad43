"""Memory that does not come: a page of a process may be a file's on a server that does not answer, or in a file system
that is its own (fuse(4)). Whoever reads it waits in the kernel, until the file comes or he is killed, and who asks for
the map of that memory may wait with him. So nobody does it but threads that may be left behind."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from liveso.errors import TargetError

_PATIENCE, _LEAST_PATIENCE = 1.0, 0.05  # seconds: less, the more processes are waited for
_LESS = 4

_T = TypeVar("_T")


class MemoryWithheld(TargetError):
    """The memory of a process did not come in time. It may do so later."""


class _Reader(Thread):
    """Does one act after another; no process waits at its end for one that waits itself."""

    def __init__(self) -> None:
        super().__init__(name="memory", daemon=True)
        self._acts: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self.start()

    def begin(self, act: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()
        self._acts.put((act, future))
        return future

    def run(self) -> None:
        while True:
            act, future = self._acts.get()
            try:
                future.set_result(act())
            except BaseException as error:
                future.set_exception(error)
            _idle.append(self)
            del act, future  # what they hold may be large


_idle: list[_Reader] = []
_waiting: dict[int, Future[Any]] = {}
os.register_at_fork(after_in_child=_idle.clear)  # a child has none of these threads


def in_time(pid: int, act: Callable[[], _T]) -> _T:
    """What `act` returns, which reads or writes memory of a process. Raises MemoryWithheld where it takes too long, and
    from then on until it is over, and what `act` raises."""
    _forget_what_is_over()
    if pid not in _waiting:
        future = _a_reader().begin(act)
        try:
            return future.result(max(_PATIENCE / _LESS ** len(_waiting), _LEAST_PATIENCE))
        except TimeoutError:
            if future.done():
                return future.result()  # it came at this moment, or that was its own error
            _waiting[pid] = future
    raise MemoryWithheld(f"memory of process {pid} does not come: it may be in a file on a server that does not answer")


def _a_reader() -> _Reader:
    with suppress(IndexError):
        return _idle.pop()
    return _Reader()


def _forget_what_is_over() -> None:
    for pid in [pid for pid, future in list(_waiting.items()) if future.done()]:
        _waiting.pop(pid, None)
