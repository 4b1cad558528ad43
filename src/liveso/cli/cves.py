import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from liveso.cli.screen import Screen
from liveso.cli.vex import vex_document, write_vex
from liveso.client.ask import ask_daemon
from liveso.dpkg import Fixes, Provenance, read_tracker, shortened
from liveso.errors import ExitCode, UnknownTarget
from liveso.services.packages import PackagedLibrary, process_of, read_packages
from liveso.settings import read_settings
from liveso.text import plural, printable

_LIMIT = 60.0  # seconds: the packages of what has just come are looked up first
_STYLES = {"missing": "red", "unknown": "yellow", "fixed": "green"}
_ORDER = "missing", "unknown", "fixed"


@dataclass(frozen=True, slots=True)
class Group:
    """Libraries of one package that went, or are to go, from one version to another, in the same state."""

    state: str
    package: str
    before: str
    after: str
    cves: tuple[str, ...]
    reason: str
    libraries: tuple[PackagedLibrary, ...]

    @property
    def pids(self) -> list[int]:
        return sorted({it.process.pid for it in self.libraries})


@click.command()
@click.option("--process", "pid", type=click.IntRange(1), metavar="PID", help="Only of this process, by library.")
@click.option("--package", "package", metavar="NAME", help="Only of this package, by its name or its source's.")
@click.option("--tracker", "tracker", metavar="FILE", help="A copy of the Debian security tracker's data/json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--vex", "vex", metavar="FILE", help="Write an OpenVEX document; - for standard output.")
def cves(pid: int | None, package: str | None, tracker: str | None, as_json: bool, vex: str | None) -> None:
    """Show which CVEs are fixed in the memory of processes since they began, and which only on disk.

    What is known comes from Debian's changelogs, as they were when each version came, and from the tracker's data where
    a copy is given. The exit code is 1 where something is fixed on disk and not in memory, and 3 where that is not
    known of some library.
    """
    data = read_tracker(Path(tracker)) if tracker else None
    answer = ask_daemon(read_settings(), "/packages", limit=_LIMIT)
    targets = [it for it in answer.get("targets", ()) if pid in (None, it.get("pid"))]
    if pid is not None and not targets:
        raise UnknownTarget(f"no process {pid} is served; `liveso status` lists those that are")
    chosen = [it for it in read_packages({**answer, "targets": targets}, data) if _is_of(it, package)]
    found = groups(chosen)
    if vex:
        write_vex(vex, vex_document(chosen))
    if as_json:
        print(json.dumps(_as_json(found, targets, chosen), indent=2))
    elif vex != "-" and pid is not None:
        _show_process(chosen, targets[0])
    elif vex != "-":
        _show(found, len(targets))
    raise SystemExit(_code(found))


def groups(libraries: Iterable[PackagedLibrary]) -> list[Group]:
    """What is to be said, by package. What asks for somebody's attention comes first."""
    together: dict[tuple[str, str, str, str, tuple[str, ...], str], list[PackagedLibrary]] = {}
    for it in libraries:
        for state, names, reason, before, after in _facts(it):
            key = state, it.package, _version(before), _version(after), names, reason
            together.setdefault(key, []).append(it)
    found = [Group(*key, tuple(them)) for key, them in together.items()]
    return sorted(found, key=lambda it: (_ORDER.index(it.state), it.package, it.before, it.after, it.reason))


Fact = tuple[str, tuple[str, ...], str, Provenance | None, Provenance | None]


def _facts(it: PackagedLibrary) -> Iterable[Fact]:
    if it.missing.cves or it.missing.unknown:
        state = "missing" if it.missing.cves else "unknown"
        yield state, it.missing.cves, it.missing.unknown, it.runs, it.on_disk
    if it.fixed.cves or it.fixed.unknown:
        yield "fixed", it.fixed.cves, it.fixed.unknown, it.began, it.runs


def _is_of(it: PackagedLibrary, package: str | None) -> bool:
    known = [one.package for one in (it.began, it.runs, it.on_disk) if one]
    return package is None or any(package in (one.name, one.source) for one in known)


