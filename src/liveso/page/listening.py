"""Where the page listens: a port of the loopback interface, or a Unix socket of this user's."""

import errno
import os
import socket
from pathlib import Path

from liveso.errors import CannotListen
from liveso.folders import open_folder

LOOPBACK = "127.0.0.1"
_CURE = "choose a path in a folder of your own"
_WAITING = 64  # callers


def listen_at_port(port: int) -> socket.socket:
    """Raises CannotListen where the port is taken, or not for this user."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        what = "something listens there already" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
        raise CannotListen(
            f"port {port} of {LOOPBACK} cannot be used: {what}; choose another one with --port"
        ) from error
    return listener


def listen_at_socket(path: Path) -> socket.socket:
    """A socket that only this user may connect to. Raises UnsafePath where somebody else can change the folder, or
    something else has the name; CannotListen where another page listens there, or none can be made."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with open_folder(path.parent, _CURE) as folder:
            if _answers(path):
                raise CannotListen(f"{path} cannot be used: something listens there already; {_CURE}")
            folder.remove_socket(path.name)
            _bind_closed(listener, path)
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)  # a path that is too long has no number
        raise CannotListen(f"{path} cannot be used: {reason}; {_CURE}") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
    return True


def _bind_closed(listener: socket.socket, path: Path) -> None:
    """Nobody else may connect, not even at once."""
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
