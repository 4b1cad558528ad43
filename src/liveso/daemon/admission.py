"""Who is at the other end of a connection, and whether he may be served."""

import os
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from liveso.errors import TargetError, TargetGone
from liveso.target import process

_SO_PEERPIDFD = 77  # unix(7), since Linux 6.5
_MOST_TARGETS = 4096  # of one user in another user's daemon, which is root's


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that has connected: its number, the user it was then, when it started (clock ticks since boot), and a
    descriptor that stands for it whatever becomes of its number (pidfd_open(2))."""

    pid: int
    user: int
    started: int
    pidfd: int

    def user_now(self) -> int:
        """The user that the process acts as by now; one that was root's may have become another user's.

        Raises TargetGone where it has ended, or is another user's by now: somebody else answers for it then, who kept
        the connection over fork(2) and execve(2) of a set-user-ID program.
        """
        if process.start_time(self.pid) != self.started:
            raise TargetGone(f"process {self.pid} has ended")
        users = process.users(self.pid)
        if self.user != 0 and users != {self.user}:
            raise TargetGone(f"process {self.pid} acts as another user than the one that connected")
        return max(users)


def peer_of(connection: socket.socket) -> Peer:
    """Raises TargetGone where the process has ended, TargetError where it may not be served by this daemon."""
    pid, user, _group = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if os.geteuid() not in (0, user):
        raise TargetError("another user's process")
    if pid == os.getpid() or process.parent(pid) == os.getpid():
        raise TargetError("the daemon does not serve itself (it is under live.so by /etc/ld.so.preload)")
    try:
        pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:  # an older kernel
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise TargetGone(f"process {pid} has ended") from error
    try:
        peer = Peer(pid, user, process.start_time(pid), pidfd)
        peer.user_now()
        return peer
    except TargetError:
        os.close(pidfd)
        raise


def require_room(user: int, users: Iterable[int]) -> None:
    """Raise TargetError where one of many users has so many targets that there may be no room for others. `users` are
    those of all targets."""
    if user != os.geteuid() and Counter(users)[user] >= _MOST_TARGETS:
        raise TargetError(f"user {user} has {_MOST_TARGETS} processes that are served already")
