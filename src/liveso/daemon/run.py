"""The life of a daemon: one for a user, from its sockets to its end."""

import asyncio
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from liveso.daemon.api import make_metrics_server, make_server
from liveso.daemon.limits import shed_inherited_limits
from liveso.daemon.log import log, start_log
from liveso.daemon.registry import Registry
from liveso.daemon.service import Service
from liveso.daemon.service_manager import Manager
from liveso.daemon.supervision import Supervisor
from liveso.errors import DaemonFailed, DaemonRunning, StoreError, UnsafePath
from liveso.folders import Folder, open_folder
from liveso.judging import Workers
from liveso.process.holding import start_holder, wait_for_holder
from liveso.settings import SOCKET_CURE, Settings

_BACKLOG = 1024
_LONGEST_END, _LOOK_EVERY = 10.0, 0.05  # seconds, for a daemon that is replaced


def run_daemon(settings: Settings, on_demand: bool, everything: bool = False, replaces: bool = False) -> None:
    """Serve until a signal comes or, on demand, until no target has been there for a while; `everything` that this user
    may, or what asks for it and is attached. One that `replaces` another ends that first.

    Raises DaemonRunning where another daemon serves this user, StoreError where a folder cannot be used, or could be
    changed by other users.
    """
    with _runtime_folder(settings.socket.parent) as folder:
        shed_inherited_limits()
        os.environ["LIVE_DISABLE"] = "1"  # for what it starts: the daemon's own processes are none of its targets
        workers = Workers()
        with _only_daemon(folder, settings.lock.name, replaces):
            if on_demand:
                with _told(settings.log):
                    start_log(folder, settings.log.name)
            else:
                start_log()
            asyncio.run(_serve(settings, workers, folder, on_demand, everything))


def _runtime_folder(path: Path) -> Folder:
    with _told(path):
        return open_folder(path, SOCKET_CURE, make=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make of an OSError the sentence that the user is told."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: the runtime folder cannot be used: {os.strerror(error.errno or 0)}") from error


@contextmanager
def _only_daemon(folder: Folder, name: str, replaces: bool) -> Iterator[None]:
    """Hold the lock that only one daemon of a user can hold; the kernel lets go of it when the daemon dies."""
    with _told(folder.path / name):
        descriptor = folder.open_own(name, os.O_RDWR)
    try:
        _take_lock(descriptor, replaces)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _take_lock(descriptor: int, replaces: bool) -> None:
    """Raises DaemonRunning where another daemon has it and, if this one `replaces` it, does not end when it is told."""
    told, latest = 0, time.monotonic() + _LONGEST_END
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder = _holder_of(descriptor)
        if not replaces or time.monotonic() > latest:
            raise DaemonRunning(f"a daemon runs already (pid {holder or 'unknown'}); there is one for each user")
        if holder and holder != told:
            with suppress(ProcessLookupError):
                os.kill(holder, signal.SIGTERM)
            told = holder
        time.sleep(_LOOK_EVERY)


def _holder_of(descriptor: int) -> int:
    """Who has taken the lock, which the kernel tells: what the file says may be of a daemon that has ended. 0 where it
    is in another namespace of processes, or the lock is free by now."""
    info = os.fstat(descriptor)
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()  # "1: FLOCK ADVISORY WRITE 812 00:19:731 0 EOF"
        # the device may be another one than stat(2) says (overlay file systems), so that other files look alike
        if words[1] == "FLOCK" and words[5].endswith(f":{info.st_ino}") and _has_open(words[4], info):
            return int(words[4])
    return 0


def _has_open(pid: str, info: os.stat_result) -> bool:
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), info):
                    return True
    return False


def _listen(folder: Folder, path: Path, kind: int, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        folder.remove_socket(path.name)
        listener.bind(str(path))
        os.chmod(path.name, mode, dir_fd=folder.descriptor)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StoreError(f"{path}: cannot listen there: {os.strerror(error.errno or 0)}") from error
    return listener


async def _serve(settings: Settings, workers: Workers, folder: Folder, on_demand: bool, everything: bool) -> None:
    manager = Manager()
    start_holder()
    supervisor = Supervisor()
    service = Service(settings, workers, supervisor, everything=everything)
    command = _listen(folder, settings.command_socket, socket.SOCK_STREAM, 0o600)
    # children of root's targets may have given up their rights by the time a new daemon is there
    agents = _listen(folder, settings.socket, socket.SOCK_SEQPACKET, 0o666 if os.geteuid() == 0 else 0o600)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.end.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGIO, service.protection.let_writers_go_on)
    await wait_for_holder()
    log.info("serving", socket=str(settings.socket), store=str(settings.store))
    supervisor.vital("api", lambda: make_server(service).serve(sockets=[command]))
    service.start(agents)
    _show_metrics(settings.metrics, service, supervisor)
    manager.tell("READY=1")
    if on_demand:
        supervisor.start(_end_when_unused(service.registry, settings.linger, supervisor.end))
    await supervisor.end.wait()
    manager.tell("STOPPING=1")
    service.end()
    with suppress(OSError, UnsafePath):
        for path in (settings.socket, settings.command_socket):
            folder.remove_socket(path.name)
    if supervisor.gave_up:
        log.error("gave-up", reason=supervisor.gave_up)
    os._exit(DaemonFailed.exit_code if supervisor.gave_up else 0)  # what still computes has nothing to save


def _show_metrics(where: str, service: Service, supervisor: Supervisor) -> None:
    """Listen where Prometheus is to find the figures. That it cannot be done keeps the daemon from nothing else."""
    if not where:
        return
    address, _, port = where.rpartition(":")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address.strip("[]"), int(port)), family=family)
    except OSError as error:
        supervisor.tell("metrics", f"LIVE_METRICS: nothing listens at {where}: {os.strerror(error.errno or 0)}")
        return
    listener.setblocking(False)
    supervisor.vital("metrics", lambda: make_metrics_server(service).serve(sockets=[listener]))


async def _end_when_unused(registry: Registry, linger: float, end: asyncio.Event) -> None:
    registry.last_target = time.monotonic()
    while registry.targets or time.monotonic() - registry.last_target < linger:
        await asyncio.sleep(min(1.0, linger / 4 + 0.01))
    end.set()
