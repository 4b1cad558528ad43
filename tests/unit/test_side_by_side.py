"""Work that two processes share."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from liveso.side_by_side import side_by_side


def test_what_is_made_keeps_its_order() -> None:
    for count in (0, 1, 2, 255, 256, 257, 1000):
        assert side_by_side(lambda it: it * it, range(count)) == [it * it for it in range(count)]


def test_both_processes_work() -> None:
    if len(os.sched_getaffinity(0)) > 1:
        assert len(set(side_by_side(lambda _it: os.getpid(), range(300)))) == 2


def test_more_than_a_pipe_holds_comes_back() -> None:
    found = side_by_side(lambda it: str(it) * 50_000, range(300))
    assert found == [str(it) * 50_000 for it in range(300)]


@pytest.mark.parametrize("bad", [10, 11])
def test_what_it_raises_is_raised(monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    made: list[int] = []

    def fork(plain: Callable[[], int] = os.fork) -> int:
        made.append(plain())
        return made[-1]

    def make(it: int) -> int:
        if it == bad:
            raise ValueError(f"{it} is bad")
        return it

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(ValueError, match=f"{bad} is bad"):
        side_by_side(make, range(300))
    for child in made:
        with pytest.raises(ChildProcessError):  # it was waited for
            os.waitpid(child, os.WNOHANG)


def test_what_the_other_process_does_not_finish_is_made_here() -> None:
    here = os.getpid()

    def make(it: int) -> int:
        if it > 50 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return it

    assert side_by_side(make, range(300)) == list(range(300))


def test_the_other_process_ends_with_this_one() -> None:
    reading, writing = os.pipe()
    middle = os.fork()
    if not middle:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGKILL)).start()
        side_by_side(lambda _it: time.sleep(600), range(300))
    os.close(writing)
    os.waitpid(middle, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b""  # nobody holds the other end any more
