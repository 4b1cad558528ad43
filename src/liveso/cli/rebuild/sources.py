"""Which changes of files are a reason to build: those of sources, and not what a build itself writes.

Who wrote a file, the kernel does not say. So it is told by when it was written, and by what it is: outside of a build,
whatever changes is a source, unless it is a program or a library. While a build runs, it is one only if it was there
before, is text, and has another content than when it was last seen. What changes in one build after the other is taken
for what they write, until it changes while none runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

_CLOCK = 0.02  # seconds: the kernel's coarse clock, which stamps files, may lag behind so much
_MOST_IN_A_ROW = 2  # builds that the same file may cause by changing in the one before
_MOST_OF_EDITED = 8  # the same, of one that has changed while no build ran: somebody is at work there


class Content(Enum):
    TEXT = "text"
    BINARY = "binary"
    PRODUCT = "product"
    """A program, a library, an object file: never a source."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A file changed at a time (seconds since 1970); `digest` is of its content, where that was read."""

    path: str
    time: float
    content: Content
    digest: bytes = b""


class Sources:
    """What is known of the files in the watched folders: `there` are those that were there at first."""

    def __init__(self, there: Iterable[str]) -> None:
        self._there = set(there)
        self._edited: set[str] = set()
        self._written: set[str] = set()  # by builds
        self._in_each_build: set[str] = set()
        self._digests: dict[str, bytes] = {}
        self._in_a_row: dict[str, int] = {}
        self._in_this_build: dict[str, int] = {}
        self._begun = self._ended = 0.0

    def build_begins(self, now: float) -> None:
        self._begun, self._ended = now, float("inf")
        self._in_a_row, self._in_this_build = self._in_this_build, {}

    def build_has_ended(self, now: float) -> None:
        self._ended = now

    def counts(self, change: Change) -> bool:
        """Whether it is a reason to build (again)."""
        is_known = change.path in self._there
        is_other = self._digests.get(change.path) != change.digest
        self._note(change)
        is_gone = change.content is Content.GONE
        if change.content is Content.PRODUCT or (is_gone and (not is_known or change.path in self._written)):
            return False
        if change.time < self._begun - _CLOCK:
            return False  # what the last build has seen, which began after it
        if change.time > self._ended + _CLOCK:
            self._in_each_build.discard(change.path)
            if change.path not in self._written:
                self._edited.add(change.path)
            return True
        return self._counts_in_a_build(change, is_known, is_other)

    def is_in_each_build(self, path: str) -> bool:
        """Whether a file is taken for one that each build writes, though it looks like a source."""
        return path in self._in_each_build

    def _note(self, change: Change) -> None:
        if change.content is Content.GONE:
            return  # it stays one that was there: some editors move a file away and write it anew
        if change.path not in self._there and self._begun - _CLOCK <= change.time <= self._ended + _CLOCK:
            self._written.add(change.path)
        self._there.add(change.path)
        self._digests[change.path] = change.digest

    def _counts_in_a_build(self, change: Change, is_known: bool, is_other: bool) -> bool:
        path = change.path
        if path in self._written or path in self._in_each_build:
            return False
        if path not in self._edited and (not is_known or change.content is not Content.TEXT):
            return False
        if not is_other:
            return False
        # once a build: a file that is written in several steps is one
        self._in_this_build[path] = self._in_a_row.get(path, 0) + 1
        if self._in_this_build[path] > (_MOST_OF_EDITED if path in self._edited else _MOST_IN_A_ROW):
            self._in_each_build.add(path)
            return False
        return True
