"""What the daemon knows of its targets, as `status` shows it."""

import asyncio
import time
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from liveso.apply import Target
from liveso.daemon.admission import Peer
from liveso.daemon.pins import Rollback
from liveso.places import Place, place_of
from liveso.plan import LibraryState
from liveso.process import memory_map, proc
from liveso.process.identity import Identity
from liveso.process.memory_map import MappedFile
from liveso.store import Version

FIRST_PAUSE = 5.0  # seconds


class Result(StrEnum):
    """How the last attempt to bring a library up to date ended."""

    CURRENT = "current"
    UPDATED = "updated"
    REFUSED = "refused"
    FAILED = "failed"
    HELD_BACK = "held back"
    WAITING = "waiting"
    """For a person, who may allow it."""
    ROLLED_BACK = "rolled back"
    """By a person, from what lies on disk."""


NOT_BROUGHT_IN = (Result.REFUSED, Result.HELD_BACK, Result.WAITING)


@dataclass(frozen=True, slots=True)
class StaleThread:
    """A thread with frames in code that does not run any more: its number, what it is called, the function by which it
    has got there, and since when that is known (seconds since 1970)."""

    thread: int
    name: str
    function: str
    since: float


@dataclass
class Library:
    """A library in one target, which loaded it at address `base`. `soname` is what others name it by.

    `tried` is the transaction that did not succeed, by path and version of what it and the other libraries would have
    run, so that the same is not tried again. `file` is what the target has mapped as its first version; `unprotected`
    says why it would not survive that this is overwritten in place. `waits_for` are the names of libraries that hold it
    back, and `stale` those of functions whose old code pointers still lead to; `inside` are the threads that were in
    old code when they were last looked at. What was refused only because threads were not to be held still, or memory
    did not come, `is_tried_again` by itself. `rollback` is how it was rolled back to what runs. One that `is_new` was
    not looked at yet, whether it was rolled back in the process that this one came from; one that `is_as_wanted` was,
    at the last look, what it is to be.
    """

    target: Target
    path: str
    file: MappedFile
    base: int
    soname: str = ""
    build_id: str = ""
    result: Result = Result.CURRENT
    reason: str = ""
    details: tuple[str, ...] = ()
    changed: float = field(default_factory=time.time)
    stale: tuple[str, ...] = ()
    inside: tuple[StaleThread, ...] = ()
    milliseconds: float = 0.0
    refused: Version | None = None
    tried: frozenset[tuple[str, Version]] = frozenset()
    waits_for: tuple[str, ...] = ()
    unprotected: str = ""
    is_tried_again: bool = False
    rollback: Rollback | None = None
    is_new: bool = True
    is_as_wanted: bool = False

    @property
    def state(self) -> LibraryState | None:
        """None where the version that runs is not known."""
        return self.target.libraries.get(self.path)

    def note(self, result: Result, reason: str = "", details: tuple[str, ...] = ()) -> None:
        self.result, self.reason, self.details, self.changed = result, reason, details, time.time()
        self.waits_for, self.rollback, self.is_tried_again = (), None, False


@dataclass(frozen=True, slots=True)
class Fixed:
    """An object that is left as it is: the program, libc, what the settings leave out. `why` it is."""

    path: str
    base: int
    identity: Identity
    file: MappedFile
    why: str


