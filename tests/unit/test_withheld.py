"""Nobody waits for memory that does not come."""

import threading
from collections.abc import Iterator

import pytest

from liveso.process import withheld
from liveso.process.withheld import MemoryWithheld, in_time
from tests.harness import wait_until


@pytest.fixture
def coming(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    monkeypatch.setattr(withheld, "_PATIENCE", 0.05)
    monkeypatch.setattr(withheld, "_LEAST_PATIENCE", 0.01)
    event = threading.Event()
    yield event
    event.set()


def test_what_comes_is_given_and_what_is_raised_is_raised() -> None:
    assert in_time(1, lambda: b"memory") == b"memory"
    with pytest.raises(TimeoutError, match="its own"):
        in_time(1, lambda: _raise(TimeoutError("its own")))
    assert in_time(1, lambda: b"memory") == b"memory"


def test_one_that_does_not_come_is_not_asked_again_before_it_does(coming: threading.Event) -> None:
    asked: list[int] = []

    def act() -> str:
        asked.append(1)
        coming.wait()
        return "late"

    for _time in range(3):
        with pytest.raises(MemoryWithheld, match="process 1 does not come"):
            in_time(1, act)
    assert asked == [1]
    assert in_time(2, lambda: "another") == "another"
    coming.set()
    wait_until(lambda: not withheld._waiting or withheld._waiting[1].done(), "the end of it")
    assert in_time(1, act) == "late"


def test_however_many_do_not_come_others_do(coming: threading.Event) -> None:
    for pid in range(1, 40):
        with pytest.raises(MemoryWithheld):
            in_time(pid, coming.wait)
    assert in_time(50, lambda: "another") == "another"


def _raise(error: Exception) -> None:
    raise error
