"""Processes that are visited: that somebody asked for, and their children, also by the next daemon."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import liveso
from liveso.daemon.admission import Peer, process_to_visit
from liveso.daemon.log import log
from liveso.daemon.registry import Registry
from liveso.daemon.supervision import Supervisor
from liveso.errors import LivesoError, TargetError
from liveso.machine import X86_64
from liveso.process import LiveFile, Visited, proc, why_not_safe
from liveso.store import Store, Version

_LOOK_EVERY = 1.0  # seconds
_YOUNGEST = 0.1  # seconds: what is younger may be about to execute another program
_NAME = "live.so"


class Attaching:
    """Attaches processes to the daemon, and lets them go."""

    def __init__(self, store: Store, supervisor: Supervisor, registry: Registry) -> None:
        self._store = store
        self._supervisor = supervisor
        self._registry = registry
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._seen: dict[int, int] = {}

    def versions(self) -> set[Version]:
        """The versions of live.so that processes may have."""
        return {self._store.add(_installed())} if self._tasks else set()

    async def attach(self, pids: Sequence[int]) -> dict[int, str]:
        """Attach processes; why each was not, or nothing."""
        return dict(zip(pids, await asyncio.gather(*(self._attach(it) for it in pids)), strict=True))

    async def _attach(self, pid: int) -> str:
        try:
            if pid in self._registry.targets or self._registry.connected[pid]:
                return "" if pid in self._tasks else f"process {pid} has live.so, and is served already"
            peer = process_to_visit(pid)
            file = await asyncio.to_thread(self._file_for, pid)
            return await self._begin(peer, file)
        except LivesoError as error:
            return str(error)

    async def _begin(self, peer: Peer, file: LiveFile) -> str:
        met: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        agent = Visited(peer.pid, X86_64, file, why_not_safe)
        task = self._supervisor.start(self._registry.visit(peer, agent, met))
        self._tasks[peer.pid] = task
        task.add_done_callback(lambda done: self._forget(peer.pid, done))
        note = await met
        if not note:
            log.info("attached", pid=peer.pid)
        return note

    def _forget(self, pid: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(pid) is task:
            del self._tasks[pid]

    async def detach(self, pids: Sequence[int]) -> dict[int, str]:
        """Let processes go, which keep what they were updated to; why each was not, or nothing."""
        return {pid: await self._detach(pid) for pid in pids}

    async def _detach(self, pid: int) -> str:
        served, task = self._registry.targets.get(pid), self._tasks.get(pid)
        if task is None or served is None:
            return f"process {pid} is not attached"
        try:
            async with served.target.turn:
                await served.target.agent.leave()
        except LivesoError as error:
            return str(error)
        self._seen[pid] = served.peer.started
        task.cancel()
        log.info("detached", pid=pid)
        return ""

    async def look_around(self) -> None:
        """Find the children of processes that are attached, and what an earlier daemon attached."""
        while True:
            for pid in await asyncio.to_thread(lambda: list(self._newcomers())):
                self._supervisor.start(self._take_up(pid))
            await asyncio.sleep(_LOOK_EVERY)

    def _newcomers(self) -> Iterator[int]:
        """Processes that were not looked at yet, and have live.so without having been given it by LD_PRELOAD."""
        known, now = self._seen, time.clock_gettime(time.CLOCK_BOOTTIME)
        self._seen = {}
        for name in os.listdir("/proc"):
            if not name.isdecimal():
                continue
            pid = int(name)
            try:
                started = proc.start_time(pid)
                if known.get(pid) == started:
                    self._seen[pid] = started
                elif now - started / os.sysconf("SC_CLK_TCK") > _YOUNGEST:
                    self._seen[pid] = started
                    if pid not in self._tasks and _path_in(pid, f"{self._store.root}/"):
                        yield pid
            except LivesoError:
                continue

    async def _take_up(self, pid: int) -> None:
        try:
            peer = process_to_visit(pid)
            file = await asyncio.to_thread(self._file_for, pid)
            agent = Visited(pid, X86_64, file, why_not_safe)
            if await agent.was_left():
                agent.disconnect()
                return
            agent.disconnect()
            note = await self._begin(peer, file)
        except LivesoError as error:
            note = str(error)
        if note:
            log.warning("not-served", pid=pid, reason=note)

    def _file_for(self, pid: int) -> LiveFile:
        """The live.so that the process has, or the one of this installation."""
        path = _path_in(pid, f"{self._store.root}/")
        version = self._store.version_of(path) if path else self._store.add(_installed())
        if version is None:
            raise TargetError(f"{path} is not in the store any more; restart the program")
        return LiveFile.of(path or str(self._store.prepared(version, _NAME)), self._store.image(version))


def _installed() -> Path:
    return Path(liveso.__path__[0], _NAME)


def _path_in(pid: int, folder: str) -> str:
    """Where a process has live.so from, if it is from below a folder."""
    ending = f"/{_NAME}"
    try:
        with Path(f"/proc/{pid}/maps").open(errors="surrogateescape") as file:
            for line in file:
                path = line.rstrip("\n").partition("/")
                if line.endswith(f"{ending}\n") and f"/{path[2]}".startswith(folder):
                    return f"/{path[2]}"
    except OSError:
        pass
    return ""
