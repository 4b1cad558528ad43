"""Who is at the other end of a Unix socket."""

import socket
import struct

_CREDENTIALS = struct.Struct("=iII")  # struct ucred: process, user, group


def credentials(connection: socket.socket) -> tuple[int, int]:
    """The process and the user that connected, or listen, as the kernel says (unix(7), SO_PEERCRED)."""
    pid, user, _group = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return pid, user
