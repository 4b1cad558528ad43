"""What `liveso top` shows: a row for each library of a service that is not what the process began with, and one for a
service in which all are."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from liveso.client.answer import CURRENT, Library, Status
from liveso.services.by_service import Service, services
from liveso.services.standing import word_rank
from liveso.text import plural


@dataclass(frozen=True, slots=True)
class Row:
    """`library` is its file name, empty where the row is for the others; `word` the result that asks most for
    attention, in `count` of the service's processes; `latest` the library in the one that changed last."""

    service: Service
    library: str = ""
    word: str = ""
    count: int = 0
    text: str = ""
    latest: Library | None = None

    @property
    def key(self) -> str:
        return f"{self.service.key}\n{self.library}"


def rows(status: Status, wanted: str = "") -> list[Row]:
    """Those first that ask for attention; only those in whose service's or library's name `wanted` is a part."""
    return [row for service in services(status.targets) for row in _rows(service) if _is_wanted(row, wanted.lower())]


def _is_wanted(row: Row, wanted: str) -> bool:
    if wanted in row.service.name.lower() or wanted in row.library.lower():
        return True
    return not row.library and any(wanted in os.path.basename(it.path).lower() for it in row.service.libraries)


def _rows(service: Service) -> Iterable[Row]:
    by_name: dict[str, list[Library]] = {}
    for it in service.libraries:
        by_name.setdefault(os.path.basename(it.path), []).append(it)
    loud = {name: those for name, those in by_name.items() if any(it.word != CURRENT for it in those)}
    found = [_row(service, name, those) for name, those in loud.items()]
    yield from sorted(found, key=lambda it: (word_rank(it.word), it.library))
    if service.note:
        yield Row(service, text=f"not served: {service.note}")
    elif not loud:
        yield Row(service, text=plural(len(by_name), "library", "libraries") + " as on disk")


def _row(service: Service, name: str, those: list[Library]) -> Row:
    worst = min((it.word for it in those), key=word_rank)
    such = [it for it in those if it.word == worst]
    latest = max(such, key=lambda it: it.changed)
    return Row(service, name, worst, len(such), latest.reason, latest)


def why(row: Row) -> list[str]:
    """Every reason, with its evidence; what the processes run, and which these are."""
    if row.latest is None:
        return [row.text]
    it = row.latest
    told = list(it.details) or [it.reason or "there is no more to say"]
    told += [f"old code goes on: {text}" for text in it.stale_threads]
    if it.stale_functions:
        told.append(f"pointers still lead to the old code of {', '.join(it.stale_functions)}")
    told += [f"waits for {path}" for path in it.waits_for]
    told.append(f"{it.path} runs {it.name or 'a version that is not known'}")
    if it.refused_version:
        told.append(f"not in force: {it.refused_version[:12]}")
    pids = [target.pid for target in row.service.targets]
    told.append(f"{plural(len(pids), 'process', 'processes')}: {' '.join(map(str, pids))}")
    return told
