"""Some at a time: where a thousand targets want the same, the first of them is not to wait for the last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `most` have their turn at a time, in the order in which they asked. One that takes longer than `patience`
    seconds goes on, and another has its turn beside it: it may wait for a target that is stopped."""

    def __init__(self, most: int, patience: float) -> None:
        self._free = asyncio.Semaphore(most)
        self._patience = patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._free.acquire()
        ends = asyncio.get_running_loop().call_later(self._patience, self._free.release)
        try:
            yield
        finally:
            if ends.when() > asyncio.get_running_loop().time():
                ends.cancel()
                self._free.release()
