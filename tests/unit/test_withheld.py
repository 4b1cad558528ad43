"""Nobody waits for memory, or files, that do not come."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from liveso import roots, withheld
from liveso.process.withheld import MemoryWithheld, in_one_go, in_time
from liveso.services.looker import Looker
from liveso.withheld import NoAnswer, aside
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


def test_what_comes_late_is_discarded(coming: threading.Event) -> None:
    late: list[str] = []

    def act() -> str:
        coming.wait()
        return "late"

    with pytest.raises(NoAnswer):
        withheld.in_time("file", act, late.append)
    coming.set()
    wait_until(lambda: late == ["late"], "what comes late")


def test_many_questions_are_asked_in_one_go_however_long_it_computes(coming: threading.Event) -> None:
    def act() -> list[int]:
        found = []
        for number in range(50):
            found.append(in_time(1, lambda number=number: number))  # type: ignore[misc]
            end = time.monotonic() + 0.004
            while time.monotonic() < end:
                pass
        return found

    assert in_one_go(1, act) == list(range(50))
    with pytest.raises(TimeoutError, match="its own"):
        in_one_go(1, lambda: in_time(1, lambda: _raise(TimeoutError("its own"))))
    assert in_one_go(1, lambda: in_one_go(1, lambda: "within")) == "within"


def test_what_is_left_at_one_question_asks_no_other(coming: threading.Event) -> None:
    asked: list[str] = []

    def ask(name: str) -> None:
        in_time(1, lambda: asked.append(name))

    def act() -> None:
        ask("first")
        in_time(1, coming.wait)
        ask("last")

    for _time in range(2):
        with pytest.raises(MemoryWithheld, match="process 1 does not come"):
            in_one_go(1, act)
    coming.set()
    wait_until(lambda: not withheld._waiting or withheld._waiting[1].done(), "the end of it")
    assert asked == ["first"]
    in_one_go(1, lambda: ask("anew"))
    assert asked == ["first", "anew"]


def test_what_may_take_long_is_done_beside_everything_else(coming: threading.Event, tmp_path: Path) -> None:
    async def ask() -> None:
        waiting = asyncio.create_task(aside("file", coming.wait, 0.2))
        assert await aside("another", partial(roots.stat, str(tmp_path))) and not waiting.done()
        with pytest.raises(NoAnswer):
            await waiting
        with pytest.raises(NoAnswer):
            await aside("file", lambda: "at once")
        with pytest.raises(FileNotFoundError):
            await aside("none", partial(roots.stat, str(tmp_path / "none")))

    asyncio.run(ask())


def test_a_command_ends_whatever_its_looker_waits_for(tmp_path: Path) -> None:
    asker = Looker()
    assert asker.look(1, roots.stat, str(tmp_path)).st_ino == tmp_path.stat().st_ino
    with pytest.raises(FileNotFoundError):
        asker.look(1, roots.stat, str(tmp_path / "none"))
    for _time in range(2):
        with pytest.raises(NoAnswer):
            asker.look("one", wait_for_ever)
    asker.look(1, roots.stat, str(tmp_path))
    assert asker.look(1, os.getpid) != os.getpid()
    with pytest.raises(NoAnswer):
        asker.look("ended", os._exit, 1)
    assert asker.look(1, roots.stat, str(tmp_path))
    asker.close()


def wait_for_ever() -> None:
    threading.Event().wait()


def _raise(error: Exception) -> None:
    raise error
