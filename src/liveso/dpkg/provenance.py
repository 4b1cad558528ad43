"""Where a version of a library came from, as it is kept beside the version: what packages say later may be less."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cmp_to_key
from typing import Any

from debian.debian_support import version_compare

from liveso.dpkg.changelog import Entry
from liveso.dpkg.database import Package
from liveso.dpkg.release import Release

MOST = 16  # packages that had the same content
_LONGEST = 512  # characters of a name or a version
_MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Provenance:
    """The package whose file it was, its distribution, and the entries of its changelog, newest first; none where that
    was not there."""

    package: Package
    release: Release
    entries: tuple[Entry, ...] = ()


def newest(known: Iterable[Provenance], source: str = "") -> Provenance | None:
    """Of several packages with the same content, the newest: the content has in it what all of them have. Those of the
    `source` package go first."""
    found = sorted(known, key=cmp_to_key(_compare))
    own = [it for it in found if it.package.source == source]
    return own[-1] if own else found[-1] if found else None


def _compare(one: Provenance, other: Provenance) -> int:
    versions = one.package.version, other.package.version
    try:
        return int(version_compare(*versions))
    except ValueError:
        return (versions[0] > versions[1]) - (versions[0] < versions[1])


def to_json(known: Iterable[Provenance]) -> bytes:
    rows = [
        {
            "package": asdict(it.package),
            "release": asdict(it.release),
            "entries": [[e.version, e.cves] for e in it.entries],
        }
        for it in known
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def from_json(content: bytes) -> tuple[Provenance, ...]:
    """What `to_json` made. Raises ValueError for anything else."""
    try:
        rows = json.loads(content)
        return tuple(
            Provenance(
                Package(**_texts(it["package"])),
                Release(**_texts(it["release"])),
                tuple(
                    Entry(_text(version), tuple(map(_text, cves))) for version, cves in it["entries"][:_MOST_ENTRIES]
                ),
            )
            for it in rows[:MOST]
        )
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("not what is known of a version's packages") from error


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in fields.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("a text is expected")
    return value
