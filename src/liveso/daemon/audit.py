"""A line in the system's log for each thing that a person did."""

import socket
import syslog
from contextlib import suppress

from liveso.history import ACTS, Event

_SOCKET = "/dev/log"


def note(event: Event) -> None:
    """Write to the system's log as sudo(8) does (facility authpriv), which systemd's journal takes, too. Where nobody
    listens or reads there, nothing is said, and nobody waits as syslog(3) would: the acts are in the history."""
    if event.kind in ACTS:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as log:
            log.sendto(f"<{syslog.LOG_AUTHPRIV | syslog.LOG_INFO}>{line_of(event)}".encode(), _SOCKET)


def line_of(event: Event) -> str:
    """`liveso: rollback of /usr/lib/libz.so.1 from 1234… to 5678… in 12, 13 by alice`."""
    words = [f"{event.kind} of {event.library}"]
    words += [f"from {event.before}"] if event.before else []
    words += [f"to {event.after}"] if event.after else []
    words += [f"in {', '.join(map(str, event.pids))}"] if event.pids else []
    words += [f"by {event.by}"] if event.by else []
    return f"liveso: {' '.join(words)}".encode("unicode_escape").decode()
