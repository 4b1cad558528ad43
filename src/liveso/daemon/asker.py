"""Who asks the daemon for something: the kernel says it, not the question."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

from liveso.peer import credentials
from liveso.text import user_name

_NOBODY = 2**32 - 1  # proc_pid_loginuid(5): nobody has logged in


class Asked(H11Protocol):
    """HTTP that knows the user and the process at the other end of a Unix socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            pid, user = credentials(connection)
            self.client = (user_name(user), pid)


def person(user: str, pid: int) -> str:
    """A person in words: the user that asks, and the one who logged in, if that is another (sudo(8))."""
    login = ""
    with suppress(OSError, ValueError):
        number = int(Path(f"/proc/{pid}/loginuid").read_text())
        login = "" if number in (_NOBODY, -1) else user_name(number)
    return f"{user} ({login} by login)" if login and login != user else user
