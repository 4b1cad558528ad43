"""The targets that are served: they come, each is worked on by a task of its own, and they go."""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from liveso.apply import Target, function_of, lead_on, stale_threads
from liveso.daemon.admission import OwnProcess, Peer, peer_of, require_room
from liveso.daemon.learning import Learner
from liveso.daemon.log import log
from liveso.daemon.removed_files import replace_removed_files
from liveso.daemon.rollout import Rollouts
from liveso.daemon.state import Library, ServedTarget, StaleThread
from liveso.daemon.supervision import Supervisor
from liveso.daemon.turns import Turns
from liveso.errors import LivesoError, SettingsError, StoreError, TargetError, TargetGone
from liveso.process import Agent, ObjectsChanged, Resident, Visited, proc, rights
from liveso.process.belonging import container_of, services_and_scopes
from liveso.setting_values import loglevel
from liveso.settings import Settings, switch
from liveso.store import Store

_ANY_FILTERS = 1 << 30  # a visit sees for itself whether they stand in its way
_AT_A_TIME = 8  # targets that are worked on
_PATIENCE = 1.0  # seconds with a target before another is worked on, too
_LEAVE_LIMIT = 10.0  # seconds
_LOOK_EVERY = 1.0  # seconds
_LOOK_AT_QUIET_EVERY = 8  # looks, at a target whose memory did not change at the last ones
_QUIET_AFTER = 10  # looks
_FOLLOW_AFTER = 2.0, 20.0, 200.0  # seconds
_FOLLOW_AGAIN = 60.0  # seconds, while a thread is in old code
_LOOK_CLOSELY_EVERY = 256  # looks, for what was unloaded and loaded may be of one size


class _Announced(Exception):
    """A process says that it is there, and is to be visited."""


