"""Looks at files by a process of its own: who waits for one that does not come may not even be ended by SIGKILL (a file
system of another process's that has taken the question, fuse(4)), and a command is to end all the same."""

import hashlib
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from stat import S_ISREG
from typing import Any, NoReturn, TypeVar

from liveso import roots
from liveso.withheld import NoAnswer, no_answer

_PATIENCE, _LEAST_PATIENCE = 1.0, 0.05  # seconds: less, the more did not come
_LESS = 4
_LARGEST = 1 << 30  # bytes: no library is larger
_STANDARD = range(3)  # standard streams: whoever reads what the command writes waits until nobody has them any more

_T = TypeVar("_T")


class Looker:
    """Asks a process of its own, and makes another where that waits for a file."""

    def __init__(self) -> None:
        self._withheld: set[object] = set()
        self._process = 0
        self._ours: Connection[Any, Any] | None = None
        self._left: list[int] = []

    def look(self, of: object, question: Callable[..., _T], *arguments: object) -> _T:
        """What a function says. Raises OSError; NoAnswer where it takes too long, and from then on for all that is `of`
        the same."""
        if of in self._withheld:
            raise no_answer(of)
        if self._ours is None:
            self._ours = self._begin()
        try:
            self._ours.send((question, arguments))
            if not self._ours.poll(max(_PATIENCE / _LESS ** len(self._withheld), _LEAST_PATIENCE)):
                raise no_answer(of)
            answer = self._ours.recv()
        except (EOFError, OSError) as error:  # it may have been ended, too
            self._withheld.add(of)
            self.close()
            raise no_answer(of) from error
        if isinstance(answer, NoAnswer):
            self._withheld.add(of)
        if isinstance(answer, OSError):
            raise answer
        found: _T = answer
        return found

    def close(self) -> None:
        """Let the process end, which may take until the file comes."""
        if self._ours is not None:
            self._ours.close()
            self._ours = None
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            self._left.append(self._process)
        self._left = [it for it in self._left if os.waitpid(it, os.WNOHANG)[0] == 0]

    def _begin(self) -> "Connection[Any, Any]":
        ours, theirs = Pipe()
        self._process = os.fork()
        if not self._process:
            ours.close()
            _answer(theirs)
        theirs.close()
        return ours


def _answer(asker: "Connection[Any, Any]") -> NoReturn:
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in _STANDARD:
            os.dup2(nothing, stream)
        while True:
            question, arguments = asker.recv()
            try:
                asker.send(question(*arguments))
            except OSError as error:
                asker.send(error)
    finally:
        os._exit(0)


def stat_below(root: str, shown: str) -> os.stat_result:
    """Of a file that the kernel shows, below a root."""
    return roots.stat(roots.below(root, shown))


def digest(path: str, known: dict[tuple[int, int, int], str]) -> tuple[tuple[int, int, int], str]:
    """The SHA-256 of a regular file, empty for others, and what tells this state of it from others, by which some are
    `known`."""
    pinned = roots.open_file(path, os.O_PATH)  # to open a device or a pipe could do something
    try:
        info = os.fstat(pinned)
        key = info.st_dev, info.st_ino, info.st_mtime_ns
        if not S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            return key, ""
        if key in known:
            return key, known[key]
        with Path(f"/proc/self/fd/{pinned}").open("rb") as file:
            return key, hashlib.file_digest(file, "sha256").hexdigest()
    finally:
        os.close(pinned)
