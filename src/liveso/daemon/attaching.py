"""Processes that are visited: that somebody asked for, or that say so, and their children; also by the next daemon."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import liveso
from liveso.daemon.admission import Peer, process_to_visit
from liveso.daemon.log import log
from liveso.daemon.lookout import path_of_agent
from liveso.daemon.process_events import EventsLost, Kind, ProcessEvent, process_events
from liveso.daemon.reach import is_own, is_reached
from liveso.daemon.registry import Registry
from liveso.daemon.supervision import Supervisor
from liveso.errors import LivesoError, TargetError, TargetGone
from liveso.process import Visited, announcement, proc
from liveso.process.native import native_machine
from liveso.process.protocol import Mode
from liveso.process.view import root_for
from liveso.settings import Settings
from liveso.store import Store, Version

_LOOK_EVERY, _LOOK_SELDOM = 1.0, 8.0  # seconds, while processes are visited and while none is
_LOOK_WITH_EVENTS = 60.0  # seconds, where the kernel tells of new processes
_FIRST_LOOKS, _LOOK_CLOSELY_EVERY = 3, 64
_YOUNGEST = 0.1  # seconds: what is younger may be about to end, or to execute another program
_SETTLED = 1.0  # seconds: what nobody asked for begins with what lies on disk, and most of it ends soon
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds until a process that may not be visited is looked at again
_NAME = "live.so"


class Attaching:
    """Attaches processes to the daemon, and lets them go: those that are named, or `everything` that the settings
    allow. `notes` say why processes that are to be visited are not."""

    def __init__(
        self, settings: Settings, store: Store, supervisor: Supervisor, registry: Registry, *, everything: bool
    ) -> None:
        self._settings = settings
        self._everything = everything
        self._store = store
        self._supervisor = supervisor
        self._registry = registry
        registry.announced = self._announced
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._seen: dict[int, int] = {}
        self._is_told = False
        self._looks = 0
        self._to_look = asyncio.Event()
        self.notes: dict[int, str] = {}

    def _announced(self, peer: Peer) -> None:
        """A process begins to execute a program: what was known of it was true of the one before."""
        before = self._tasks.pop(peer.pid, None)
        if before:
            before.cancel()
        self._supervisor.start(self._take_up(peer))

    def versions(self) -> set[Version]:
        """The versions of live.so that are in the store for processes to open."""
        return {self._store.add(_installed())} if self._tasks or self._everything else set()

    async def attach(self, pids: Sequence[int]) -> dict[int, str]:
        """Attach processes; why each was not, or nothing."""
        return dict(zip(pids, await asyncio.gather(*(self._attach(it) for it in pids)), strict=True))

    async def _attach(self, pid: int) -> str:
        try:
            if pid in self._tasks:
                return ""
            if self._registry.connected[pid]:
                return f"process {pid} has live.so's thread, and is served already"
            reason = await self._begin(process_to_visit(pid), is_asked_for=True)
            if reason:
                process_to_visit(pid)  # what ends meanwhile fails in many ways, and is said to have ended
            return reason
        except LivesoError as error:
            return str(error)

    async def _begin(self, peer: Peer, *, is_asked_for: bool) -> str:
        """Visit a process from now on; why that cannot be, or nothing. One that nobody `is_asked_for` is left as it is
        until there is something to update."""
        machine = native_machine()
        if machine.calls and proc.shares_memory(peer.pid, proc.parent(peer.pid), machine.calls.kcmp):
            return f"process {peer.pid} is about to execute a program (vfork(2))"
        try:
            is_elsewhere = root_for(peer.pid, proc.living_thread(peer.pid), str(self._store.root))
        except TargetGone:
            raise
        except TargetError as error:
            return f"process {peer.pid}: {error}"
        unseen = str(self._store.root) if is_elsewhere else ""
        version = await asyncio.to_thread(self._store.add, _installed())
        path = await asyncio.to_thread(self._store.prepared, version, _NAME)
        if peer.pid in self._tasks:
            return ""
        met: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        socket = str(self._settings.socket)
        agent = Visited(peer.pid, machine, str(path), socket, meets_at_once=is_asked_for, unseen=unseen)
        task = self._supervisor.start(self._registry.visit(peer, agent, met))
        self._tasks[peer.pid] = task
        task.add_done_callback(lambda done: self._forget(peer.pid, done))
        return await met

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
        return ""

    async def look_around(self) -> None:
        """Find processes that are to be visited: children of those that are, what an earlier daemon attached, or
        everything."""
        while True:
            found = self._newcomers(is_thorough=self._looks % _LOOK_CLOSELY_EVERY == 0 or self._is_told)
            for peer in await asyncio.to_thread(list, found):
                self._supervisor.start(self._take_up(peer))
            self._looks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._to_look.wait(), self._pause())
            self._to_look.clear()

    def _pause(self) -> float:
        """Seconds until the next look: soon after the first ones, which may have found a process too young."""
        if self._looks < _FIRST_LOOKS:
            return _LOOK_EVERY
        if self._is_told:
            return _LOOK_WITH_EVENTS
        return _LOOK_EVERY if self._tasks else _LOOK_SELDOM

    def _look_now(self) -> None:
        self._looks = 0
        self._to_look.set()

    async def follow_events(self) -> None:
        """Hear of new processes, where the kernel tells this daemon; else they are looked for."""
        try:
            events = await process_events()
        except (OSError, TimeoutError) as error:
            log.debug("no-process-events", reason=str(error))
            await asyncio.Event().wait()
            return
        self._is_told = True
        self._look_now()
        try:
            while True:
                try:
                    async for event in events:
                        self._take_note(event)
                except EventsLost:
                    self._look_now()
        finally:
            self._is_told = False
            events.close()

    def _take_note(self, event: ProcessEvent) -> None:
        """A child of a process that is visited has what that has; another one is looked at when it executes a program
        and goes on for a while."""
        is_child = event.kind is Kind.FORK and event.other in self._tasks
        if is_child or (event.kind is Kind.EXEC and self._everything):
            age = _YOUNGEST if is_child else _SETTLED
            asyncio.get_running_loop().call_later(age, self._look_at, event.pid)

    def _look_at(self, pid: int) -> None:
        with suppress(OSError, LivesoError):
            self._seen[pid] = proc.start_time(pid)
            if self._is_new(pid):
                self._supervisor.start(self._take_up(process_to_visit(pid)))

    def _newcomers(self, *, is_thorough: bool) -> Iterator[Peer]:
        """Processes that were not looked at yet, and are to be visited. Only a thorough look sees that a number is that
        of another process by now."""
        known, now = self._seen, time.clock_gettime(time.CLOCK_BOOTTIME)
        self._seen = {}
        for name in os.listdir("/proc"):
            pid = int(name) if name.isdecimal() else 0
            if pid in known and not is_thorough:
                self._seen[pid] = known[pid]
            elif pid:
                with suppress(OSError, LivesoError):
                    started = proc.start_time(pid)
                    is_known = known.get(pid) == started
                    youngest = _SETTLED if self._everything else _YOUNGEST
                    if is_known or now - started / os.sysconf("SC_CLK_TCK") > youngest:
                        self._seen[pid] = started
                        if not is_known and self._is_new(pid):
                            yield process_to_visit(pid)

    def _is_new(self, pid: int) -> bool:
        return pid not in self._tasks and not self._registry.connected[pid] and self._is_ours(pid)

    def _is_ours(self, pid: int) -> bool:
        if path_of_agent(pid):
            return _is_to_be_visited(pid, str(self._settings.socket))
        return self._is_reached(pid)

    def _is_reached(self, pid: int) -> bool:
        """Whether nobody named it, but all are to be served."""
        return self._everything and is_own(pid) and is_reached(pid, self._settings)

    async def _take_up(self, peer: Peer) -> None:
        """Visit a process that is to be, once it has run for a moment; also later, where it may not be visited now."""
        pause = _YOUNGEST
        try:
            while True:
                await asyncio.sleep(pause)
                peer.user_now()
                is_served = peer.pid in self._tasks or self._registry.connected[peer.pid]
                is_reached = self._is_reached(peer.pid) and not path_of_agent(peer.pid)
                if is_served or not (is_reached or _is_to_be_visited(peer.pid)):
                    return
                note = await self._try(peer)
                if not note:
                    return
                if self.notes.get(peer.pid) != note:
                    (log.info if is_reached else log.warning)("not-served", pid=peer.pid, reason=note)
                self.notes[peer.pid] = note
                pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 2 * pause))
        except (OSError, LivesoError) as error:  # it has ended, or may not be looked at
            log.debug("not-taken-up", pid=peer.pid, reason=str(error))
        finally:
            self.notes.pop(peer.pid, None)

    async def _try(self, peer: Peer) -> str:
        try:
            return await self._begin(peer, is_asked_for=False)
        except TargetGone:
            raise
        except LivesoError as error:
            return str(error)


def _is_to_be_visited(pid: int, socket: str = "") -> bool:
    """Whether live.so says so there, for the daemon at `socket` if that is given."""
    said = announcement(pid)
    return said is not None and said.mode is Mode.VISITED and socket in ("", said.socket)


def _installed() -> Path:
    return Path(liveso.__path__[0], _NAME)
