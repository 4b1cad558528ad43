"""Who is at the other end of a connection, and whether he may be served."""

import os
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from liveso.errors import TargetError, TargetGone
from liveso.peer import credentials
from liveso.process import proc

_SO_PEERPIDFD = 77  # unix(7), since Linux 6.5
_MOST_CONNECTIONS = 4096  # of one user to another user's daemon, which is root's


class OwnProcess(TargetError):
    """The daemon itself, or a child of its own, is under live.so, as everything is by /etc/ld.so.preload."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that has connected: its number, the user it was then, and when it started (clock ticks since boot),
    which name it for good."""

    pid: int
    user: int
    started: int

    def user_now(self) -> int:
        """The user that the process acts as by now; one that was root's may have become another user's.

        Raises TargetGone where it has ended, or is another user's by now: somebody else answers for it then, who kept
        the connection over fork(2) and execve(2) of a set-user-ID program.
        """
        if proc.start_time(self.pid) != self.started:
            raise TargetGone(f"process {self.pid} has ended")
        users = proc.users(self.pid)
        if self.user != 0 and users != {self.user}:
            raise TargetGone(f"process {self.pid} acts as another user than the one that connected")
        return max(users)


def peer_of(connection: socket.socket) -> Peer:
    """Raises TargetGone where the process has ended, TargetError where it may not be served by this daemon."""
    pid, user = credentials(connection)
    if os.geteuid() not in (0, user):
        raise TargetError(f"process {pid} is another user's")
    if pid == os.getpid() or proc.parent(pid) == os.getpid():
        raise OwnProcess("the daemon does not serve itself")
    peer = Peer(pid, user, proc.start_time(pid))
    peer.user_now()
    if not _is_alive(connection, pid):
        raise TargetGone(f"process {pid} has ended")
    return peer


def process_to_visit(pid: int) -> Peer:
    """The process with a number. Raises TargetGone where there is none, TargetError where it may not be visited by this
    daemon."""
    if pid in (os.getpid(), proc.parent(os.getpid())) or proc.parent(pid) == os.getpid():
        raise OwnProcess("the daemon does not serve itself")
    if not proc.has_memory(pid):
        if proc.is_of_kernel(pid):
            raise TargetError(f"process {pid} is the kernel's own")
        raise TargetGone(f"process {pid} has ended")  # or does just now: its memory goes before it
    users = proc.users(pid)
    if os.geteuid() != 0 and users != {os.geteuid()}:
        raise TargetError(f"process {pid} is another user's; ask root's daemon: sudo liveso attach {pid}")
    return Peer(pid, max(users), proc.start_time(pid))


def _is_alive(connection: socket.socket, pid: int) -> bool:
    """Whether the process that has connected is there still, so that what its number led to until now was its own."""
    try:
        descriptor = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:  # an older kernel
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return False
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)  # readable once the process has ended (pidfd_open(2))
        return not poll.poll(0)
    finally:
        os.close(descriptor)


def require_room(user: int, connections: Mapping[int, int]) -> None:
    """Raise TargetError where one of many users has so many processes connected that there may be no room for others.
    `connections` are how many each has."""
    if user != os.geteuid() and connections.get(user, 0) >= _MOST_CONNECTIONS:
        raise TargetError(f"user {user} has {_MOST_CONNECTIONS} processes connected already")
