"""Load: requests over several connections at once, whose answers are checked."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_PER_CONNECTION = 25  # requests, then a new connection is made
_PAUSE = 0.002  # seconds between two requests of a connection, so that the machine is busy but not overrun


class Connection(Protocol):
    def request(self, number: int) -> str:
        """Make one request. What is wrong with its answer, or nothing. Raises OSError or ValueError."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A request: when it began and ended (seconds of the monotonic clock), and what was wrong, if anything."""

    begin: float
    end: float
    problem: str


class Load:
    """Requests from `count` threads until `stop`. `connect` makes the connection of a thread, by its number."""

    def __init__(self, connect: Callable[[int], Connection], count: int) -> None:
        self._samples: list[Sample] = []
        self._connect = connect
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(index,), daemon=True) for index in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def within(self, begin: float, end: float) -> list[Sample]:
        """The requests that were under way between two moments."""
        return [it for it in list(self._samples) if it.end >= begin and it.begin <= end]

    def failed(self) -> list[Sample]:
        return [it for it in list(self._samples) if it.problem]

    def _run(self, index: int) -> None:
        number = index * 1_000_000
        while not self._ended.is_set():
            connection: Connection | None = None
            begin = time.monotonic()
            try:
                connection = self._connect(index)
                for _ in range(_PER_CONNECTION):
                    number += 1
                    begin = time.monotonic()
                    problem = connection.request(number)
                    self._samples.append(Sample(begin, time.monotonic(), problem))
                    if self._ended.wait(_PAUSE):
                        break
            except (OSError, ValueError, EOFError) as error:
                self._samples.append(Sample(begin, time.monotonic(), f"{type(error).__name__}: {error}"))
                self._ended.wait(0.05)
            finally:
                if connection is not None:
                    connection.close()
