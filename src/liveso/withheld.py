"""What may not come for a long time, or never: a file on a server that does not answer, or in a file system of a
process's own (fuse(4)), and memory that is mapped from one. Whoever asks for it waits in the kernel, until it comes or
he is killed. So nobody does it but threads that may be left behind."""

import asyncio
import errno
import os
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Any, TypeVar

_PATIENCE, _LEAST_PATIENCE = 1.0, 0.05  # seconds: less, the more is waited for
_LESS = 4
_MOST_WAITING = 512
_LONGEST_ASIDE = 10.0  # seconds
LOOK_AGAIN = 5.0
"""Seconds until who was not answered asks again."""

_T = TypeVar("_T")


class NoAnswer(TimeoutError):
    """Something did not come in time. It may do so later."""


def no_answer(of: object) -> NoAnswer:
    return NoAnswer(errno.ETIMEDOUT, "its file system does not answer", str(of))


class _Reader(Thread):
    """Does one act after another; no process waits at its end for one that waits itself. Where it `asks_itself`, the
    questions of its act are asked by no other reader."""

    def __init__(self) -> None:
        super().__init__(name="reader", daemon=True)
        self._acts: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._turn = Lock()
        self.asks_itself = False
        self._asks_since: float | None = None
        self._is_left = False
        self.start()

    def ask(self, of: Hashable, question: Callable[[], _T]) -> _T:
        """One of the questions of its act. Raises NoAnswer where nobody waits for that any more."""
        with self._turn:
            if self._is_left:
                raise no_answer(of)
            self._asks_since = monotonic()
        try:
            return question()
        finally:
            with self._turn:
                self._asks_since = None

    def leave(self, patience: float) -> bool:
        """Let its act ask nothing more, if one question took longer than `patience` seconds; whether that is so."""
        with self._turn:
            since = self._asks_since
            self._is_left = since is not None and monotonic() - since >= patience
            return self._is_left

    def begin(self, act: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()
        self._acts.put((act, future))
        return future

    def run(self) -> None:
        while True:
            act, future = self._acts.get()
            try:
                future.set_result(act())
            except BaseException as error:
                future.set_exception(error)
            self._is_left = False
            _idle.append(self)
            del act, future  # what they hold may be large


_idle: list[_Reader] = []
_waiting: dict[Hashable, Future[Any]] = {}
os.register_at_fork(after_in_child=_idle.clear)  # a child has none of these threads


def in_time(of: Hashable, act: Callable[[], _T], discard: Callable[[_T], object] | None = None) -> _T:
    """What `act` returns, which asks for something `of` a process, by its number, or of a file, by its path. Raises
    NoAnswer where it takes longer than a moment, and from then on until it is over, and what `act` raises. `discard` is
    given what comes later."""
    reader = current_thread()
    if isinstance(reader, _Reader) and reader.asks_itself:
        return reader.ask(of, act)
    _reader, future = _begin(of, act)
    try:
        return future.result(_patience())
    except TimeoutError:
        if future.done():
            return future.result()  # it came at this moment, or that was its own error
        if discard:
            future.add_done_callback(lambda done: None if done.exception() else discard(done.result()))
        _waiting[of] = future
    raise no_answer(of)


def in_one_go(of: Hashable, act: Callable[[], _T]) -> _T:
    """As `in_time` for what asks many times, by `in_time`, and computes meanwhile, which may take as long as it likes:
    another thread takes over once, and not for each question. Nothing that is left in the middle asks any more."""
    patience = _patience()
    reader, future = _begin(of, act, asks_itself=True)
    while True:
        try:
            return future.result(patience)
        except TimeoutError:
            if future.done():
                return future.result()
            if reader.leave(patience):
                _waiting[of] = future
                raise no_answer(of) from None


def _patience() -> float:
    return max(_PATIENCE / float(_LESS ** len(_waiting)), _LEAST_PATIENCE)


async def aside(of: Hashable, act: Callable[[], _T], limit: float = _LONGEST_ASIDE) -> _T:
    """As `in_time` for what may take long, such as reading a large file, up to `limit` seconds: nothing else waits for
    it meanwhile."""
    _reader, future = _begin(of, act)
    await asyncio.wait({waiting := asyncio.wrap_future(future)}, timeout=limit)
    if waiting.done():
        return waiting.result()
    waiting.cancel()  # so that nobody is told of an error that comes later
    _waiting[of] = future
    raise no_answer(of)


def _begin(of: Hashable, act: Callable[[], _T], *, asks_itself: bool = False) -> tuple[_Reader, Future[_T]]:
    for one in [one for one, future in list(_waiting.items()) if future.done()]:
        _waiting.pop(one, None)
    if of in _waiting or len(_waiting) >= _MOST_WAITING:
        raise no_answer(of)
    reader = _a_reader()
    reader.asks_itself = asks_itself
    return reader, reader.begin(act)


def _a_reader() -> _Reader:
    with suppress(IndexError):
        return _idle.pop()
    return _Reader()
