"""What is done while somebody waits to overwrite a library file in place: no target may have it mapped any more."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from liveso.daemon.log import log
from liveso.daemon.state import ServedTarget
from liveso.errors import LivesoError, TargetGone
from liveso.store import Store
from liveso.target.agent import AgentSilent
from liveso.target.process import MappedFile
from liveso.update import carry, mappings_of
from liveso.watch import Lease, break_time

_MARGIN = 5.0  # seconds before the kernel lets the writer go on by itself
_NEWCOMERS = 1.0  # seconds that processes get to be served which have the file mapped, children of fork(2) above all
_LOOK_AGAIN = 0.02  # seconds
_AT_ONCE = 16  # targets

Complain = Callable[[ServedTarget, MappedFile, str], None]
"""Tells why a target could not be kept from what happens to the file."""


async def carry_targets(lease: Lease, targets: Mapping[int, ServedTarget], store: Store, complain: Complain) -> None:
    """Carry all targets that have the file mapped over to the store's copy; returns when the writer may go on.

    A process that is about to be a target is waited for.
    """
    start = time.monotonic()
    end = start + max(0.0, break_time() - _MARGIN)
    turn = asyncio.Semaphore(_AT_ONCE)
    done: set[int] = set()

    async def one(served: ServedTarget) -> None:
        async with turn:
            await _carry_one(served, lease, store, end, complain)

    while True:
        ready = [it for pid, it in targets.items() if pid not in done and _has_mapped(it, lease.file)]
        await asyncio.gather(*(one(it) for it in ready))
        done |= {it.target.pid for it in ready}
        coming = await asyncio.to_thread(_coming_targets, lease.file, done)
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
    async with served.learning:  # what is learned of its libraries is true of the file before, or of the copy
        libraries = [it for it in served.libraries.values() if it.file == lease.file]
        version = next((it.state.home.version for it in libraries if it.state), lease.version)
        try:
            carried = await carry(served.target, lease.file, version, store, lease.descriptor, end)
        except LivesoError as error:
            if not isinstance(error, TargetGone) or isinstance(error, AgentSilent):
                complain(served, lease.file, str(error))
            return
        for it in libraries:
            it.file = carried.file
        log.info("carried", pid=served.target.pid, library=lease.file.path, held_ms=round(carried.held, 1))


def _coming_targets(file: MappedFile, known: set[int]) -> bool:
    """Whether another process with live.so has the file mapped."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in known:
            try:
                text = Path(f"/proc/{name}/maps").read_text(errors="replace")
            except OSError:
                continue
            if f" {file.device} {file.inode} " in text and "/live.so\n" in text:
                return True
    return False