@dataclass
class ServedTarget:
    """A target with its libraries, by path, and its other objects, by name. `loglevel` says what appears on its
    standard error, and whether an update `is_atomic`, for which no thread may be inside the library; one that
    `is_visited` has no thread of live.so's; `container` is what that is called which it runs in, `units` are its
    systemd units, outermost first; `mapped` is the code that it had mapped when its objects were last listed.

    Its own task learns of it and updates it, one thing after another, when `due`: `is_to_learn` says
    whether there is something to learn. `learning` is held while it learns. `looks_alike` counts the looks at its
    memory since the last one that found it changed, and `pause` is how long it waits, in seconds, before what could
    not be done because its threads were not to be held is tried again. `follow_at` are the times (time.monotonic()) at
    which what the last update left behind is looked at.
    """

    peer: Peer
    target: Target
    command: str
    loglevel: int
    is_visited: bool = False
    is_atomic: bool = False
    container: str = ""
    units: tuple[str, ...] = ()
    libraries: dict[str, Library] = field(default_factory=dict)
    fixed: dict[str, Fixed] = field(default_factory=dict)
    note: str = ""
    mapped: frozenset[tuple[str, str]] | None = None
    memory: tuple[int, int] = (0, 0)
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    due: asyncio.Event = field(default_factory=asyncio.Event)
    is_to_learn: bool = False
    looks_alike: int = 0
    pause: float = FIRST_PAUSE
    follow_at: list[float] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.target.pid

    @property
    def place(self) -> Place:
        """What it is started and ended with."""
        return place_of(self.units, self.container, self.target.user, self.command)

    @property
    def mode(self) -> str:
        return "visited" if self.is_visited else "resident"

    def running(self) -> dict[str, Version]:
        """The version of each library that runs, by path, where that is known."""
        return {path: it.state.current for path, it in self.libraries.items() if it.state}

    def find_thread(self) -> None:
        """The thread by which a process is looked at that is visited may have ended. Raises TargetGone."""
        if self.is_visited:
            self.target.hello = replace(self.target.hello, thread=proc.living_thread(self.pid))

    def mapped_now(self, besides: tuple[str, ...]) -> frozenset[tuple[str, str]]:
        """The code that it has mapped, but for files whose paths begin like one of `besides`. Raises TargetError."""
        it = self.target
        return memory_map.mapped_code(it.pid, it.hello.thread, besides, is_translated=it.agent.is_translated)

    def try_again(self) -> None:
        """Try what did not succeed once more."""
        for it in self.libraries.values():
            it.tried = frozenset()
        self.due.set()

    def learn_again(self) -> None:
        self.is_to_learn = True
        self.due.set()


def is_in_force(it: Library) -> bool:
    """Whether nothing can run old code, or what a person took back. Not of a process that has come just now, before
    it was compared with what lies on disk: a worker that is forked has what its parent could not be rid of."""
    is_good = it.result in (Result.CURRENT, Result.UPDATED, Result.ROLLED_BACK)
    return is_good and it.is_as_wanted and not (it.stale or it.inside)


@dataclass(frozen=True, slots=True)
class NotServed:
    """A process with live.so that is not served; `note` says why."""

    pid: int
    command: str
    user: int
    note: str


Shown = ServedTarget | NotServed
"""A process that `status` shows."""


def view(it: Shown) -> dict[str, object]:
    """A process as JSON (docs/commands.md)."""
    if isinstance(it, NotServed):
        return {"pid": it.pid, "command": it.command, "user": it.user, "note": it.note, "libraries": []}
    return {
        "pid": it.pid,
        "command": it.command,
        "user": it.target.user,
        "mode": it.mode,
        "container": it.container,
        "units": it.units,
        "note": it.note,
        "libraries": [_library_view(library) for library in it.libraries.values()],
    }


def _library_view(it: Library) -> dict[str, object]:
    state = it.state
    return {
        "path": it.path,
        "version": state.current.digest if state else "",
        "build_id": it.build_id,
        "result": it.result,
        "reason": it.reason,
        "details": it.details,
        "changed": it.changed,
        "stale_functions": it.stale,
        "stale_threads": [asdict(each) for each in it.inside],
        "in_force": is_in_force(it),
        "milliseconds": round(it.milliseconds, 3),
        "versions_loaded": len(state.versions) if state else 0,
        "file": {"device": it.file.device, "inode": it.file.inode, "path": it.file.path},
        "unprotected": it.unprotected,
        "waits_for": it.waits_for,
        "refused_version": it.refused.digest if it.refused and it.result in NOT_BROUGHT_IN else "",
        "waiting_version": it.refused.digest if it.refused and it.result is Result.WAITING else "",
        "rolled_back_over": it.rollback.over.digest if it.rollback else "",
        "rolled_back_since": it.rollback.since if it.rollback else 0.0,
    }
