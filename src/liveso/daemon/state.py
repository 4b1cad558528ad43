"""What the daemon knows of its targets, as `status` shows it."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from liveso.store import Version
from liveso.target.process import MappedFile
from liveso.update import LibraryState, Target


class Result(StrEnum):
    """How the last attempt to bring a library up to date ended."""

    CURRENT = "current"
    UPDATED = "updated"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass
class Library:
    """A library in one target, which loaded it at address `base`. `state` is None where its version is not known.

    `failed` is the version that the last refusal was about, so that it is not tried again before one of the libraries
    that were to be updated `together` with it has changed. `file` is what the target has mapped as its first version;
    `unprotected` says why it would not survive that this is overwritten in place.
    """

    path: str
    file: MappedFile
    base: int
    state: LibraryState | None
    build_id: str = ""
    result: Result = Result.CURRENT
    reason: str = ""
    details: tuple[str, ...] = ()
    changed: float = field(default_factory=time.time)
    stale: int = 0
    milliseconds: float = 0.0
    failed: Version | None = None
    together: frozenset[str] = frozenset()
    unprotected: str = ""

    def note(self, result: Result, reason: str = "", details: tuple[str, ...] = ()) -> None:
        self.result, self.reason, self.details, self.changed = result, reason, details, time.time()


@dataclass
class ServedTarget:
    """A target with its libraries, by path. `loglevel` says what appears on its standard error; `mapped` is the code
    that it had mapped when its objects were last listed."""

    target: Target
    command: str
    started: int
    loglevel: int
    libraries: dict[str, Library] = field(default_factory=dict)
    note: str = ""
    mapped: frozenset[tuple[int, int]] | None = None
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class LibraryView:
    path: str
    version: str
    build_id: str
    result: str
    reason: str
    details: tuple[str, ...]
    changed: float
    stale_slots: int
    milliseconds: float
    versions_loaded: int
    unprotected: str


@dataclass(frozen=True, slots=True)
class TargetView:
    pid: int
    command: str
    note: str
    libraries: list[LibraryView]


def view(served: ServedTarget) -> dict[str, object]:
    """A target as JSON: see LibraryView and TargetView."""
    libraries = [
        LibraryView(
            path=it.path,
            version=it.state.current.digest if it.state else "",
            build_id=it.build_id,
            result=it.result,
            reason=it.reason,
            details=it.details,
            changed=it.changed,
            stale_slots=it.stale,
            milliseconds=round(it.milliseconds, 3),
            versions_loaded=len(it.state.versions) if it.state else 0,
            unprotected=it.unprotected,
        )
        for it in served.libraries.values()
    ]
    return asdict(TargetView(served.target.pid, served.command, served.note, libraries))
