"""The daemon's own tasks: what ends is begun again, or the daemon ends and says why."""

import asyncio

import pytest

from liveso.daemon import supervision
from liveso.daemon.supervision import Supervisor
from liveso.errors import StoreError, TargetGone


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_PAUSE", 0.0)


def test_a_vital_task_that_an_exception_ends_is_started_again_and_that_is_told() -> None:
    async def run() -> tuple[list[int], list[str]]:
        supervisor, starts = Supervisor(), list[int]()
        is_up = asyncio.Event()

        async def listen() -> None:
            starts.append(1)
            if len(starts) < 3:
                raise OSError("no file descriptors are left")
            is_up.set()
            await asyncio.Event().wait()

        supervisor.vital("listen", listen)
        await is_up.wait()
        assert not supervisor.end.is_set()
        return starts, supervisor.problems

    starts, problems = asyncio.run(run())
    assert len(starts) == 3
    assert problems == [
        "the daemon's task 'listen' ended and was started again (OSError: no file descriptors are left)"
    ]


@pytest.mark.parametrize("error", [OSError("deaf"), KeyError("x"), StoreError("the store is gone"), None])
def test_a_daemon_whose_vital_task_ends_again_and_again_ends_with_a_message(error: Exception | None) -> None:
    async def run() -> str:
        supervisor = Supervisor()

        async def watch() -> None:
            if error:
                raise error

        supervisor.vital("watch", watch)
        await supervisor.end.wait()
        return supervisor.gave_up

    said = asyncio.run(run())
    assert said.startswith("its task 'watch' ended 5 times in 60 s")
    assert (str(error) if error else "it ended") in said


@pytest.mark.parametrize("error", [ValueError("x"), TargetGone("gone"), StoreError("full"), RecursionError()])
def test_what_goes_wrong_in_a_job_ends_only_itself(error: Exception) -> None:
    async def run() -> None:
        supervisor = Supervisor()

        async def job() -> None:
            raise error

        await supervisor.start(job())
        assert supervisor.problems == [] and not supervisor.end.is_set()

    asyncio.run(run())


def test_a_problem_that_is_over_is_told_no_more() -> None:
    supervisor = Supervisor()
    supervisor.tell("room", "no room")
    supervisor.tell("store", "the store is full")
    supervisor.tell("room", "")
    assert supervisor.problems == ["the store is full"]
