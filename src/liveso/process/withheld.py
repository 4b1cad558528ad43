"""Memory that does not come: a page of a process may be a file's on a server that does not answer, or in a file system
that is its own (fuse(4)). Whoever reads it waits in the kernel, until the file comes or he is killed, and who asks for
the map of that memory may wait with him. So nobody does it but threads that may be left behind."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from liveso.errors import TargetError

_PATIENCE, _LEAST_PATIENCE = 1.0, 0.05  # seconds: less, the more processes are waited for
_LESS = 4
_MOST_THREADS = 1 << 14

_T = TypeVar("_T")


class MemoryWithheld(TargetError):
    """The memory of a process did not come in time. It may do so later."""


_waiting: dict[int, "Future[Any]"] = {}


@cache
def _threads() -> ThreadPoolExecutor:
    """One that has nothing to do is used again, so that there are hardly more than those that wait."""
    return ThreadPoolExecutor(_MOST_THREADS, "memory")


def in_time(pid: int, act: Callable[[], _T]) -> _T:
    """What `act` returns, which reads or writes memory of a process. Raises MemoryWithheld where it takes too long, and
    from then on until it is over, and what `act` raises."""
    _forget_what_is_over()
    if pid not in _waiting:
        future = _threads().submit(act)
        try:
            return future.result(max(_PATIENCE / _LESS ** len(_waiting), _LEAST_PATIENCE))
        except TimeoutError:
            if future.done():
                return future.result()  # it came at this moment, or that was its own error
            _waiting[pid] = future
    raise MemoryWithheld(f"memory of process {pid} does not come: it may be in a file on a server that does not answer")


def _forget_what_is_over() -> None:
    for pid in [pid for pid, future in list(_waiting.items()) if future.done()]:
        _waiting.pop(pid, None)
