"""What the page shows of the daemon's answer, as JSON: small, for a thousand processes, and equal where nothing has
changed. What is known of one cell is told when it is opened."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from liveso.client.answer import CURRENT, Library, Status, Target
from liveso.services.by_service import Service, services
from liveso.services.standing import sentence, word_rank

Json = dict[str, Any]
_MOST_NAMED = 200  # processes of one state


def view(status: Status) -> Json:
    """`head` is what is said first, `services` the rows of the grid by their keys, in the order of their names; `order`
    says which comes first."""
    known = services(status.targets)
    return {
        "head": _head(status, known),
        "order": [it.key for it in known],
        "services": {it.key: _row(it) for it in known},
    }


def _head(status: Status, known: Sequence[Service]) -> Json:
    return {
        "sentence": sentence([it.standing for it in known]),
        "is_clear": bool(known) and all(it.standing.is_clear for it in known),
        "daemon": {"pid": status.pid, "version": status.version},
        "processes": len(status.targets),
        "problems": list(status.problems),
    }


def _row(it: Service) -> Json:
    cells: dict[str, list[Library]] = {}
    for library in it.libraries:
        cells.setdefault(os.path.basename(library.path), []).append(library)
    return {
        "name": it.name,
        "kind": it.place.kind,
        "processes": len(it.targets),
        "note": it.note,
        "cells": {name: _summary(libraries) for name, libraries in sorted(cells.items())},
    }


def _summary(libraries: Iterable[Library]) -> list[Any]:
    """The result that asks most for attention, in how many processes it is so, and in how many the library is."""
    counts = Counter(it.word for it in libraries)
    worst = min(counts, key=word_rank)
    return [worst, counts[worst], counts.total()]


def cell(found: Sequence[tuple[Target, Library]]) -> list[Json]:
    """All that is known of a library in a service: processes of which the same is to be said together, those first
    that ask for attention."""
    together: dict[object, list[tuple[Target, Library]]] = {}
    for target, it in found:
        same = (it.word, it.path, it.version, it.reason, it.details, it.refused_version, it.stale_functions)
        together.setdefault(same, []).append((target, it))
    states = sorted(together.values(), key=lambda them: (word_rank(them[0][1].word), them[0][1].path))
    return [_state(it) for it in states]


def _state(found: Sequence[tuple[Target, Library]]) -> Json:
    library = found[0][1]
    return {
        "word": library.word,
        "path": library.path,
        "version": library.version,
        "build_id": library.build_id,
        "reason": library.reason,
        "details": list(library.details) or ([library.reason] if library.reason else []),
        "refused_version": library.refused_version,
        "waiting_version": library.waiting_version,
        "rolled_back_over": library.rolled_back_over,
        "waits_for": list(library.waits_for),
        "unprotected": library.unprotected,
        "versions_loaded": max(it.versions_loaded for _target, it in found),
        "changed": max(it.changed for _target, it in found),
        "milliseconds": max(it.milliseconds for _target, it in found) if library.word != CURRENT else 0.0,
        "stale_functions": list(library.stale_functions),
        "stale_threads": [text for _target, it in found for text in it.stale_threads],
        "count": len(found),
        "processes": [{"pid": target.pid, "command": target.command} for target, _it in found[:_MOST_NAMED]],
    }


def difference(before: Json | None, now: Json) -> Json:
    """What a browser that shows `before` must be told to show `now`: nothing where that is the same."""
    if before is None:
        return {**now, "is_all": True}
    changed = {key: row for key, row in now["services"].items() if before["services"].get(key) != row}
    gone = [key for key in before["services"] if key not in now["services"]]
    told: Json = {}
    if before["head"] != now["head"]:
        told["head"] = now["head"]
    if changed or gone:
        told |= {"services": changed, "gone": gone}
    if before["order"] != now["order"]:
        told["order"] = now["order"]
    return told
