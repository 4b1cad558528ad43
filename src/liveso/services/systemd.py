"""Asking systemd, through systemctl(1): what is known of units, and what is done to them."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_PROPERTIES = ("Id", "Names", "MainPID", "Type", "CanReload", "ExecReload", "RefuseManualStop", "RefuseManualStart")
_ANSWER_LIMIT = 10.0  # seconds
_DONE_LIMIT = 900.0  # seconds: a service may take minutes to stop


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says of a unit (systemd.unit(5), org.freedesktop.systemd1(5)). `reload` is the command that its
    reload runs; one that `refuses` may not be stopped or started by hand."""

    name: str
    main_pid: int = 0
    type: str = ""
    can_reload: bool = False
    reload: str = ""
    refuses: bool = False


def read_units(text: str) -> dict[str, Unit]:
    """The units by each of their names, from what `systemctl show` prints: lines `name=value`, an empty one between two
    units."""
    found: dict[str, Unit] = {}
    for block in text.split("\n\n"):
        values: dict[str, str] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:  # a property that several commands are set for stands there several times
                values[name] = f"{values[name]} {value}" if name in values else value
        if not values.get("Id"):
            continue
        unit = Unit(
            name=values["Id"],
            main_pid=int(values["MainPID"]) if values.get("MainPID", "").isdecimal() else 0,
            type=values.get("Type", ""),
            can_reload=values.get("CanReload") == "yes",
            reload=values.get("ExecReload", ""),
            refuses="yes" in (values.get("RefuseManualStop"), values.get("RefuseManualStart")),
        )
        for name in {values["Id"], *values.get("Names", "").split()}:
            found[name] = unit
    return found


def ask_units(names: Iterable[str]) -> Mapping[str, Unit]:
    """What systemd says of the machine's units; nothing where there is none, or it does not answer."""
    wanted = sorted(set(names))
    if not wanted or not shutil.which("systemctl"):
        return {}
    try:
        done = _run(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *wanted], _ANSWER_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return read_units(done.stdout)


def carry_out(command: Sequence[str]) -> str:
    """Run a command that does something to a unit; why it failed, or nothing."""
    try:
        done = _run(command, _DONE_LIMIT)
    except subprocess.TimeoutExpired:
        return f"not within {_DONE_LIMIT:.0f} s"
    except OSError as error:
        return f"{command[0]}: {os.strerror(error.errno or 0)}"
    if done.returncode == 0:
        return ""
    said = [it.strip() for it in done.stderr.splitlines() if it.strip()]
    return said[0] if said else f"exit code {done.returncode}"


def active_state(manager: Sequence[str], unit: str) -> str:
    """What `systemctl is-active` says: `active`, `failed`, `activating`…, or why it cannot say. `manager` is systemctl
    with the options that lead to the systemd that has the unit."""
    try:
        done = _run([*manager, "is-active", "--", unit], _ANSWER_LIMIT)
    except subprocess.TimeoutExpired:
        return "not to be told: systemd does not answer"
    except OSError as error:
        return f"not to be told: {os.strerror(error.errno or 0)}"
    return (done.stdout.strip() or done.stderr.strip() or "unknown").splitlines()[0]


def restarts(manager: Sequence[str], unit: str) -> str:
    """How often systemd has started it again by itself since it was started by hand (NRestarts); empty where that is
    not known."""
    try:
        done = _run([*manager, "show", "--property=NRestarts", "--value", "--", unit], _ANSWER_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _run(command: Sequence[str], limit: float) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        list(command),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit,
        check=False,
    )