def _version(it: Provenance | None) -> str:
    return it.package.version if it else ""


def _code(found: Iterable[Group]) -> ExitCode:
    states = {it.state for it in found}
    return ExitCode.NO if "missing" in states else ExitCode.DEPENDS if "unknown" in states else ExitCode.DONE


def _show(found: list[Group], processes: int) -> None:
    screen = Screen()
    if not screen.is_terminal:
        _print(found)
        return
    screen.line((_summary(found, processes), "bold"))
    if found:
        screen.line()
        screen.rows([_row(it) for it in found])


def _print(found: Iterable[Group]) -> None:
    for it in found:
        lists = " ".join(it.cves), " ".join(map(str, it.pids))
        fields = it.state, it.package, it.before, it.after, *lists, it.reason
        print("\t".join(printable(text) or "-" for text in fields))


def _show_process(libraries: list[PackagedLibrary], target: Mapping[str, Any]) -> None:
    """Each library of a process by itself, with what is said of it."""
    screen, process = Screen(), process_of(target)
    if not screen.is_terminal:
        _print(groups(libraries))
        return
    screen.line((process.command, "bold"), f" — process {process.pid}, {process.service}")
    for it in libraries:
        screen.line((it.path, "bold"), f": {it.result}" + (f": {it.reason}" if it.reason else ""), indent=2, hang=2)
        for state, names, reason, before, after in _facts(it):
            versions = shortened(_version(before) or "?", _version(after) or "?")
            screen.line((state, _STYLES[state]), f"  {it.package} {versions}: {_said(names, reason)}", indent=4, hang=2)
    if not libraries:
        screen.line("all its libraries are what it began with, and what lies on disk", indent=2)


def _summary(found: list[Group], processes: int) -> str:
    missing = {cve for it in found for cve in it.cves if it.state == "missing"}
    unknown = {it.package for it in found if it.state == "unknown"}
    if missing:
        said = f"{plural(len(missing), 'CVE is', 'CVEs are')} fixed on disk, and not in the memory of all processes"
    elif unknown:
        said = f"it is not known what is missing in memory of {plural(len(unknown), 'package', 'packages')}"
    else:
        said = "no CVE is known that is fixed on disk, and not in memory"
    return f"{said} ({plural(processes, 'process is', 'processes are')} served)"


def _row(it: Group) -> list[Any]:
    versions = shortened(it.before or "?", it.after or "?")
    count = plural(len(it.pids), "process", "processes")
    return [(it.state, _STYLES[it.state]), it.package, versions, count, _said(it.cves, it.reason)]


def _said(names: Sequence[str], reason: str) -> str:
    text = ", ".join(names)
    return f"{text}; there may be more: {reason}" if text and reason else text or reason


def _as_json(found: list[Group], targets: list[dict[str, Any]], chosen: list[PackagedLibrary]) -> dict[str, Any]:
    libraries: dict[int, list[dict[str, Any]]] = {}
    for it in chosen:
        libraries.setdefault(it.process.pid, []).append(_library(it))
    return {
        "packages": [
            {
                "state": it.state,
                "package": it.package,
                "from": it.before,
                "to": it.after,
                "cves": list(it.cves),
                "reason": it.reason,
                "pids": it.pids,
            }
            for it in found
        ],
        "processes": [
            {
                "pid": process.pid,
                "command": process.command,
                "service": process.service,
                "note": process.note,
                "libraries": libraries.get(process.pid, []),
            }
            for process in map(process_of, targets)
        ],
    }


def _library(it: PackagedLibrary) -> dict[str, Any]:
    return {
        "path": it.path,
        "package": it.package,
        "began": _version(it.began),
        "runs": _version(it.runs),
        "on_disk": _version(it.on_disk),
        "in_force": it.is_in_force,
        "result": it.result,
        "reason": it.reason,
        "fixed": _fixes(it.fixed),
        "missing": _fixes(it.missing),
    }


def _fixes(it: Fixes) -> dict[str, Any]:
    return {"cves": list(it.cves), "unknown": it.unknown}
