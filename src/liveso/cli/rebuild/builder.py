"""One run of the build command: in a session of its own, so that no key pressed for the program ends or stops it."""

import fcntl
import os
import selectors
import signal
import struct
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event

from liveso.cli.preload import IGNORED_BY_PYTHON

_MOST_KEPT = 1 << 20  # bytes of each stream
_OUTPUT, _ERRORS = 1, 2
_PATIENCE = 2.0  # seconds for a build that is to end
_REST = 0.5  # seconds for what it had written before it ended


@dataclass(frozen=True, slots=True)
class Built:
    """How a build ended: exit code (negative: the signal), seconds, and what it said, by stream, in order."""

    code: int
    seconds: float
    said: tuple[tuple[int, bytes], ...]

    @property
    def shown(self) -> bytes:
        """Everything, where it failed; else what it said on standard error: warnings."""
        return b"".join(text for stream, text in self.said if self.code or stream == _ERRORS)


class Build:
    """Runs a command by the shell. Where `looks_like_terminal`, what it writes to is a terminal, so that compilers
    colour what they say as they would for that one."""

    def __init__(self, command: str, environment: Mapping[str, str], looks_like_terminal: bool) -> None:
        self._is_to_end = Event()
        self._begun = time.monotonic()
        make = _terminal if looks_like_terminal else os.pipe
        self._ends = {_OUTPUT: make(), _ERRORS: make()}
        self._pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", command],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, there, number) for number, (_here, there) in self._ends.items()),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(*IGNORED_BY_PYTHON, signal.SIGINT, signal.SIGQUIT),
        )
        for _here, there in self._ends.values():
            os.close(there)

    def stop(self) -> None:
        """Have it end; `wait` returns soon then."""
        self._is_to_end.set()

    def wait(self) -> Built:
        """Read what it says until it has ended: what it leaves running may hold its output open, and go on writing."""
        said: list[tuple[int, bytes]] = []
        process = os.pidfd_open(self._pid)
        with selectors.DefaultSelector() as selector:
            selector.register(process, selectors.EVENT_READ)
            for stream, (here, _there) in self._ends.items():
                selector.register(here, selectors.EVENT_READ, stream)
            stopped_at = 0.0
            while not _read_all(selector, 0.1, said, process):
                if self._is_to_end.is_set() and not stopped_at:
                    stopped_at = time.monotonic()
                    self._kill(signal.SIGTERM)
                elif stopped_at and time.monotonic() > stopped_at + _PATIENCE:
                    self._kill(signal.SIGKILL)
            selector.unregister(process)
            limit = time.monotonic() + _REST
            while selector.get_map() and time.monotonic() < limit and selector.select(0):
                _read_all(selector, 0, said, process)
        os.close(process)
        for here, _there in self._ends.values():
            os.close(here)
        _pid, status = os.waitpid(self._pid, 0)
        return Built(os.waitstatus_to_exitcode(status), time.monotonic() - self._begun, tuple(said))

    def _kill(self, number: int) -> None:
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:
            pass


def _terminal() -> tuple[int, int]:
    """A terminal of the size of the one that standard error is, which leaves the line ends as they are."""
    here, there = os.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, fcntl.ioctl(2, termios.TIOCGWINSZ, struct.pack("4H", 0, 0, 0, 0)))
    attributes = termios.tcgetattr(there)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(there, termios.TCSANOW, attributes)
    return here, there


def _read_all(selector: selectors.BaseSelector, patience: float, said: list[tuple[int, bytes]], process: int) -> bool:
    """Read what there is, for which `patience` may pass; whether the process has ended."""
    has_ended = False
    for key, _events in selector.select(patience):
        if key.fd == process:
            has_ended = True
        elif not _read(key.fd, key.data, said):
            selector.unregister(key.fd)
    return has_ended


def _read(descriptor: int, stream: int, said: list[tuple[int, bytes]]) -> bool:
    """Whether there can be more; a terminal that nobody has open any more is an error of input (EIO)."""
    try:
        text = os.read(descriptor, 1 << 16)
    except OSError:
        return False
    if text:
        said.append((stream, text))
        # of this stream: errors are not pushed out by what floods the other one
        while sum(len(it) for of, it in said if of == stream) > _MOST_KEPT:
            del said[next(place for place, (of, _text) in enumerate(said) if of == stream)]
    return bool(text)
