"""Puts off what changed until it has settled: libraries that come together are taken together."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

_LONGEST = 2.0  # seconds that a path waits for others
_LOOK_AGAIN = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Until when a path waits, by time.monotonic(), since when, and whether others wait with it."""

    until: float
    since: float
    holds_others: bool


class Settling:
    """Paths that wait. `must_wait` tells that no path can be taken yet, whatever its time."""

    def __init__(self, must_wait: Callable[[], bool]) -> None:
        self._must_wait = must_wait
        self._waiting: dict[str, _Waiting] = {}
        self._more = asyncio.Event()

    def put(self, path: str, delay: float, *, holds_others: bool = True) -> None:
        """Let `path` wait for `delay` seconds, and begin anew if it does already."""
        now = time.monotonic()
        before = self._waiting.get(path)
        self._waiting[path] = _Waiting(now + delay, before.since if before else now, holds_others)
        self._more.set()

    def is_waiting(self, path: str) -> bool:
        return path in self._waiting

    async def batches(self) -> AsyncIterator[frozenset[str]]:
        """The paths that have settled, together with those that changed at about the same time."""
        while True:
            self._more.clear()
            now = time.monotonic()
            ready = frozenset(path for path, it in self._waiting.items() if it.until <= now)
            others = [it for it in self._waiting.values() if it.until > now and it.holds_others]
            is_late = any(now - self._waiting[path].since > _LONGEST for path in ready)
            if ready and (is_late or not others):
                if self._must_wait():
                    await asyncio.sleep(_LOOK_AGAIN)
                    continue
                for path in ready:
                    del self._waiting[path]
                yield ready
                continue
            next_one = min((it.until - now for it in self._waiting.values() if it.until > now), default=None)
            try:
                async with asyncio.timeout(next_one):
                    await self._more.wait()
            except TimeoutError:
                continue
