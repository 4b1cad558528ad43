"""The daemon's own tasks: what goes wrong in one is seen, and never leaves a daemon that lives and does nothing."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from liveso.daemon.log import log
from liveso.errors import LivesoError, TargetGone

_MOST_ENDS, _WITHIN = 5, 60.0  # ends of a vital task, in seconds, after which the daemon gives up
_PAUSE = 0.5  # seconds before it is started again

Job = Coroutine[Any, Any, None]


class Supervisor:
    """Runs jobs, which may end, and vital tasks, which may not. `gave_up` says which of these makes the daemon end."""

    def __init__(self) -> None:
        self._jobs: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, str] = {}
        self.gave_up = ""
        self.end = asyncio.Event()

    @property
    def problems(self) -> list[str]:
        """What a person should know of the daemon itself."""
        return list(self._troubles.values())

    def tell(self, subject: str, problem: str) -> None:
        """Let a problem with `subject` be known, or with no text that it is over."""
        before = self._troubles.pop(subject, "")
        if problem:
            self._troubles[subject] = problem
        if problem and problem != before:
            log.warning("problem", reason=problem)

    def start(self, job: Job) -> asyncio.Task[None]:
        """Run `job` besides; what goes wrong in it is logged and ends only itself."""
        return self._keep(guarded(job))

    def vital(self, name: str, make: Callable[[], Job]) -> None:
        """Run what `make` makes for as long as the daemon lives: it is made again where it ends."""
        self._keep(self._watch_over(name, make))

    def _keep(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    async def _watch_over(self, name: str, make: Callable[[], Job]) -> None:
        ends: deque[float] = deque(maxlen=_MOST_ENDS)
        while True:
            try:
                await make()
                reason = "it ended"
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                log.error("task-ended", task=name, reason=reason, exc_info=True)
            ends.append(time.monotonic())
            self.tell(name, f"the daemon's task {name!r} ended and was started again ({reason})")
            if len(ends) == _MOST_ENDS and ends[-1] - ends[0] < _WITHIN:
                self.gave_up = f"its task {name!r} ended {_MOST_ENDS} times in {_WITHIN:.0f} s ({reason})"
                self.end.set()
                return
            await asyncio.sleep(_PAUSE)


async def guarded(job: Job) -> None:
    """Await `job`, and log what goes wrong."""
    try:
        await job
    except TargetGone:
        pass
    except LivesoError as error:
        log.warning("failed", reason=str(error))
    except Exception as error:  # one target's trouble must not end the daemon
        log.error("internal-error", reason=f"{type(error).__name__}: {error}", exc_info=True)
