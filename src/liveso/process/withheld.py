"""Memory that does not come, for it is mapped from a file that does not (liveso.withheld). Who asks for the map of that
memory may wait with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from liveso import withheld
from liveso.errors import TargetError

_T = TypeVar("_T")


class MemoryWithheld(TargetError):
    """The memory of a process did not come in time. It may do so later."""


def in_time(pid: int, act: Callable[[], _T]) -> _T:
    """What `act` returns, which reads or writes memory of a process. Raises MemoryWithheld where it takes too long, and
    from then on until it is over, and what `act` raises."""
    with _told(pid):
        return withheld.in_time(pid, act)


def in_one_go(pid: int, act: Callable[[], _T]) -> _T:
    """What `act` returns, which looks at memory of a process many times (withheld.in_one_go). Raises as `in_time`."""
    with _told(pid):
        return withheld.in_one_go(pid, act)


@contextmanager
def _told(pid: int) -> Iterator[None]:
    try:
        yield
    except withheld.NoAnswer as error:
        reason = f"memory of process {pid} does not come: it may be in a file on a server that does not answer"
        raise MemoryWithheld(reason) from error
