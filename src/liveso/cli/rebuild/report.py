"""Asking the daemon what became of a build, until it knows."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liveso.cli.rebuild.outcome import Before, Outcome, State, before_build, is_trouble, not_served, outcomes, summary
from liveso.cli.rebuild.running import family, programs
from liveso.client.answer import Status, read_status
from liveso.client.ask import ask_daemon
from liveso.errors import LivesoError
from liveso.settings import Settings

_UNKNOWN_LIMIT = 10.0  # seconds until the daemon knows a program that was just started
_LIMIT = 30.0  # seconds until it has an answer
_SETTLES = 0.3  # seconds that trouble must last: what is held back goes in with what it waits for
_ASK_LIMIT = 3.0
_EMPTY = Status(0, "", (), ())

Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before a build: of libraries, and of the files of programs."""

    libraries: Before
    programs: Mapping[str, Signature | None]


@dataclass(frozen=True, slots=True)
class Report:
    """A line, whether something of the build is not in the program, and whether the daemon knows that at all."""

    text: str
    is_trouble: bool
    is_of_program: bool = True


@dataclass(slots=True)
class Reporter:
    """Asks one daemon about the program `pid` and its descendants. Its methods block."""

    settings: Settings
    _digests: dict[Signature, str] = field(default_factory=dict)

    def before(self, pid: int) -> Known:
        pids = family(pid)
        try:
            status = self._status()
        except LivesoError:
            status = _EMPTY
        files: dict[str, Signature | None] = {}
        programs(pids, lambda _pid, path: bool(files.setdefault(path, signature(path))))
        return Known(before_build(time.time(), status, pids, signature), files)

    def wait(self, pid: int, known: Known, is_over: Callable[[], bool]) -> Report | None:
        """The report, within some seconds; nothing where `is_over` before."""
        begun, pause, trouble_since = time.monotonic(), 0.02, 0.0
        while not is_over():
            now = time.monotonic()
            report, is_final = self._now(pid, known)
            if report.is_trouble and not trouble_since:
                trouble_since = now
            limit = trouble_since + _SETTLES if report.is_trouble else begun
            if now >= (limit if is_final else begun + (_LIMIT if report.is_of_program else _UNKNOWN_LIMIT)):
                return report
            time.sleep(pause)
            pause = min(1.5 * pause, 0.2)
        return None

    def _now(self, pid: int, known: Known) -> tuple[Report, bool]:
        """What is known now, and whether the daemon has an answer to everything."""
        pids = family(pid)
        try:
            status = self._status()
        except LivesoError as error:
            return Report(str(error), False, False), False
        if not any(it.pid in pids for it in status.targets):
            return Report("the daemon does not know the program", False, False), False
        if reason := not_served(status, pids):
            return Report(f"nothing goes into the program: {reason}", True), True
        found, others = self._found(status, pids, known)
        is_final = all(it.state is not State.PENDING for it in found)
        return Report(summary(found, others), is_trouble(found, others)), is_final

    def _found(self, status: Status, pids: list[int], known: Known) -> tuple[list[Outcome], list[str]]:
        found = outcomes(status, pids, known.libraries, signature, self._digest)
        others = programs(
            pids,
            lambda pid, path: (
                signature(path) != known.programs.get(path)
                and self._digest(path) != self._digest(f"/proc/{pid}/exe")
                and bool(signature(path))
            ),
        )
        return found, others

    def _status(self) -> Status:
        return read_status(ask_daemon(self.settings, "/status", limit=_ASK_LIMIT))

    def _digest(self, path: str) -> str:
        """SHA-256 of a file; empty where there is none."""
        file = signature(path)
        if file is None:
            return ""
        if file not in self._digests:
            try:
                with Path(path).open("rb") as content:
                    self._digests[file] = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError:
                return ""
        return self._digests[file]


def signature(path: str) -> Signature | None:
    """What tells a file from the one that lay there before; nothing where there is none."""
    try:
        it = os.stat(path)
    except OSError:
        return None
    return it.st_dev, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns
