"""The daemon's rooms, put together."""

import asyncio
import errno
import os
import resource
import select
import socket

from liveso.daemon import audit
from liveso.daemon.allowing import Allowing
from liveso.daemon.attaching import Attaching
from liveso.daemon.caution import Caution
from liveso.daemon.crashes import Crashes
from liveso.daemon.disk import Disk
from liveso.daemon.events import Events
from liveso.daemon.learning import Learner
from liveso.daemon.lookout import Lookout
from liveso.daemon.metrics import Metrics
from liveso.daemon.notifying import Notifier
from liveso.daemon.package_locks import PackageLocks
from liveso.daemon.packages import Packages
from liveso.daemon.permissions import Permissions
from liveso.daemon.pins import Pins
from liveso.daemon.prospect import Prospects
from liveso.daemon.protection import Protection
from liveso.daemon.provenances import Provenances
from liveso.daemon.registry import Registry
from liveso.daemon.results import Results
from liveso.daemon.rolling_back import RollingBack
from liveso.daemon.rollout import Rollouts
from liveso.daemon.state import NotServed, ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.daemon.unpacking import Unpacking
from liveso.daemon.wanted import WantedVersions
from liveso.errors import StoreError
from liveso.history import Bounds, History, Kind
from liveso.judging import Analyst, Workers
from liveso.settings import Settings
from liveso.store import Store
from liveso.verdict import Policy

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_WITHOUT_ROOM = 1.0  # seconds
_DESCRIPTORS_FOR_OTHERS = 128  # the command's connections, watches, leases, sheets
# seconds: programs that a shell starts by the hundred are not slowed down by a daemon that looks at each
_GATHERED = 0.02
_LAST_WRITE = 2.0  # seconds
_PRUNE_EVERY = 600.0  # seconds
_PROTECT_EVERY = 1.0  # seconds


