"""What browsers are told: the daemon is asked about once a second while somebody looks, and only changes are sent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from liveso.client.answer import Status
from liveso.errors import LivesoError
from liveso.page.view import difference, view

Json = dict[str, Any]
_PAUSE = 1.0  # seconds
_SHARE = 10  # of the time that an answer takes, for which nothing is asked
_ALIVE = 15.0  # seconds after which a browser that has gone is noticed


class Feed:
    """Events for browsers, as JSON. Both are called in a thread: `ask`, which may raise LivesoError, and `read_past`,
    which gives the newest entries of the time line."""

    def __init__(self, ask: Callable[[], Status], read_past: Callable[[], list[Json]]) -> None:
        self._ask = ask
        self._read_past = read_past
        self._looking = 0
        self._state: Json = {}
        self._number = 0
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    async def events(self) -> AsyncIterator[str]:
        """What one browser is told (HTML, "Server-sent events"), from all that is known to each change."""
        self._looking += 1
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        try:
            shown: Json = {}
            seen = -1
            while not self._is_over:
                if seen == self._number or not self._state:
                    if not await self._wait_for_change(seen):
                        yield ": alive\n\n"
                    continue
                seen, state = self._number, self._state
                if told := told_of(state, shown):
                    yield f"data: {json.dumps(told)}\n\n"
                shown = state
        finally:
            self._looking -= 1
            if not self._looking and self._task:
                self._task.cancel()
                self._task = None
                self._state = {}  # it is old when the next one looks

    async def _wait_for_change(self, seen: int) -> bool:
        async with self._changed:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: self._is_over or (self._number != seen and self._state)), _ALIVE
                )
                return True
        return False

    async def _look(self) -> None:
        while True:
            start = time.monotonic()
            await self._put(await asyncio.to_thread(self._seen))
            took = time.monotonic() - start
            await asyncio.sleep(max(_PAUSE - took, took * _SHARE if took > _PAUSE / _SHARE else 0))

    def _seen(self) -> Json:
        past = self._read_past()  # it is there without a daemon, too
        try:
            return {"view": view(self._ask()), "error": "", "past": past}
        except LivesoError as error:
            return {"view": None, "error": str(error), "past": past}
        except Exception as error:  # an answer of another liveso's daemon: it may be replaced by one that is understood
            kind = type(error).__name__
            return {"view": None, "error": f"what the daemon answers cannot be shown ({kind}: {error})", "past": past}

    async def _put(self, state: Json) -> None:
        if state != self._state:
            async with self._changed:
                self._state, self._number = state, self._number + 1
                self._changed.notify_all()

    async def end(self) -> None:
        """Let all browsers go: the page ends."""
        self._is_over = True
        async with self._changed:
            self._changed.notify_all()


def told_of(state: Json, shown: Json) -> Json:
    """What a browser that shows one state is told to show the next; `shown` is empty where it shows nothing."""
    told: Json = {}
    if state["error"]:
        if state["error"] != shown.get("error"):
            told["error"] = state["error"]
    else:
        told = difference(shown.get("view"), state["view"])
    before = {it["number"]: it for it in shown.get("past", ())}
    if past := [it for it in state["past"] if before.get(it["number"]) != it]:
        told["past"] = past
    return told
