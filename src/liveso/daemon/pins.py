"""Which libraries were rolled back: what runs of them instead of what lies on disk, and in which processes.

A pin is a file in the store, so that the next daemon knows it. It is over when something else lies on disk.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any

from liveso.errors import StoreError, TargetError, UnsafePath
from liveso.folders import Folder, open_folder
from liveso.plan import LibraryState
from liveso.process import proc
from liveso.settings import STORE_CURE
from liveso.store import Version

_FORMAT = 1
_MOST = 1000  # libraries
_LAST_SECOND = 1e11  # as many as calendars have names for
_LONGEST = 4 << 20  # bytes of a pin


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number and when it started, in clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that is to run, and since when, in seconds since 1970."""

    version: Version
    since: float


@dataclass(frozen=True, slots=True)
class Rollback:
    """A library runs `to`, or is to, although `over` lies on disk; `since` when, in seconds since 1970."""

    to: Version
    over: Version
    since: float


@dataclass(frozen=True, slots=True)
class Pin:
    """What is to run of the library at `path` while `over` lies there: the choice for a process, or else the one for
    all. One that chooses `over` itself lets a process have what lies on disk."""

    path: str
    over: Version
    everywhere: Choice | None = None
    processes: Mapping[Process, Choice] = field(default_factory=dict)

    def rollback(self, process: Process) -> Rollback | None:
        """How it was rolled back in a process; None where that is to run what lies on disk."""
        found = self.processes.get(process, self.everywhere)
        return Rollback(found.version, self.over, found.since) if found and found.version != self.over else None

    def everywhere_to(self, choice: Choice) -> "Pin":
        """The choice for all processes, those to come included."""
        return replace(self, everywhere=choice, processes={})

    def to(self, choice: Choice, processes: Iterable[Process]) -> "Pin":
        return replace(self, processes={**self.processes, **dict.fromkeys(processes, choice)})

    def forward(self, processes: Collection[Process], now: float) -> "Pin":
        """Let processes run what lies on disk."""
        if self.everywhere:
            return self.to(Choice(self.over, now), processes)
        return replace(self, processes={it: choice for it, choice in self.processes.items() if it not in processes})

    def living(self) -> "Pin":
        """Without the processes that have ended."""
        return replace(self, processes={it: choice for it, choice in self.processes.items() if _is_alive(it)})

    def inherited(self, state: LibraryState, ancestors: Collection[Process]) -> Choice | None:
        """The choice that a process has from the one that it came from by fork(2). With its memory it has the versions
        that were opened there: that one of them is on disk, and another one runs, is so after a rollback only."""
        if state.loaded(self.over) is None:
            return None
        for process, choice in self.processes.items():
            if choice.version == state.current and (choice.version != self.over or process in ancestors):
                return choice
        return None

    @property
    def choices(self) -> set[Version]:
        """The versions that are to run."""
        found = {it.version for it in (self.everywhere, *self.processes.values()) if it}
        return found - {self.over}


class Pins:
    """The pins in the store at `root`, by the paths of libraries. Those that cannot be read, or that another user could
    have written, are none."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "rolled-back"
        self._lock = RLock()  # what is kept last is what holds last
        self._kept = self._read()

    def of(self, path: str) -> Pin | None:
        return self._kept.get(path)

    @property
    def paths(self) -> list[str]:
        """The paths of all libraries that were rolled back."""
        return list(self._kept)

    def versions(self) -> set[Version]:
        """The versions that are to run somewhere: the store must not lose them."""
        return {version for pin in list(self._kept.values()) for version in pin.choices}

    def keep(self, pin: Pin) -> None:
        """Let this be what holds for its library. Raises StoreError where it cannot be kept; then what held before
        holds on."""
        with self._lock:
            before, pin = self._kept.get(pin.path), pin.living()
            if not pin.choices:
                self.drop(pin.path)
                return
            if before is None and len(self._kept) >= _MOST:
                raise StoreError(f"{_MOST} libraries are rolled back already; `liveso resume` brings some forward")
            self._save(pin.path, pin)
            self._kept[pin.path] = pin

    def add(self, path: str, process: Process, choice: Choice) -> None:
        """Let a choice hold for one more process, where the library is rolled back still. Raises as `keep` does."""
        with self._lock:
            pin = self._kept.get(path)
            if pin:
                self.keep(pin.to(choice, [process]))

    def drop(self, path: str) -> None:
        """Let the library at a path be what lies on disk. Raises StoreError where the next daemon will not know it."""
        with self._lock:
            if self._kept.pop(path, None):
                self._save(path, None)

    def _save(self, path: str, pin: Pin | None) -> None:
        try:
            with open_folder(self._folder, STORE_CURE, make=True) as folder:
                if pin:
                    folder.write(_name(path), [encode(pin, _boot())], 0o600)
                else:
                    (folder.path / _name(path)).unlink(missing_ok=True)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise StoreError(f"{self._folder}: what is rolled back cannot be kept ({reason}); {STORE_CURE}") from error

    def _read(self) -> dict[str, Pin]:
        try:
            with open_folder(self._folder, STORE_CURE) as folder:
                names = sorted(os.listdir(folder.path))
                found = [pin for name in names if len(name) == 64 and (pin := _read_pin(folder, name))]
        except (OSError, UnsafePath):
            return {}
        return {pin.path: pin for pin in found[:_MOST]}


def _read_pin(folder: Folder, name: str) -> Pin | None:
    try:
        with os.fdopen(folder.open_trusted(name), "rb") as file:
            pin = decode(file.read(_LONGEST), _boot())
    except (OSError, UnsafePath, ValueError):
        return None
    return pin if _name(pin.path) == name else None


def encode(pin: Pin, boot: str) -> bytes:
    """A pin as it is kept; process numbers mean something until the next `boot` only."""
    everywhere = pin.everywhere and [pin.everywhere.version.digest, pin.everywhere.since]
    processes = [[it.pid, it.started, to.version.digest, to.since] for it, to in pin.processes.items()]
    fields: dict[str, Any] = {"format": _FORMAT, "path": pin.path, "over": pin.over.digest, "boot": boot}
    return json.dumps({**fields, "everywhere": everywhere, "processes": processes}).encode()


def decode(content: bytes, boot: str) -> Pin:
    """The pin that was kept. Raises ValueError where it is none."""
    try:
        it = json.loads(content)
        if it["format"] != _FORMAT or not isinstance(it["path"], str):
            raise ValueError("is of another format")
        rows = it["processes"] if it["boot"] == boot else []
        everywhere = it["everywhere"] and _choice(*it["everywhere"])
        processes = {Process(int(pid), int(started)): _choice(version, since) for pid, started, version, since in rows}
        return Pin(it["path"], Version(it["over"]), everywhere or None, processes)
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("is no pin") from error


def _choice(version: str, since: float) -> Choice:
    if not 0 <= since <= _LAST_SECOND:
        raise ValueError("is no time")
    return Choice(Version(version), float(since))


def _name(path: str) -> str:
    return sha256(os.fsencode(path)).hexdigest()


def _boot() -> str:
    """What this boot of the system is called (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _is_alive(process: Process) -> bool:
    try:
        return proc.start_time(process.pid) == process.started
    except TargetError:
        return False