class Registry:
    """Serves connections, and processes that are visited: `announced` gets those that say so. `targets` is shared with
    those who ask which targets there are; `connected` counts the connections of each process, which may be no target
    yet."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        learner: Learner,
        rollouts: Rollouts,
        targets: dict[int, ServedTarget],
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._learner = learner
        self._rollouts = rollouts
        self.targets = targets
        self.announced: Callable[[Peer], None] = lambda _peer: None
        self.connected: Counter[int] = Counter()
        self._connections: Counter[int] = Counter()
        self.last_target = time.monotonic()
        self._snapshot = 0.0
        self._turns = Turns(_AT_A_TIME, _PATIENCE)

    def changed(self, paths: frozenset[str], snapshot: float) -> None:
        """Let all targets that use one of `paths` be brought up to date; `snapshot` as `Rollouts.bring` has it."""
        self._snapshot = snapshot
        for served in self.targets.values():
            if not paths.isdisjoint(served.libraries) or any(it.path in paths for it in served.fixed.values()):
                served.due.set()

    async def serve(self, connection: socket.socket) -> None:
        """Serve the agent that has connected, until it is gone."""
        try:
            peer = peer_of(connection)
            require_room(peer.user, self._connections)
        except OwnProcess:
            await self._send_away(Resident(connection, os.getpid()))
            return
        except TargetError as error:
            if not isinstance(error, TargetGone):
                log.warning("rejected", reason=str(error))
            connection.close()
            return
        self.connected[peer.pid] += 1
        self._connections[peer.user] += 1
        try:
            await self._serve_peer(peer, Resident(connection, peer.pid))
        finally:
            self.connected[peer.pid] -= 1
            if not self.connected[peer.pid]:
                del self.connected[peer.pid]
            self._connections[peer.user] -= 1
            self.last_target = time.monotonic()

    async def visit(self, peer: Peer, agent: Visited, met: asyncio.Future[str]) -> None:
        """Serve a process that is visited, until it has ended or nobody wants it to be any more. `met` gets why it
        cannot be, or nothing once it is."""
        require_room(peer.user, self._connections)
        self._connections[peer.user] += 1
        try:
            await self._serve_peer(peer, agent, met)
        finally:
            self._connections[peer.user] -= 1
            self.last_target = time.monotonic()
            if not met.done():
                met.set_result(f"process {peer.pid} has ended")

    async def _send_away(self, agent: Agent) -> None:
        """Let the agent's thread end: it would keep a daemon that ends with its last target."""
        receiving = asyncio.create_task(agent.receive_until_gone())
        try:
            await agent.leave()
            await asyncio.wait({receiving}, timeout=_LEAVE_LIMIT)
        finally:
            receiving.cancel()
            agent.disconnect()

    async def _serve_peer(self, peer: Peer, agent: Agent, met: asyncio.Future[str] | None = None) -> None:
        receiving = asyncio.create_task(agent.receive_until_gone())
        working: asyncio.Task[None] | None = None
        served: ServedTarget | None = None
        try:
            served = await self._welcome(peer, agent)
            self.targets[peer.pid] = served
            log.info("target", pid=peer.pid, command=served.command)
            await self._learner.meet(served)
            if met:
                met.set_result("")
            served.due.set()
            working = asyncio.create_task(self._work(served))
            await asyncio.wait({receiving, working}, return_when=asyncio.FIRST_COMPLETED)
        except _Announced:
            self.announced(peer)
        except TargetGone:
            pass
        except LivesoError as error:
            log.warning("not-served", pid=peer.pid, reason=str(error))
            if met and not met.done():
                met.set_result(str(error))
            elif served:
                served.note = str(error)
                await receiving
        finally:
            for task in (receiving, working):
                if task:
                    task.cancel()
            agent.disconnect()
            if served and self.targets.get(peer.pid) is served:
                del self.targets[peer.pid]
                log.info("gone", pid=peer.pid)
                self._learner.may_be_unused = True

    async def _welcome(self, peer: Peer, agent: Agent) -> ServedTarget:
        hello = await agent.greet()
        user = peer.user_now()
        is_visited = isinstance(agent, Visited)
        if not hello.thread:
            raise _Announced
        if not is_visited and (not proc.has_thread(peer.pid, hello.thread) or hello.thread == peer.pid):
            raise TargetError(f"process {peer.pid} has no such thread of live.so")
        filters = _ANY_FILTERS if is_visited else proc.system_call_filters(peer.pid, hello.thread)
        target = Target(peer.pid, user, agent, hello, agent.machine, filters)
        try:
            level = loglevel(hello.settings.get("LIVE_LOGLEVEL") or self._settings.loglevel)
            is_atomic = switch(hello.settings.get("LIVE_SWITCH") or self._settings.switch) == "atomic"
        except SettingsError as error:
            raise TargetError(str(error)) from error
        command = proc.command(peer.pid, hello.thread)
        container, units = container_of(peer.pid), services_and_scopes(peer.pid)
        return ServedTarget(peer, target, command, level, is_visited, is_atomic, container, units)

    async def _work(self, served: ServedTarget) -> None:
        """Do for one target what is due, one thing after another; a slow one holds up nobody else."""
        while True:
            await served.due.wait()
            served.due.clear()
            try:
                served.target.user = served.peer.user_now()
                served.find_thread()
                before = served.target.libraries
                async with self._turns.turn():
                    if served.is_to_learn:
                        served.is_to_learn = False
                        await self._learner.learn(served)
                    await self._rollouts.bring(served, self._snapshot)
                    await self._follow(served, is_changed=served.target.libraries is not before)
            except TargetGone as error:
                log.info("silent", pid=served.target.pid, reason=str(error))
                return
            except LivesoError as error:
                log.warning("failed", pid=served.target.pid, reason=str(error))
            except Exception as error:
                log.error(
                    "internal-error", pid=served.target.pid, reason=f"{type(error).__name__}: {error}", exc_info=True
                )
            served.memory = (0, 0)  # a version that was opened may be as large as a library that went meanwhile

    async def _follow(self, served: ServedTarget, *, is_changed: bool) -> None:
        """After a change, at once and some times later: lead on what was bound since, and see who is in old code
        still, as long as somebody is."""
        now = time.monotonic()
        is_due = any(at <= now for at in served.follow_at)
        served.follow_at = [at for at in served.follow_at if at > now]
        if is_due:
            with suppress(ObjectsChanged):  # it is only slower
                await lead_on(served.target)
        if is_changed:
            served.follow_at = [now + it for it in _FOLLOW_AFTER]
        if is_due or is_changed:
            are_in_old_code = [await self._see_who_is_inside(served, it) for it in served.libraries.values()]
            if any(are_in_old_code) and not served.follow_at:
                served.follow_at = [now + _FOLLOW_AGAIN]
        if is_due:
            await replace_removed_files(served, self._store)

    async def _see_who_is_inside(self, served: ServedTarget, library: Library) -> bool:
        """Whether a thread is in a version that does not run any more, as is noted."""
        if library.state is None or len(library.state.versions) < 2 or served.target.agent.is_translated:
            return False  # where an emulator has got to in the code, its own registers do not tell
        since = {it.thread: it.since for it in library.inside}
        with suppress(TargetError, StoreError):  # TargetGone is found out elsewhere
            library.inside = tuple(
                [
                    StaleThread(
                        it.thread,
                        it.name,
                        await asyncio.to_thread(function_of, it, library.state, self._store),
                        since.get(it.thread, time.time()),
                    )
                    for it in await stale_threads(served.target, library.state)
                ]
            )
        return bool(library.inside)

    async def look_around(self) -> None:
        """Look, without waking them, for targets that have loaded or unloaded libraries, and for processes that only
        their agent keeps alive."""
        looks = 0
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            looks += 1
            self._learner.forget_unused()
            for served in list(self.targets.values()):
                turn = looks + served.pid
                if served.follow_at and served.follow_at[0] <= time.monotonic():
                    served.due.set()
                try:
                    if served.looks_alike < _QUIET_AFTER or turn % _LOOK_AT_QUIET_EVERY == 0:
                        await self._look_at(served, closely=turn % _LOOK_CLOSELY_EVERY == 0)
                except TargetError:
                    continue

    async def _look_at(self, served: ServedTarget, *, closely: bool) -> None:
        served.find_thread()
        pid, agents_thread = served.pid, served.target.hello.thread
        memory = proc.memory_use(pid, pid)
        if not any(memory):
            threads = proc.threads(pid)
            if threads.leader_ended and threads.count == 2:
                await served.target.agent.leave()
            memory = proc.memory_use(pid, agents_thread)
        elif not served.is_visited and rights.differ(pid, pid, agents_thread):
            served.learn_again()  # at the next request its agent sees that, and leaves
        if served.mapped is None or (memory == served.memory and not closely):
            served.looks_alike += 1
            return
        if memory != served.memory:
            served.memory, served.looks_alike = memory, 0
        if served.mapped != served.mapped_now(self._store.beginnings):
            served.learn_again()
