"""What live.so says in a process that has it: how that is to be served."""

import os
from dataclasses import dataclass

from liveso.process import protocol
from liveso.process.arrival import arrived
from liveso.process.mapped import mapped_now
from liveso.process.native import native_machine


@dataclass(frozen=True, slots=True)
class Announcement:
    """What live.so says in a process: how that is to be served, and by the daemon at which socket."""

    mode: protocol.Mode
    socket: str


def announcement(pid: int) -> Announcement | None:
    """None where live.so is not there, or says nothing. Raises TargetError."""
    objects = mapped_now(pid, native_machine())
    found = arrived(objects)
    if found is None:
        return None
    area = objects.memory.content(found.area, protocol.AREA.size)
    mode = protocol.AREA.unpack(area)[2]
    return Announcement(protocol.Mode(mode), whose(area)) if mode in set(protocol.Mode) else None


def whose(area: bytes) -> str:
    """The socket of the daemon that serves a process, as live.so has it there (struct live_area); empty where it has
    none."""
    socket: bytes = protocol.AREA.unpack(area)[-1]
    return os.fsdecode(socket.partition(b"\0")[0])
