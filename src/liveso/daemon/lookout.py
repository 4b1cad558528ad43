"""Which processes have live.so in their memory and are not served."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from liveso.daemon.state import NotServed
from liveso.errors import LivesoError, TargetError
from liveso.process import announcement, memory_map, proc
from liveso.process.agent_file import AGENT_NAMES
from liveso.process.emulation import require_not_translated
from liveso.process.protocol import Mode
from liveso.process.view import why_unlike
from liveso.settings import default_socket

_ENDS = tuple(os.fsencode(f"/{name}{state}") for name in AGENT_NAMES for state in ("", " (deleted)"))
_SEEN_FOR = 0.2  # seconds

_NOT_CONNECTED = "it has live.so and has not connected: it is another daemon's, has just started, or stands still"
_UNLIKE = (
    "live.so's thread has left it, because its user, groups, capabilities or filters of system calls became other than"
    " the thread's: `liveso attach PID` lets root's daemon visit it"
)


class Lookout:
    """Which processes have live.so in their memory. The machine is looked through some times a second at most, however
    often and by whom `status` is asked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: list[int] = []
        self._end = 0.0

    def not_served(
        self, socket: Path, store: str, connected: Collection[int], notes: Mapping[int, str]
    ) -> Iterator[NotServed]:
        """The processes with live.so that are to be served by way of `socket`, and those with `notes`, but those that
        are `connected`. Why they are not is in the `notes`, or is what can be seen."""
        for pid in sorted({*self._with_agent(), *notes} - set(connected)):
            try:
                if pid in notes or is_told(pid, socket, connected):
                    note = notes.get(pid) or _why_not_served(pid, store)
                    yield NotServed(pid, proc.command(pid, pid), os.stat(f"/proc/{pid}").st_uid, note)
            except (OSError, LivesoError):
                continue

    def _with_agent(self) -> list[int]:
        with self._lock:  # who asks meanwhile gets what is being found
            if time.monotonic() > self._end:
                self._seen = [int(it) for it in os.listdir("/proc") if it.isdecimal() and _has_agent(int(it))]
                self._end = time.monotonic() + _SEEN_FOR
            return self._seen


def _has_agent(pid: int) -> bool:
    try:
        os.readlink(f"/proc/{pid}/exe")  # the kernel's own threads have none, and asking for their maps takes longer
        return bool(path_of_agent(pid))
    except (OSError, LivesoError):
        return False


def _why_not_served(pid: int, store: str) -> str:
    """Why a process that has live.so is not served, as far as it is to be seen. Raises LivesoError."""
    with suppress(TargetError):
        said = announcement(pid)
        if said is not None and said.mode is Mode.UNLIKE:
            return _UNLIKE.replace("PID", str(pid))
    try:
        require_not_translated(memory_map.mappings(pid, pid))
    except TargetError as error:
        return str(error)
    return why_unlike(pid, pid, store) or _NOT_CONNECTED


def is_told(pid: int, socket: Path, connected: Collection[int]) -> bool:
    """Whether a process with live.so is to be served by way of `socket`. Raises OSError, TargetError.

    A live.so that is too old to say so may be in a program that writes a title over its variables (nginx's workers): it
    has the socket of the process which made it, which may be one that is `connected`."""
    with suppress(TargetError):
        said = announcement(pid)
        if said is not None:
            return said.mode is not Mode.LEFT and said.socket == str(socket)
    told = _socket_of(pid)
    unsaid = "" if socket == default_socket() else None
    is_ours = told in (str(socket), unsaid if os.stat(f"/proc/{pid}").st_uid == os.geteuid() else None)
    return is_ours or (not told and proc.parent(pid) in connected)


def _socket_of(pid: int) -> str:
    """The socket that a program was told to connect to; empty where it was told none (environ(7))."""
    variables = proc.read_bytes(pid, "environ").split(b"\0")
    return next((os.fsdecode(it[12:]) for it in variables if it.startswith(b"LIVE_SOCKET=")), "")


def path_of_agent(pid: int) -> str:
    """Where a process has live.so from; empty where it has none. Raises TargetError."""
    for line in proc.read_bytes(pid, "maps").splitlines():
        if line.endswith(_ENDS):
            return os.fsdecode(line[line.index(b"/") :]).removesuffix(" (deleted)")
    return ""
