"""A line in the system's log for each thing that a person did."""

import logging
import logging.handlers
import socket
from contextlib import suppress

from liveso.history import ACTS, Event

_SOCKET = "/dev/log"


class Audit:
    """Writes to syslog(3) as sudo(8) does (facility authpriv), which systemd's journal takes, too. Where nobody listens
    there, nothing is said: the acts are in the history."""

    def __init__(self) -> None:
        self._handler: _Quiet | None = None

    def note(self, event: Event) -> None:
        if event.kind not in ACTS:
            return
        with suppress(OSError):
            self._handler = self._handler or _Quiet(_SOCKET, facility=_Quiet.LOG_AUTHPRIV)
            self._handler.emit(logging.makeLogRecord({"msg": line_of(event), "levelno": logging.INFO}))


def line_of(event: Event) -> str:
    """`liveso[12]: rollback of /usr/lib/libz.so.1 from 1234… to 5678… in 12, 13 by alice`."""
    words = [f"{event.kind} of {event.library}"]
    words += [f"from {event.before}"] if event.before else []
    words += [f"to {event.after}"] if event.after else []
    words += [f"in {', '.join(map(str, event.pids))}"] if event.pids else []
    words += [f"by {event.by}"] if event.by else []
    return f"liveso: {' '.join(words)}".encode("unicode_escape").decode()


class _Quiet(logging.handlers.SysLogHandler):
    """Never waits, and says nothing where nobody listens."""

    socket: socket.socket

    def createSocket(self) -> None:
        super().createSocket()
        self.socket.setblocking(False)

    def handleError(self, record: logging.LogRecord) -> None:
        pass
