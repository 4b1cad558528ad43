"""Who asks the daemon for something: the kernel says it, not the question."""

import asyncio
import pwd
import socket
import struct
from contextlib import suppress
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

_NOBODY = 2**32 - 1  # proc_pid_loginuid(5): nobody has logged in


class Asked(H11Protocol):
    """HTTP that knows the user and the process at the other end of a Unix socket (unix(7), SO_PEERCRED)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            asked = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid, user, _group = struct.unpack("=iII", asked)
            self.client = (_name(user), pid)


def person(user: str, pid: int) -> str:
    """A person in words: the user that asks, and the one who logged in, if that is another (sudo(8))."""
    login = ""
    with suppress(OSError, ValueError):
        number = int(Path(f"/proc/{pid}/loginuid").read_text())
        login = "" if number in (_NOBODY, -1) else _name(number)
    return f"{user} ({login} by login)" if login and login != user else user


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
