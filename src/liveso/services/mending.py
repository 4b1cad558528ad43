"""The mildest thing after which a service runs what lies on disk. Pure.

A reload is enough only where it is known to make the processes anew: whoever merely forks gives the new process what
it has in memory itself, also its old libraries.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from liveso.places import Kind, Place
from liveso.services.systemd import Unit
from liveso.text import user_name


class Way(StrEnum):
    RELOAD = "reload"
    RESTART = "restart"
    REEXECUTE = "re-execute"
    LOG_OUT = "log-out"
    CONTAINER = "restart-container"
    START_AGAIN = "start-again"
    WAIT = "wait"
    REBOOT = "reboot"


@dataclass(frozen=True, slots=True)
class Mend:
    """`text` is for people: a command to type, or what to do. `command` is what does it, empty where no command does;
    `manager` is systemctl with the options that lead to the systemd that has the unit. One that `ends_sessions` takes
    what users do with it."""

    way: Way
    text: str
    command: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()
    ends_sessions: bool = False


@dataclass(frozen=True, slots=True)
class _Reload:
    """What a service's reload does, where the command that it runs has `word` in it. `main`: its main process executes
    itself anew; `others`: its other processes are replaced."""

    unit: re.Pattern[str]
    word: str
    main: bool
    others: bool


_RELOADS = (
    # sshd(8): "rereads its configuration file when it receives a hangup signal, by executing itself"; connections stay
    _Reload(re.compile(r"sshd?\.service$"), "-HUP", main=True, others=False),
    # php-fpm(8), SIGUSR2: "graceful reload of all workers + reload of fpm conf/binary": the master executes itself
    _Reload(re.compile(r"php[0-9.]*-fpm\.service$"), "-USR2", main=True, others=True),
    # HAProxy Management Guide, 4: the master executes itself on SIGUSR2, and makes new workers
    _Reload(re.compile(r"haproxy\.service$"), "-USR2", main=True, others=True),
    # nginx(8), HUP and httpd's graceful restart: new workers are forked by the same master
    _Reload(re.compile(r"nginx\.service$"), "reload", main=False, others=True),
    _Reload(re.compile(r"(apache2|httpd)\.service$"), "graceful", main=False, others=True),
    # postfix(1), reload: "running processes terminate at their earliest convenience"; master(8) executes new ones
    _Reload(re.compile(r"postfix(@-)?\.service$"), "reload", main=False, others=True),
)
_ONLY_A_REBOOT = re.compile(r"dbus(-broker)?\.service$")
"""Whose restart takes what else runs with it: dbus-daemon(1) keeps no connection over it."""
_HAVE_SESSIONS = re.compile(
    r"(display-manager|gdm3?|lightdm|sddm|xdm|wdm|slim|nodm|kdm|elogind)\.service$|(serial-)?getty@"
)


def mend(place: Place, outdated: Collection[int], unit: Unit | None, user: int) -> Mend:
    """For a place in which the processes `outdated` run old code; `unit` is what systemd says of it, None where it does
    not, and `user` is who asks."""
    match place.kind:
        case Kind.SERVICE:
            return _of_service(place.name, outdated, unit)
        case Kind.USER_SERVICE:
            manager = _manager_of(place.user, user)
            if _ONLY_A_REBOOT.match(place.name):
                return Mend(Way.LOG_OUT, f"{_name(place.user)} logs out of every session")
            return _by_command(Way.RESTART, (*manager, "restart", place.name), manager)
        case Kind.MANAGER:
            manager = ("systemctl",) if place.user is None else _manager_of(place.user, user)
            return _by_command(Way.REEXECUTE, (*manager, "daemon-reexec"), manager)
        case Kind.SESSION:
            return Mend(Way.LOG_OUT, f"{_name(place.user)} logs out of {place.name.removesuffix('.scope')}")
        case Kind.CONTAINER:
            text = " ".join(place.tool) or f"restart the container {place.name}"
            return Mend(Way.CONTAINER, text, place.tool)
    if set(outdated) == {1}:
        return Mend(Way.REBOOT, "reboot: process 1 cannot be started again")
    return Mend(Way.START_AGAIN, f"end and start {os.path.basename(place.name) or place.name} again")


def _of_service(name: str, outdated: Collection[int], unit: Unit | None) -> Mend:
    if _ONLY_A_REBOOT.match(name) or (unit and unit.refuses):
        return Mend(Way.REBOOT, f"reboot: {name} is not to be restarted by itself")
    if unit and unit.type == "oneshot":
        return Mend(Way.WAIT, f"{name} ends by itself, and begins anew the next time")
    manager = ("systemctl",)
    if unit and _reload_is_enough(unit, outdated):
        return _by_command(Way.RELOAD, (*manager, "reload", name), manager)
    return _by_command(Way.RESTART, (*manager, "restart", name), manager, bool(_HAVE_SESSIONS.match(name)))


def _reload_is_enough(unit: Unit, outdated: Collection[int]) -> bool:
    known = next((it for it in _RELOADS if it.unit.match(unit.name)), None)
    if not known or not unit.can_reload or not unit.main_pid or known.word not in unit.reload:
        return False
    has_main = unit.main_pid in outdated
    has_others = bool(set(outdated) - {unit.main_pid})
    return (known.main or not has_main) and (known.others or not has_others)


def _by_command(way: Way, command: tuple[str, ...], manager: tuple[str, ...], ends_sessions: bool = False) -> Mend:
    text = " ".join(command)
    return Mend(way, f"{text} (ends sessions)" if ends_sessions else text, command, manager, ends_sessions)


def _manager_of(owner: int | None, user: int) -> tuple[str, ...]:
    """systemctl for a user's own systemd; another user's is reached by name (systemctl(1), --machine)."""
    if owner is None or owner == user:
        return ("systemctl", "--user")
    return ("systemctl", "--user", f"--machine={_name(owner)}@")


def _name(user: int | None) -> str:
    return user_name(user if user is not None else -1).removeprefix("user ")
