"""Other users' daemons, asked by root. Whoever runs them could answer anything, at any length, or never."""

import http.client
import json
import math
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liveso.errors import LivesoError
from liveso.peer import credentials
from liveso.process import belonging, proc
from liveso.text import user_name

Places = Sequence[tuple[Path, re.Pattern[str], str]]
_PLACES: Places = (
    (Path("/run/user"), re.compile(r"([0-9]{1,10})$"), "liveso"),
    (Path("/tmp"), re.compile(r"liveso-([0-9]{1,10})$"), ""),
)
"""Where a user's daemon has its socket (`settings.default_socket`): in which folders, what those are called, and the
folder in them."""
_SOCKET = "liveso.sock.api"
_LIMIT = 3.0  # seconds for all of them
_LARGEST = 32 << 20  # bytes of an answer
_MOST_DAEMONS = 1000
_MOST = 100_000  # processes of one daemon
_MOST_ITEMS = 1000  # libraries of a process, and items of other lists
_LONGEST = 4096  # characters
_LATEST = 1e11  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Other:
    """What a user's daemon answered, with that user's own processes only; or the `problem`."""

    user: int
    targets: tuple[dict[str, Any], ...] = ()
    problem: str = ""

    @property
    def whose(self) -> str:
        return f"{user_name(self.user)}'s daemon"


def ask_others(places: Places = _PLACES, limit: float = _LIMIT) -> list[Other]:
    """What the daemons of all other users say, by user. One that does not answer in time is a problem of its own."""
    found = sorted(set(_sockets(places)))[:_MOST_DAEMONS]
    answers: dict[tuple[int, Path], Other] = {}

    def ask(user: int, folder: Path) -> None:
        other = _ask(user, folder, limit)
        if other:
            answers[user, folder] = other

    # threads that may be left behind: a user's folder can be of a file system that never answers
    threads = [threading.Thread(target=ask, args=it, daemon=True) for it in found]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit
    for (user, folder), thread in zip(found, threads, strict=True):
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            answers.setdefault((user, folder), Other(user, problem=f"does not answer within {limit:g} s"))
    return [dict(answers)[key] for key in sorted(answers)]


def _sockets(places: Places) -> Iterator[tuple[int, Path]]:
    for folder, pattern, inner in places:
        with suppress(OSError):
            for name in os.listdir(folder):
                match = pattern.match(name)
                if match and int(match[1]) != os.geteuid():
                    yield int(match[1]), folder / name / inner


def _ask(user: int, folder: Path, limit: float) -> Other | None:
    """None where that user has no daemon there."""
    try:
        opened = os.open(folder, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        socket_info = os.stat(_SOCKET, dir_fd=opened, follow_symlinks=False)
        if {os.fstat(opened).st_uid, socket_info.st_uid} != {user} or not stat.S_ISSOCK(socket_info.st_mode):
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(limit)
            connection.connect(f"/proc/self/fd/{opened}/{_SOCKET}")
            _pid, listener = credentials(connection)
            if listener != user:
                return Other(user, problem=f"somebody else ({user_name(listener)}) listens at its socket")
            return Other(user, tuple(_theirs(read_answer(_request(connection)), user)))
    except (FileNotFoundError, ConnectionRefusedError):  # it has ended
        return None
    except TimeoutError:
        return Other(user, problem=f"does not answer within {limit:g} s")
    except (OSError, http.client.HTTPException, ValueError, RecursionError, MemoryError):
        return Other(user, problem="what listens at its socket does not answer as a daemon does")
    finally:
        os.close(opened)


def _request(connection: socket.socket) -> bytes:
    request = http.client.HTTPConnection("liveso")
    request.sock = connection
    request.request("GET", "/status")
    response = request.getresponse()
    content = response.read(_LARGEST + 1)
    if response.status != http.HTTPStatus.OK or len(content) > _LARGEST:
        raise ValueError
    return content


def read_answer(content: bytes) -> list[dict[str, Any]]:
    """The processes in an answer, as `answer.read_status` takes them: with the fields that it has, each of its type,
    and no longer than is sensible. Raises ValueError, RecursionError where it is none."""
    answer = json.loads(content)
    if not isinstance(answer, dict) or not isinstance(answer.get("targets"), list):
        raise ValueError("an object with targets is expected")
    return [_checked(it, _TARGET) for it in answer["targets"][:_MOST] if isinstance(it, dict)]


_THREAD = {"thread": 0, "name": "", "function": "", "since": 0.0}
_LIBRARY = {
    "path": "",
    "version": "",
    "build_id": "",
    "result": "",
    "reason": "",
    "details": [""],
    "changed": 0.0,
    "stale_functions": [""],
    "stale_threads": [_THREAD],
    "in_force": False,
    "milliseconds": 0.0,
    "versions_loaded": 0,
    "unprotected": "",
    "file": {"device": "", "inode": 0, "path": ""},
    "waits_for": [""],
}
_TARGET = {"pid": 0, "command": "", "user": 0, "note": "", "container": "", "units": [""], "libraries": [_LIBRARY]}
"""The fields that are read, each with a value of its type."""


def _checked(value: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    return {name: _as(value.get(name), model) for name, model in shape.items() if name in value}


def _as(value: Any, model: Any) -> Any:
    """`value` if it is like `model`, else what is empty."""
    if isinstance(model, dict):
        return _checked(value, model) if isinstance(value, dict) else {}
    if isinstance(model, list):
        return [_as(it, model[0]) for it in value[:_MOST_ITEMS]] if isinstance(value, list) else []
    if isinstance(model, bool):
        return value is True
    if isinstance(model, str):
        return value[:_LONGEST] if isinstance(value, str) else ""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 <= value < (_LATEST if isinstance(model, float) else 1 << 63):
        return type(model)(0)
    return type(model)(value)


def _theirs(targets: Iterable[dict[str, Any]], user: int) -> Iterator[dict[str, Any]]:
    """Those that are processes of that user and act as nobody else; what the kernel says of them is not the daemon's to
    say."""
    for it in targets:
        pid = it.get("pid", 0)
        try:
            if proc.users(pid) == {user}:
                units, container = belonging.services_and_scopes(pid), belonging.container_of(pid)
                command = proc.command(pid, pid)
                yield {**it, "user": user, "units": units, "container": container, "command": command}
        except LivesoError:
            continue
