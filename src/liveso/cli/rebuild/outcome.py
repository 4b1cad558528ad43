"""What became of a build in the running program, as the daemon's status says it."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from liveso.client.answer import Library, Status
from liveso.text import plural

_UPDATED = ("updated", "current")


class State(Enum):
    IN = "in"
    NOT_IN = "not in"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a library, at `path`, that a build changed, in one process."""

    pid: int
    path: str
    state: State
    word: str = ""
    reason: str = ""
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Before:
    """What was known before a build, at a `time`: by process and path of a library, the version that ran, and what its
    file was. A program that had just begun may not have been known at all."""

    time: float
    libraries: Mapping[tuple[int, str], tuple[str, object]]


def before_build(now: float, status: Status, pids: Collection[int], file_of: Callable[[str], object]) -> Before:
    return Before(
        now,
        {
            (target.pid, it.path): (it.version, file_of(it.path))
            for target in status.targets
            if target.pid in pids
            for it in target.libraries
        },
    )


def outcomes(
    status: Status,
    pids: Collection[int],
    before: Before,
    file_of: Callable[[str], object],
    digest_of: Callable[[str], str],
) -> list[Outcome]:
    """Of the libraries whose files are others than before and hold something else than what ran."""
    found = []
    for target in status.targets:
        if target.pid not in pids:
            continue
        for it in target.libraries:
            version, file = before.libraries.get((target.pid, it.path), ("", None))
            if file is not None and file_of(it.path) == file:
                continue
            on_disk = digest_of(it.path)
            if version:
                is_news = on_disk != version
            else:
                is_news = on_disk != it.version or (it.result == "updated" and it.changed >= before.time)
            if on_disk and is_news:
                found.append(_outcome(target.pid, it, on_disk))
    return found


def _outcome(pid: int, it: Library, on_disk: str) -> Outcome:
    if it.version == on_disk:
        return Outcome(pid, it.path, State.IN, it.word, _stale(it), it.milliseconds if it.result == "updated" else 0.0)
    if on_disk in (it.refused_version, it.rolled_back_over) or it.result == "failed":
        return Outcome(pid, it.path, State.NOT_IN, it.word, it.reason)
    return Outcome(pid, it.path, State.PENDING)


def _stale(it: Library) -> str:
    names = [*it.stale_threads, *(f"pointers lead to the old {name}" for name in it.stale_functions)]
    return "; ".join(names[:2]) + (f"; and {len(names) - 2} more" if len(names) > 2 else "")


def not_served(status: Status, pids: Collection[int]) -> str:
    """Why nothing goes into any of the processes; empty where something may."""
    targets = [it for it in status.targets if it.pid in pids]
    if any(it.libraries for it in targets):
        return ""
    return next((it.note for it in targets if it.note), "")


def summary(found: Iterable[Outcome], programs: Collection[str]) -> str:
    """One line: each library with what became of it, in how many processes if in several."""
    groups: dict[tuple[str, State, str, str], list[Outcome]] = {}
    for it in found:
        groups.setdefault((it.path, it.state, it.word, it.reason), []).append(it)
    parts = []
    for (path, state, word, reason), them in sorted(groups.items(), key=lambda it: (it[0][0], it[0][1].value)):
        told = word if state is not State.PENDING else "no answer from the daemon yet"
        if state is State.IN:
            told = word if word not in _UPDATED else "updated"
            if milliseconds := max(it.milliseconds for it in them):
                told = f"{told.removesuffix(', but')} in {milliseconds:.0f} ms" + (", but" if reason else "")
        if len(them) > 1:
            told += f" in {plural(len(them), 'process', 'processes')}"
        separator = " " if state is State.IN else ": "
        parts.append(f"{os.path.basename(path)}: {told}" + (f"{separator}{reason}" if reason else ""))
    parts += [f"{os.path.basename(it)} itself is another one: only a restart runs it" for it in programs]
    return "; ".join(parts) if parts else "nothing that the program has loaded is another one now"


def is_trouble(found: Iterable[Outcome], programs: Collection[str]) -> bool:
    """Whether something of the build is not in the program."""
    return bool(programs) or any(it.state is State.NOT_IN for it in found)
