"""What `liveso status --json` says, by process, library and service. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

Entry = dict[str, Any]
"""One library of one process."""

IN = "in"
TROUBLE = "trouble"
TAKEN_BACK = "taken back"
PENDING = "pending"
"""What has become of the version on disk, in one process."""
NO_KEPT_RESULT = ("refused", "failed", "waiting")
_EVENTS_OF_TROUBLE = ("refused", "failed", "waiting-for-person", "crash-after-update")


def service_of(target: dict[str, Any]) -> str:
    """What people know a process by: its container, its unit, else the command that it runs."""
    units = [it for it in target.get("units") or () if not it.startswith("user@")]
    services = [it for it in units if it.endswith(".service")]
    command = str(target.get("command") or "").partition(" ")[0]
    return str(target.get("container") or (services or units or [os.path.basename(command)])[-1])


def entries(status: dict[str, Any]) -> list[Entry]:
    found = []
    for target in status.get("targets") or ():
        for library in target.get("libraries") or ():
            found.append(
                {
                    "service": service_of(target),
                    "units": list(target.get("units") or ()),
                    "pid": target.get("pid", 0),
                    "command": str(target.get("command") or ""),
                    "path": str(library.get("path") or ""),
                    "version": str(library.get("version") or ""),
                    "build_id": str(library.get("build_id") or ""),
                    "result": str(library.get("result") or ""),
                    "reason": str(library.get("reason") or ""),
                    "changed": float(library.get("changed") or 0),
                    "in_force": bool(library.get("in_force")),
                    "waits_for": list(library.get("waits_for") or ()),
                    "rolled_back_over": str(library.get("rolled_back_over") or ""),
                }
            )
    return found


def is_named(entry: Entry, library: str) -> bool:
    """Whether it is the library of this path or file name, as the command takes it."""
    return library in (entry["path"], os.path.basename(entry["path"]))


def is_version(entry: Entry, beginning: str) -> bool:
    return entry["version"].startswith(beginning) or entry["build_id"].startswith(beginning)


def chosen(
    all_of_them: Iterable[Entry], pids: Sequence[int], units: Sequence[str], commands: Sequence[str]
) -> list[Entry]:
    """Those in some processes; all where nothing is named."""
    everywhere = not (pids or units or commands)
    return [
        it
        for it in all_of_them
        if everywhere
        or it["pid"] in pids
        or any(unit in it["units"] or f"{unit}.service" in it["units"] for unit in units)
        or any(name in (word := it["command"].split(" ")[0], os.path.basename(word)) for name in commands)
    ]


def became(entry: Entry, on_disk: str, others: Iterable[Entry], events: Iterable[dict[str, Any]], since: float) -> str:
    """What has become of the version `on_disk` (SHA-256) in a process. `others` are the libraries of the same process;
    `events` are what the history has; what was noted since `since` is about this version."""
    if not on_disk or entry["version"] == on_disk:
        return IN
    if entry["rolled_back_over"] == on_disk:
        return TAKEN_BACK
    about_it = [it for it in events if it.get("after") == on_disk and it.get("library") == entry["path"]]
    if any(it.get("kind") == "crash-after-update" for it in about_it):
        return TROUBLE
    if entry["result"] in NO_KEPT_RESULT:
        own = [it for it in about_it if entry["pid"] in (it.get("pids") or ()) and it.get("kind") in _EVENTS_OF_TROUBLE]
        return TROUBLE if own or entry["changed"] >= since else PENDING
    if entry["result"] == "held back" and entry["waits_for"]:
        awaited = [it for it in others if it["path"] in entry["waits_for"]]
        return TROUBLE if any(it["result"] in NO_KEPT_RESULT for it in awaited) else PENDING
    return PENDING


def by_service(all_of_them: Iterable[Entry]) -> list[dict[str, Any]]:
    """What is the same in several processes of a service, once."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for it in all_of_them:
        key = it["service"], it["path"], it["result"], it["reason"], it["version"]
        line = found.setdefault(
            key,
            {
                "service": it["service"],
                "library": it["path"],
                "result": it["result"],
                "reason": it["reason"],
                "version": it["version"],
                "build_id": it["build_id"],
                "in_force": True,
                "pids": [],
            },
        )
        line["in_force"] = line["in_force"] and it["in_force"]
        line["pids"].append(it["pid"])
    return sorted(found.values(), key=lambda it: (it["service"], it["library"], it["version"]))


def went_in(before: Iterable[Entry], after: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """The libraries that run another version in a process that was there before, as they were and are."""
    known = {(it["pid"], it["path"]): it for it in before}
    pairs = [(known[it["pid"], it["path"]], it) for it in after if (it["pid"], it["path"]) in known]
    return [(old, new) for old, new in pairs if old["version"] and new["version"] != old["version"]]


def way_back(pairs: Iterable[tuple[Entry, Entry]]) -> list[dict[str, Any]]:
    """What takes back what went in, as the options of liveso_rollback. Where all came from one version, it holds for
    processes to come, too: one that crashed may have been started again."""
    origins: dict[str, dict[str, list[int]]] = {}
    for old, _new in pairs:
        origins.setdefault(old["path"], {}).setdefault(old["version"], []).append(old["pid"])
    return [
        {"library": path, "version": version, "targets": [] if len(versions) == 1 else sorted(pids)}
        for path, versions in sorted(origins.items())
        for version, pids in sorted(versions.items())
    ]


def as_text(lines: Iterable[dict[str, Any]]) -> str:
    """What runs, for a diff."""
    return "".join(
        f"{it['service']} {it['library']} {(it['build_id'] or it['version'])[:12] or '-'} {it['result']}\n"
        for it in lines
    )
