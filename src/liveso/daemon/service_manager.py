"""What a service manager that started the daemon is told of it (sd_notify(3))."""

import os
import socket
from contextlib import suppress

_ADDRESS = "NOTIFY_SOCKET"


class Manager:
    """Who started the daemon, where that wants to be told. What the daemon starts does not speak for it: the variable
    is taken away."""

    def __init__(self) -> None:
        self._address = os.environ.pop(_ADDRESS, "")

    def tell(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # a manager that has gone or does not listen is no reason not to serve
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(1.0)
            connection.sendto(state.encode(), self._address.replace("@", "\0", 1))
