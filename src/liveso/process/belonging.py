"""What a process belongs to, as the kernel shows it: the command that it runs, its systemd unit, its container."""

import os
import re
from pathlib import Path

from liveso.errors import TargetGone
from liveso.process import proc

_LONGEST_NAME = 15  # bytes (proc(5), comm)
_CONTAINER = re.compile(
    r"(?:docker|libpod|crio|cri-containerd|machine|nspawn|lxc\.payload)[-.](?P<name>.+?)(?:\.scope)?$"
)


def commands(pid: int) -> tuple[str, ...]:
    """What the command that a process runs may be called: what it calls itself (proc(5), comm), and its file, with and
    without the folder. Raises OSError, TargetGone."""
    path = proc.program_path(pid, proc.living_thread(pid)).removesuffix(" (deleted)")
    own = Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    return own, os.path.basename(path), path


def is_called(name: str, pid: int) -> bool:
    """Whether it runs a command of that name, of which the kernel may have kept the beginning only. Raises OSError,
    TargetGone."""
    own, *files = commands(pid)
    return name in files or own == name[:_LONGEST_NAME]


def units(pid: int) -> tuple[str, ...]:
    """The systemd units that a process belongs to, outermost first: the parts of its control group's path (cgroups(7)).
    Raises OSError."""
    lines = Path(f"/proc/{pid}/cgroup").read_text(errors="replace").splitlines()
    return tuple(dict.fromkeys(part for line in lines for part in line.split(":", 2)[2].split("/") if part))


def services_and_scopes(pid: int) -> tuple[str, ...]:
    """The systemd units that hold its processes, outermost first: `user@1000.service` before what that user's own
    systemd has started. Raises TargetGone."""
    try:
        return tuple(it for it in units(pid) if it.endswith((".service", ".scope")))
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def is_in_unit(unit: str, pid: int) -> bool:
    """Whether a process belongs to a systemd unit. Raises OSError."""
    return unit in units(pid)


def container_of(pid: int) -> str:
    """The container that a process runs in: what its control group calls that, else the number of its namespace of
    processes; empty where this is the daemon's own. Raises TargetGone."""
    try:
        return _container(pid)
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error


def _container(pid: int) -> str:
    namespace = _namespace(pid)
    if namespace == _namespace(os.getpid()):
        return ""
    for part in reversed(units(pid)):
        found = _CONTAINER.match(part)
        if found:
            return found["name"]
    return namespace


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid").strip("pid:[]")
