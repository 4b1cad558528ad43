"""The daemon's answer to `/packages` as values: which package each library came from, and which CVEs that means."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from liveso.dpkg import Entry, Fixes, Package, Provenance, Release, Tracker, fixes_between, newest
from liveso.places import Place, place_of, title
from liveso.services.mending import Mend, mend

_MOST_NAMES = 3  # services that are named of many
_UNKNOWN_USER = -1  # the answer names none


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and what it is started and ended with."""

    pid: int
    command: str
    place: Place
    note: str = ""

    @property
    def service(self) -> str:
        """What people call that, in as few words as they do."""
        return title(self.place).replace(".service", "")


@dataclass(frozen=True, slots=True)
class PackagedLibrary:
    """A library of one process, where the version that it began with, that it runs, or that lies on disk differ.
    `fixed` is what the process gained since it began, `missing` what lies on disk and is not in its memory."""

    process: Process
    path: str
    result: str
    reason: str
    is_in_force: bool
    began: Provenance | None
    runs: Provenance | None
    on_disk: Provenance | None
    fixed: Fixes
    missing: Fixes

    @property
    def package(self) -> str:
        """The name of its package; the file's where that is not known."""
        known = self.on_disk or self.runs or self.began
        return known.package.name if known else self.path


def read_packages(answer: Mapping[str, Any], tracker: Tracker | None = None) -> list[PackagedLibrary]:
    """Raises KeyError, TypeError, ValueError for another answer than a daemon of this version gives."""
    known = {key: tuple(map(_provenance, rows)) for key, rows in answer.get("packages", {}).items()}
    found = []
    for target in answer.get("targets", ()):
        process = process_of(target)
        for it in target.get("libraries", ()):
            there = newest(known.get(it.get("on_disk", ""), ()))
            source = there.package.source if there else ""
            began, runs = (newest(known.get(it.get(name, ""), ()), source) for name in ("began", "runs"))
            fixed = fixes_between(began, runs, tracker) if it.get("began") != it.get("runs") else Fixes()
            missing = fixes_between(runs, there, tracker) if it.get("differs", True) else Fixes()
            facts = it.get("path", ""), it.get("result", ""), it.get("reason", ""), bool(it.get("in_force"))
            found.append(PackagedLibrary(process, *facts, began, runs, there, fixed, missing))
    return _without_lacked(found)


def _without_lacked(libraries: list[PackagedLibrary]) -> list[PackagedLibrary]:
    """A CVE is not fixed in a process by one library of a package while another one of it lacks the fix."""
    lacked: dict[tuple[int, str], set[str]] = {}
    for it in libraries:
        lacked.setdefault((it.process.pid, it.package), set()).update(it.missing.cves)
    return [
        replace(it, fixed=replace(it.fixed, cves=tuple(cve for cve in it.fixed.cves if cve not in lacks)))
        for it in libraries
        for lacks in [lacked[it.process.pid, it.package]]
    ]


def process_of(target: Mapping[str, Any]) -> Process:
    command = target.get("command") or "?"
    place = place_of(target.get("units", ()), target.get("container", ""), _UNKNOWN_USER, command)
    return Process(target.get("pid", 0), command, place, target.get("note", ""))


def counted_services(processes: Iterable[Process]) -> str:
    """The services of processes, with the number of these: `nginx (5 processes), redis (1)`."""
    parts: list[str] = []
    for them in _by_place(processes).values():
        word = "" if parts else " process" if len(them) == 1 else " processes"
        parts.append(f"{next(iter(them.values())).service} ({len(them)}{word})")
    return ", ".join(parts)


def cure(processes: Iterable[Process]) -> str:
    """What brings what lies on disk into processes, as commands and words. systemd is not asked whether it is less."""
    mends = [mend(place, set(them), None, os.geteuid()) for place, them in _by_place(processes).items()]
    texts = [_in_words(it) for it in mends]
    more = [f"and {len(texts) - _MOST_NAMES} more"] if len(texts) > _MOST_NAMES else []
    return ", ".join([*texts[:_MOST_NAMES], *more])


def _in_words(it: Mend) -> str:
    if not it.command:
        return it.text
    command = " ".join(it.command).removesuffix(".service")
    return f"`{command}` brings it" + (" (ends sessions)" if it.ends_sessions else "")


def _by_place(processes: Iterable[Process]) -> dict[Place, dict[int, Process]]:
    found: dict[Place, dict[int, Process]] = {}
    for it in processes:
        found.setdefault(it.place, {})[it.pid] = it
    return found


def _provenance(it: Mapping[str, Any]) -> Provenance:
    entries = tuple(Entry(entry["version"], tuple(entry["cves"])) for entry in it["entries"])
    return Provenance(Package(**it["package"]), Release(**it["release"]), entries)
