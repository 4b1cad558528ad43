"""What a process is started and ended with: a unit of systemd, a user's session, a container, or nothing but its
command. Pure."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from liveso.text import user_name

_MANAGER_OF_USER = re.compile(r"user@([0-9]+)\.service$")
_SLICE_OF_USER = re.compile(r"user-([0-9]+)\.slice$")
_SESSION = re.compile(r"session-.+\.scope$")
_TOOLS = (
    (re.compile(r"docker-([0-9a-f]{12})[0-9a-f]*\.scope$"), ("docker", "restart")),
    (re.compile(r"libpod-([0-9a-f]{12})[0-9a-f]*\.scope$"), ("podman", "restart")),
    (re.compile(r"machine-(.+)\.scope$"), ("machinectl", "reboot")),
    (re.compile(r"lxc\.payload\.(.+)$"), ("lxc-stop", "--reboot", "--name")),
)
"""What restarts a container, by the name of its control group."""


class Kind(StrEnum):
    SERVICE = "service"
    USER_SERVICE = "user-service"
    MANAGER = "manager"
    """systemd itself, as process 1 or as a user's."""
    SESSION = "session"
    CONTAINER = "container"
    COMMAND = "command"
    """No unit holds it but, may be, a scope, which cannot be started again."""


@dataclass(frozen=True, slots=True)
class Place:
    """`name` is the unit, the container or the command. `user` is whose systemd has it, or whose session or command it
    is; None for the machine's own. `tool` is the command that restarts a container, where it is known."""

    kind: Kind
    name: str
    user: int | None = None
    tool: tuple[str, ...] = ()

    @property
    def is_unit(self) -> bool:
        return self.kind in (Kind.SERVICE, Kind.USER_SERVICE)


def place_of(units: Sequence[str], container: str, user: int, command: str) -> Place:
    """Of a process of `user`: `units` are the parts of its control group, outermost first, `container` what it runs in
    as `belonging.container_of` says (a mere number is a namespace of processes, as a service can have one), `command`
    its command line."""
    command = program(command).rstrip(":")
    if container and not (container.isdecimal() and any(it.endswith(".service") for it in units)):
        return _container(units, container)
    # the outermost one is systemd's: in what is delegated to a service or a user, these name control groups themselves
    held = [it for it in units if it.endswith((".service", ".scope"))]
    if not held:
        return _left(command, user)
    if manager := _MANAGER_OF_USER.match(held[0]):
        owner = int(manager[1])
        if held[1:] in ([], ["init.scope"]):
            return Place(Kind.MANAGER, held[0], owner)
        return Place(Kind.USER_SERVICE, held[1], owner) if held[1].endswith(".service") else _left(command, user)
    if _SESSION.match(held[0]):
        found = owner_of_session(units)
        return Place(Kind.SESSION, held[0], user if found is None else found)
    if held[0] == "init.scope":
        return Place(Kind.MANAGER, held[0])
    return Place(Kind.SERVICE, held[0]) if held[0].endswith(".service") else _left(command, user)


def _left(command: str, user: int) -> Place:
    return Place(Kind.COMMAND, command, user)


def owner_of_session(units: Sequence[str]) -> int | None:
    """The user in whose session, or whose systemd, a process runs; None where that is not so. No other user can put a
    process there, and what the machine runs for everybody as some user is not there."""
    if len(units) < 2 or units[0] != "user.slice":
        return None
    found = _SLICE_OF_USER.match(units[1])
    return int(found[1]) if found else None


def _container(units: Sequence[str], container: str) -> Place:
    for unit in reversed(units):
        for pattern, tool in _TOOLS:
            if match := pattern.match(unit):
                name = match[1].replace(r"\x2d", "-")
                return Place(Kind.CONTAINER, name, tool=(*tool, name))
    return Place(Kind.CONTAINER, container)


def title(place: Place) -> str:
    """What a place is called among others."""
    match place.kind:
        case Kind.SERVICE:
            return place.name
        case Kind.MANAGER:
            return "systemd itself" if place.user is None else f"the systemd of {user_name(place.user)}"
        case Kind.CONTAINER:
            return f"container {place.name}"
    return place.name if place.user is None or place.user < 0 else f"{place.name} of {user_name(place.user)}"


def program(command: str) -> str:
    """The program's name: `nginx:` of a process that shows a title, else the first word without its folder."""
    first = command.split(" ", 1)[0]
    return first if first.endswith(":") else os.path.basename(first) or first