class Service:
    """Everything that one daemon knows and does. Runs in one event loop; computing goes to threads and processes."""

    def __init__(self, settings: Settings, workers: Workers, supervisor: Supervisor, *, everything: bool) -> None:
        self._socket = settings.socket
        self._lookout = Lookout()
        self._supervisor = supervisor
        self._store = Store(settings.store)
        targets: dict[int, ServedTarget] = {}
        self.metrics = Metrics(targets)
        bounds = Bounds(settings.history_days, settings.history_size << 20)
        loop = asyncio.get_running_loop()  # the history is written by a thread of its own
        self.history = History(
            settings.history, bounds, lambda problem: loop.call_soon_threadsafe(supervisor.tell, "history", problem)
        )
        notifier = Notifier(settings, supervisor)
        readers = (self.history.keep, self.metrics.note, notifier.note, audit.note)
        self.events = Events(self._store, readers)
        results = Results(supervisor, self._store, self.events)
        analyst = Analyst(self._store, Policy(settings.policy), workers)
        locks = PackageLocks(settings.package_locks)
        self._provenances = Provenances(self._store, locks)
        self._disk = Disk(self._store, settings, supervisor, locks, self._provenances, self._changed)
        self._pins = Pins(self._store.root)
        self._wanted = WantedVersions(self._disk, self._pins)
        self.protection = Protection(settings, self._store, supervisor, results, targets)
        learner = Learner(settings, self._store, self._disk, self.protection, results, targets)
        permissions = Permissions(self._store.root)
        self._allowing = Allowing(self._store, permissions, self.events)
        caution = Caution(settings.canary, Crashes(self._store.root), self.events, supervisor, targets)
        prospects = Prospects(self._store, analyst, self._disk, self._wanted)
        self.packages = Packages(self._disk, self._provenances, targets)
        self.unpacking = Unpacking(
            self._store, self._disk, locks, self._wanted, analyst, self.packages, supervisor, targets
        )
        rollouts = Rollouts(self._store, self._disk, self._wanted, prospects, permissions, caution, learner, results)
        self.registry = Registry(settings, self._store, supervisor, learner, rollouts, targets)
        self.attaching = Attaching(settings, self._store, supervisor, self.registry, everything=everything)
        self.rolling_back = RollingBack(
            self._store, self._disk, self._wanted, self._pins, caution, self.events, supervisor, targets
        )

    def start(self, agents: socket.socket) -> None:
        """Start all that a daemon does by itself; agents connect to the socket `agents`."""
        self.history.start()
        self.events.of_daemon(Kind.STARTED)
        self._disk.run()
        self._supervisor.vital("accept", lambda: self._accept(agents))
        self._supervisor.vital("look around", self.registry.look_around)
        self._supervisor.vital("look for processes", self.attaching.look_around)
        self._supervisor.vital("process events", self.attaching.follow_events)
        self._supervisor.vital("protect", self._protect_again)
        self._supervisor.vital("packages", self._provenances.run)
        self._supervisor.vital("prune", self._keep_store)

    def end(self) -> None:
        """What happened until now is written."""
        self.events.of_daemon(Kind.STOPPED)
        self.history.close(_LAST_WRITE)

    def _changed(self, paths: frozenset[str], snapshot: float) -> None:
        self._wanted.disk_changed(paths)
        self.registry.changed(paths, snapshot)

    async def _accept(self, listener: socket.socket) -> None:
        """Take connections, as long as there are descriptors for them and for the daemon's other work."""
        loop = asyncio.get_running_loop()
        while True:
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _DESCRIPTORS_FOR_OTHERS
            reason = f"{most} programs are served, and its limit of open files is too low for more"
            connection: socket.socket | None = None
            if self.registry.connected.total() < most:
                try:
                    connection, _address = await loop.sock_accept(listener)
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    reason = f"no more programs can be served ({os.strerror(error.errno or 0)})"
            self._supervisor.tell("room", "" if connection else f"{reason}: raise the daemon's limit of open files")
            if connection:
                connection.setblocking(False)
                self._supervisor.start(self.registry.serve(connection))
                # many may wait: each is counted, and the daemon's other work goes on
                await asyncio.sleep(0 if _waits(listener) else _GATHERED)
            else:
                await asyncio.sleep(_PAUSE_WITHOUT_ROOM)

    async def _protect_again(self) -> None:
        while True:
            await asyncio.sleep(_PROTECT_EVERY)
            for served in list(self.registry.targets.values()):
                self.protection.protect_again(served.libraries.values())

    async def _keep_store(self) -> None:
        """Keep the store from growing for ever. The first time comes when the targets of an earlier daemon are back."""
        while True:
            await asyncio.sleep(_PRUNE_EVERY)
            states = [
                it.state for served in self.registry.targets.values() for it in served.libraries.values() if it.state
            ]
            used = {loaded.version for it in states for loaded in it.versions} | self._pins.versions()
            try:
                used |= await asyncio.to_thread(self.attaching.versions)
                await asyncio.to_thread(self._store.prune, used)
                self._supervisor.tell("store", "")
            except StoreError as error:
                self._supervisor.tell("store", str(error))

    @property
    def problems(self) -> list[str]:
        """What a person should know of the daemon itself."""
        return [*self._supervisor.problems, *self._disk.problems()]

    async def allow(self, library: str, version: str, by: str) -> dict[str, object]:
        """As `Allowing.allow`, in all targets."""
        return await self._allowing.allow(list(self.registry.targets.values()), library, version, by)

    async def not_served(self) -> list[NotServed]:
        """The processes that have live.so, and should have connected."""
        connected = frozenset(self.registry.connected) | frozenset(self.registry.targets)
        notes = dict(self.attaching.notes)
        return await asyncio.to_thread(
            lambda: list(self._lookout.not_served(self._socket, str(self._store.root), connected, notes))
        )


def _waits(listener: socket.socket) -> bool:
    """Whether somebody has connected who was not met yet."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
