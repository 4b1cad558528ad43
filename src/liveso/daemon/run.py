"""The life of a daemon: one for a user, from its sockets to its end."""

import asyncio
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liveso.daemon.api import make_server
from liveso.daemon.limits import shed_inherited_limits
from liveso.daemon.log import log, start_log
from liveso.daemon.registry import Registry
from liveso.daemon.service import Service
from liveso.daemon.supervision import Supervisor
from liveso.errors import DaemonFailed, DaemonRunning, StoreError
from liveso.settings import Settings

_BACKLOG = 1024


def run_daemon(settings: Settings, on_demand: bool) -> None:
    """Serve until a signal comes or, on demand, until no target has been there for a while.

    Raises DaemonRunning where another daemon serves this user, StoreError where a folder cannot be used.
    """
    try:
        settings.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise StoreError(
            f"{settings.socket.parent}: the runtime folder cannot be made: {os.strerror(error.errno or 0)}"
        ) from error
    with _only_daemon(settings.lock):
        start_log(settings.log if on_demand else None)
        shed_inherited_limits()
        asyncio.run(_serve(settings, on_demand))


@contextmanager
def _only_daemon(lock: Path) -> Iterator[None]:
    """Hold the lock that only one daemon of a user can hold; the kernel lets go of it when the daemon dies."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{lock}: the runtime folder cannot be used: {os.strerror(error.errno or 0)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise DaemonRunning(f"a daemon runs already (pid {pid or 'unknown'}); there is one for each user") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    try:
        yield
    finally:
        os.close(descriptor)


def _listen(path: Path, kind: int, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StoreError(f"{path}: cannot listen there: {os.strerror(error.errno or 0)}") from error
    return listener


async def _serve(settings: Settings, on_demand: bool) -> None:
    supervisor = Supervisor()
    service = Service(settings, supervisor)
    command = _listen(settings.command_socket, socket.SOCK_STREAM, 0o600)
    # children of root's targets may have given up their rights by the time a new daemon is there
    agents = _listen(settings.socket, socket.SOCK_SEQPACKET, 0o666 if os.geteuid() == 0 else 0o600)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.end.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGIO, service.protection.let_writers_go_on)
    log.info("started", pid=os.getpid(), socket=str(settings.socket), store=str(settings.store))
    supervisor.vital("api", lambda: make_server(service).serve(sockets=[command]))
    service.start(agents)
    if on_demand:
        supervisor.start(_end_when_unused(service.registry, settings.linger, supervisor.end))
    await supervisor.end.wait()
    log.info("stopped", pid=os.getpid())
    for path in (settings.socket, settings.command_socket):
        path.unlink(missing_ok=True)
    if supervisor.gave_up:
        log.error("gave-up", reason=supervisor.gave_up)
    os._exit(DaemonFailed.exit_code if supervisor.gave_up else 0)  # what still computes has nothing to save


async def _end_when_unused(registry: Registry, linger: float, end: asyncio.Event) -> None:
    registry.last_target = time.monotonic()
    while registry.targets or time.monotonic() - registry.last_target < linger:
        await asyncio.sleep(min(1.0, linger / 4 + 0.01))
    end.set()
