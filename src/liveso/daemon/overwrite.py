"""What is done while somebody waits to overwrite a library file in place: no target may have it mapped any more."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from liveso.apply import carry, mappings_of
from liveso.daemon.log import log
from liveso.daemon.state import ServedTarget
from liveso.errors import LivesoError, TargetError, TargetGone
from liveso.process import proc
from liveso.process.agent import AgentSilent
from liveso.process.agent_file import AGENT_NAMES
from liveso.process.memory_map import MappedFile
from liveso.store import Store
from liveso.watch import Lease, break_time

_MARGIN = 5.0  # seconds before the kernel lets the writer go on by itself
_NEWCOMERS = 1.0  # seconds that processes get to be served which have the file mapped, children of fork(2) above all
_LOOK_AGAIN = 0.02  # seconds
_AT_ONCE = 16  # targets

_AGENTS = tuple(f"/{name}\n" for name in AGENT_NAMES)
_THREADS = ThreadPoolExecutor(2, "overwrite")  # of its own: not behind verdicts, which take seconds

Complain = Callable[[ServedTarget, MappedFile, str], None]
"""Tells why a target could not be kept from what happens to the file."""


async def carry_targets(lease: Lease, targets: Mapping[int, ServedTarget], store: Store, complain: Complain) -> None:
    """Carry all targets that have the file mapped over to the store's copy; returns when the writer may go on.

    A process that is about to be a target is waited for.
    """
    loop, start = asyncio.get_running_loop(), time.monotonic()
    end = start + max(0.0, break_time() - _MARGIN)
    turn = asyncio.Semaphore(_AT_ONCE)
    done: dict[int, ServedTarget] = {}

    async def one(served: ServedTarget) -> None:
        async with turn:
            await _carry_one(served, lease, store, end, complain)

    while True:
        ready = [it for pid, it in targets.items() if done.get(pid) is not it and _has_mapped(it, lease.file)]
        await asyncio.gather(*(one(it) for it in ready))
        done.update((it.target.pid, it) for it in ready)
        known = {pid for pid, it in done.items() if targets.get(pid) is it}
        coming = await loop.run_in_executor(_THREADS, _is_one_coming, lease.file, known)
        if not coming or time.monotonic() > start + _NEWCOMERS:
            return
        if not ready:
            await asyncio.sleep(_LOOK_AGAIN)


def _has_mapped(served: ServedTarget, file: MappedFile) -> bool:
    try:
        return bool(mappings_of(served.target.pid, served.target.hello.thread, file))
    except LivesoError:
        return False


async def _carry_one(served: ServedTarget, lease: Lease, store: Store, end: float, complain: Complain) -> None:
    loop = asyncio.get_running_loop()
    async with _held_if_soon_free(served.learning):  # what is learned of it is true of the file before, or of the copy
        libraries = [it for it in served.libraries.values() if it.file == lease.file]
        version = next((it.state.home.version for it in libraries if it.state), lease.version)
        try:
            name = os.path.basename(lease.file.path)
            copy = await loop.run_in_executor(_THREADS, store.carried, version, name, lease.descriptor)
            carried = await carry(served.target, lease.file, copy, end)
        except LivesoError as error:
            if not isinstance(error, TargetGone) or isinstance(error, AgentSilent):
                complain(served, lease.file, str(error))
            return
        for it in libraries:
            it.file = carried.file
        log.info("carried", pid=served.target.pid, library=lease.file.path, held_ms=round(carried.held, 1))


@asynccontextmanager
async def _held_if_soon_free(lock: asyncio.Lock) -> AsyncIterator[None]:
    """Hold the lock, but do not wait for long: who holds it may wait for this very writer. What is learned wrong then
    is learned anew when the change of mappings is seen."""
    try:
        async with asyncio.timeout(_NEWCOMERS):
            await lock.acquire()
    except TimeoutError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _is_one_coming(file: MappedFile, known: set[int]) -> bool:
    """Whether another process with live.so has the file mapped."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in known:
            try:
                text = proc.read_text(int(name), "maps")
            except TargetError:
                continue
            if f" {file.device} {file.inode} " in text and any(it in text for it in _AGENTS):
                return True
    return False
