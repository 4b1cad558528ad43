"""Which libraries of a target are kept up to date, and which version of each it runs."""

import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from liveso.daemon.state import NotServed
from liveso.errors import LivesoError, TargetError
from liveso.process import LoadedObject, announcement, proc
from liveso.process.memory_map import Mapping as MappedPart
from liveso.process.protocol import Mode
from liveso.process.view import why_unlike
from liveso.settings import default_socket, is_served
from liveso.store import Store

_NEVER = re.compile(r"(ld-linux[^/]*|ld64|libc|live)\.so(\.\d+)*$|^ld-linux|^libc-\d")
_KERNELS = re.compile(r"linux-(vdso|gate)\d*\.so")

_NOT_CONNECTED = "it has live.so and has not connected: it is another daemon's, has just started, or stands still"
_UNLIKE = (
    "live.so's thread has left it, because its user, groups, capabilities or filters of system calls became other than"
    " the thread's: `liveso attach PID` lets root's daemon visit it"
)


def is_from_disk(it: LoadedObject, store: Store) -> bool:
    """Whether the process loaded this object from a file by itself: not what the kernel brings, live.so, or a copy in
    the store."""
    name = os.path.basename(it.name)
    return not _KERNELS.match(name) and name != "live.so" and store.version_of(it.name) is None


def why_fixed(path: str, ignore: tuple[str, ...], only: tuple[str, ...]) -> str:
    """Why the library at `path` is left as it is; empty for one that is kept up to date."""
    if _NEVER.search(os.path.basename(path)):
        return "is never updated"
    return "" if is_served(path, ignore, only) else "is left as it is (LIVE_IGNORE, LIVE_ONLY)"


def mapping_of(it: LoadedObject, mappings: Sequence[MappedPart], starts: Sequence[int]) -> MappedPart | None:
    """The mapping that an object's program headers lie in; `starts` are those of all mappings, in order."""
    index = bisect_right(starts, it.headers) - 1
    return mappings[index] if index >= 0 and it.headers < mappings[index].end else None


def processes_with_agent(
    socket: Path, store: str, connected: Collection[int], notes: Mapping[int, str]
) -> Iterator[NotServed]:
    """The processes that have live.so in their memory and are to be served by way of `socket`, and those with `notes`,
    but those that are `connected`. Why they are not is in the `notes`, or is what can be seen."""
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            pid = int(name)
            is_expected = pid in notes or (path_of_agent(pid) and is_told(pid, socket, connected))
            if pid not in connected and is_expected:
                note = notes.get(pid) or _why_not_served(pid, store)
                yield NotServed(pid, proc.command(pid, pid), os.stat(f"/proc/{name}").st_uid, note)
        except (OSError, LivesoError):
            continue


def _why_not_served(pid: int, store: str) -> str:
    """Why a process that has live.so is not served, as far as it is to be seen. Raises LivesoError."""
    with suppress(TargetError):
        said = announcement(pid)
        if said is not None and said.mode is Mode.UNLIKE:
            return _UNLIKE.replace("PID", str(pid))
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
        if line.endswith((b"/live.so", b"/live.so (deleted)")):
            return os.fsdecode(line[line.index(b"/") :]).removesuffix(" (deleted)")
    return ""
