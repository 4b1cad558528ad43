"""Processes in which files are read and judged: what one does to its own memory or time, no other feels."""

import asyncio
import gc
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process, set_executable, util
from multiprocessing.connection import wait
from pathlib import Path
from typing import ParamSpec, TypeVar

from liveso.errors import ImageError

_TIME_LIMIT = 1800  # seconds for one piece of work; WebKit, the largest library of Debian's, takes 12 minutes
_MEMORY_LIMIT = 8 << 30  # bytes of address space
_ATTEMPTS = 2  # at work whose process ended: maybe because of other work that ran beside it
_NICENESS = 5  # the programs of this machine come first
_PRELOADED = "liveso.judging.analyst"
_EXPECTED = "ignore:resource_tracker:UserWarning"

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Workers:
    """A pool of processes. They end with the daemon, however that ends.

    The first ones are forked from the process that makes this, which has one thread then: they have loaded what they
    need, and close what was open. Later ones take a second to load it.
    """

    def __init__(self) -> None:
        self.count = max(2, os.cpu_count() or 2)
        self._pool = ProcessPoolExecutor(
            self.count, get_context("fork"), initializer=_leave_daemon, initargs=(_open_descriptors(),)
        )
        self._pool.submit(os.getpid)  # all are forked with the first piece of work

    def _start_again(self) -> ProcessPoolExecutor:
        if not os.access(sys.executable, os.X_OK):  # no path leads to the interpreter for this user
            set_executable("/proc/self/exe")
        context = get_context("forkserver")
        context.set_forkserver_preload([_PRELOADED])
        os.environ["PYTHONWARNINGS"] = _EXPECTED  # of the process that cleans up behind a daemon that ends at once
        return ProcessPoolExecutor(
            self.count, context, initializer=_limit_this_process, initargs=(util.get_temp_dir(),)
        )

    async def run(
        self, function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result:
        """What `function` returns, called in one of the processes. Raises what it raises, and ImageError where it takes
        too much time or ends its process."""
        for _attempt in range(_ATTEMPTS):
            pool = self._pool
            try:
                # starting a process takes time, which is not the event loop's
                future = await asyncio.to_thread(pool.submit, _within_limit, function, arguments, named)
                return await asyncio.wrap_future(future)
            except BrokenProcessPool:
                if pool is self._pool:
                    pool.shutdown(wait=False, cancel_futures=True)
                    self._pool = self._start_again()
        raise ImageError(f"it cannot be judged: that ended the process which did it, or took over {_TIME_LIMIT} s")


def _open_descriptors() -> list[int]:
    """Those of this process, without its standard streams."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them is there no more
            os.fstat(int(name))
            found.append(int(name))
    return [it for it in found if it > 2]


def _leave_daemon(open_before: list[int]) -> None:
    """What must be free when the daemon ends, as the claim to start one, would be held by this process."""
    for it in open_before:
        os.close(it)
    _limit_this_process("")


def _limit_this_process(folder: str) -> None:
    threading.Thread(target=_end_with_daemon, args=(folder,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, meant for the daemon
    Path("/proc/self/comm").write_text("liveso-judge")  # the first ones have the daemon's command line
    os.nice(_NICENESS)
    gc.freeze()  # what was loaded is never garbage
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(_MEMORY_LIMIT, hard) if hard >= 0 else _MEMORY_LIMIT, hard))


def _end_with_daemon(folder: str) -> None:
    """A daemon that was killed cannot remove the folder of its sockets, if it has one."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _within_limit(function: Callable[..., _Result], arguments: tuple[object, ...], named: dict[str, object]) -> _Result:
    """An alarm that nobody handles ends the process (alarm(2))."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_TIME_LIMIT)
    try:
        return function(*arguments, **named)
    finally:
        signal.alarm(0)
