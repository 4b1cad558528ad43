"""Asking the daemon: HTTP on its Unix socket, and one sentence for each way in which that fails."""

import errno
import http.client
import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liveso.errors import Declined, ExitCode, NoDaemon, NotPermitted
from liveso.peer import credentials
from liveso.settings import Settings
from liveso.text import user_name

LIMIT = 10.0
"""Seconds that the daemon may take for an answer."""
_ROOTS_SOCKET = Path("/run/liveso/liveso.sock.api")
_START = "the first program that runs with live.so starts one, or `liveso daemon`"


def ask_daemon(
    settings: Settings, path: str, question: Mapping[str, str] | None = None, limit: float = LIMIT
) -> dict[str, Any]:
    """The daemon's answer, a JSON object; to a `question`, where something is to be done.

    Raises NoDaemon where none answers within `limit` seconds or what answers is none, NotPermitted where the daemon is
    another user's.
    """
    address = settings.command_socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(str(address))
        except OSError as error:
            raise _not_connected(address, error, limit) from error
        pid, user = credentials(connection)
        if user not in (0, os.geteuid()):
            raise NotPermitted(
                f"{address}: whoever listens there (pid {pid}) is {user_name(user)}, whose answers are not trusted; "
                f"to ask that daemon: sudo -u {user_name(user)} liveso status"
            )
        who = f"the daemon (pid {pid}) at {address}"
        try:
            status, body = _request(connection, path, question)
        except TimeoutError:
            raise NoDaemon(
                f"{who} does not answer within {limit:g} s: it is stopped or busy; its log says more ({settings.log}, "
                "where a program started it)"
            ) from None
        except (ConnectionError, http.client.IncompleteRead):
            raise NoDaemon(f"{who} ended while it was asked; {_START}") from None
        except http.client.HTTPException:
            raise _something_else(address, pid) from None
    if status != http.HTTPStatus.OK:
        raise NoDaemon(f"{who} could not answer (HTTP status {status}): its log says why, {settings.log}")
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _something_else(address, pid)
    return answer


def ask_for(settings: Settings, path: str, question: Mapping[str, str], limit: float = LIMIT) -> dict[str, Any]:
    """The daemon's answer where something is to be done. Raises Declined where it is not, and as `ask_daemon` does."""
    answer = ask_daemon(settings, path, question, limit)
    if "error" in answer:
        raise Declined(str(answer["error"]), ExitCode(answer.get("exit_code", ExitCode.NO)))
    return answer


def _request(connection: socket.socket, path: str, question: Mapping[str, str] | None) -> tuple[int, bytes]:
    request = http.client.HTTPConnection("liveso")
    request.sock = connection
    if question is None:
        request.request("GET", path)
    else:
        request.request("POST", path, json.dumps(question).encode(), {"Content-Type": "application/json"})
    response = request.getresponse()
    return response.status, response.read()


def _something_else(address: Path, pid: int) -> NoDaemon:
    return NoDaemon(
        f"{address}: what listens there (pid {pid}) is no daemon of liveso; end it, or set LIVE_SOCKET to another path"
    )


def _not_connected(address: Path, error: OSError, limit: float) -> NoDaemon | NotPermitted:
    if error.errno in (errno.EACCES, errno.EPERM):
        return _forbidden(address)
    if isinstance(error, TimeoutError | BlockingIOError):
        return NoDaemon(f"the daemon at {address} does not take calls within {limit:g} s: it is stopped or busy")
    if error.errno == errno.EPROTOTYPE or (error.errno == errno.ECONNREFUSED and not _is_socket(address)):
        return NoDaemon(
            f"{address} is no socket of a daemon's: something else made it; remove it, or set LIVE_SOCKET to another "
            "path"
        )
    reason = {
        errno.ENOENT: "there is no such socket",
        errno.ECONNREFUSED: "its daemon has ended",
    }.get(error.errno or 0, os.strerror(error.errno or 0))
    hint = ""
    if os.geteuid() != 0 and address != _ROOTS_SOCKET and _is_socket(_ROOTS_SOCKET):
        hint = "; root's daemon is asked by `sudo liveso status`"
    return NoDaemon(f"no daemon answers at {address} ({reason}); {_START}{hint}")


def _forbidden(address: Path) -> NotPermitted:
    """Name whose the socket is, or the folder that hides it."""
    place, owner = address, -1
    for place in (address, *address.parents):
        try:
            owner = place.stat().st_uid
            break
        except OSError:
            continue
    # what may be looked at while what lies in it may not is the folder in the way
    name = user_name(owner)
    as_owner = "sudo" if owner == 0 else f"sudo -u {name}"
    setting = "" if address == _ROOTS_SOCKET else f" env LIVE_SOCKET={address.with_suffix('')}"
    return NotPermitted(
        f"{address}: permission denied, {place} belongs to {name}; ask as {name}: {as_owner}{setting} liveso …"
    )


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
