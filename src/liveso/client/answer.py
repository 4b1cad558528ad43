"""The daemon's answer to `/status` as values. Fields that a daemon of another version leaves out are empty."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CURRENT, UPDATED, PARTLY, ROLLED_BACK = "current", "updated", "updated, but", "rolled back"
FAILED = "failed"
_ORDER = ("refused", FAILED, "waiting", "held back", ROLLED_BACK, UPDATED, CURRENT)


def rank(result: str) -> int:
    """How early a result is shown: what asks for somebody's attention comes first, also a result not known here."""
    return _ORDER.index(result) if result in _ORDER else 0


@dataclass(frozen=True, slots=True)
class Library:
    """A library of one process, and how the last attempt to update it ended.

    `changed` is in seconds since 1970; `stale_functions` are those whose old code pointers still lead to,
    `stale_threads` say which threads are in old code; `unprotected` says why the process would not survive that the
    file is overwritten in place; `waits_for` are the paths of the libraries that hold it back. `mapped` are the device
    and the inode of the file that the process has mapped as its first version, as /proc/PID/maps shows them; None where
    the daemon does not say. `refused_version` is the SHA-256 of the version that is refused, held back or waits,
    `waiting_version` of one that waits for a person, and `rolled_back_over` of what lies on disk where it was rolled
    back.
    """

    path: str
    result: str
    version: str = ""
    build_id: str = ""
    reason: str = ""
    details: tuple[str, ...] = ()
    changed: float = 0.0
    stale_functions: tuple[str, ...] = ()
    stale_threads: tuple[str, ...] = ()
    milliseconds: float = 0.0
    versions_loaded: int = 0
    unprotected: str = ""
    waits_for: tuple[str, ...] = ()
    in_force: bool = False
    mapped: tuple[str, int] | None = None
    refused_version: str = ""
    waiting_version: str = ""
    rolled_back_over: str = ""

    @property
    def word(self) -> str:
        """The result, which says of an update whether old code can still run."""
        is_partly = self.result == UPDATED and (self.stale_functions or self.stale_threads)
        return PARTLY if is_partly else self.result

    @property
    def name(self) -> str:
        """What people know the version by: its build ID, or else the start of its SHA-256."""
        return (self.build_id or self.version)[:12]


@dataclass(frozen=True, slots=True)
class Target:
    """A process. `note` says why it is not served, where it is not; `container` is the one that it runs in, `units` are
    its systemd units, outermost first."""

    pid: int
    command: str
    user: int | None
    note: str
    libraries: tuple[Library, ...]
    container: str = ""
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """All that a daemon knows. `problems` are those of the daemon itself."""

    pid: int
    version: str
    problems: tuple[str, ...]
    targets: tuple[Target, ...]


def read_status(answer: Mapping[str, Any]) -> Status:
    """Each library of a process is there once."""
    targets = tuple(
        Target(
            pid=it.get("pid", 0),
            command=it.get("command") or "?",
            user=it.get("user"),
            note=it.get("note", ""),
            libraries=_once(_library(library) for library in it.get("libraries", ())),
            container=it.get("container", ""),
            units=tuple(it.get("units", ())),
        )
        for it in answer.get("targets", ())
    )
    return Status(
        pid=answer.get("pid", 0),
        version=answer.get("version", ""),
        problems=tuple(answer.get("problems", ())),
        targets=targets,
    )


def _library(it: Mapping[str, Any]) -> Library:
    return Library(
        path=it.get("path", ""),
        result=it.get("result", ""),
        version=it.get("version", ""),
        build_id=it.get("build_id", ""),
        reason=it.get("reason", ""),
        details=tuple(it.get("details", ())),
        changed=it.get("changed", 0.0),
        stale_functions=tuple(it.get("stale_functions", ())),
        stale_threads=tuple(_thread(each) for each in it.get("stale_threads", ())),
        milliseconds=it.get("milliseconds", 0.0),
        versions_loaded=it.get("versions_loaded", 0),
        unprotected=it.get("unprotected", ""),
        waits_for=tuple(it.get("waits_for", ())),
        in_force=bool(it.get("in_force", False)),
        mapped=_mapped(it.get("file")),
        refused_version=it.get("refused_version", ""),
        waiting_version=it.get("waiting_version", ""),
        rolled_back_over=it.get("rolled_back_over", ""),
    )


def _mapped(it: Mapping[str, Any] | None) -> tuple[str, int] | None:
    return (it.get("device", ""), it.get("inode", 0)) if it else None


def _thread(it: Mapping[str, Any]) -> str:
    since = time.strftime("%H:%M:%S", time.localtime(it.get("since", 0.0)))
    return f"thread {it.get('thread', 0)} ({it.get('name', '')}) is in {it.get('function', '')} since {since}"


def _once(libraries: Iterable[Library]) -> tuple[Library, ...]:
    """Each library once, those first that ask for attention. Two paths to the same file are one library."""
    found: dict[tuple[str, str], Library] = {}
    ordered = sorted(libraries, key=lambda it: (rank(it.result), it.path))
    versions = [it.version for it in ordered]
    for it in ordered:
        has_twin = bool(it.version) and versions.count(it.version) > 1
        path = os.path.realpath(it.path) if has_twin else it.path
        found.setdefault((path, it.version), it)
    return tuple(found.values())
