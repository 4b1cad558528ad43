"""A copy of the Debian security tracker's data (its file data/json): which version of a source fixes which CVE."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debian.debian_support import Version

from liveso.errors import BadTracker

_LARGEST = 1 << 30  # bytes; it has some 70 MB


@dataclass(frozen=True, slots=True)
class Tracker:
    """By source package, CVE and release."""

    sources: Mapping[str, Any]

    def knows(self, source: str) -> bool:
        """Whether it has anything of a source. One that it does not have is without CVEs, or not Debian's."""
        return source in self.sources

    def fixed(self, source: str, release: str, above: str, up_to: str) -> list[str]:
        """The CVEs that a release fixed in (above, up_to]. Raises ValueError where a version is none."""
        low, high, found = Version(above), Version(up_to), []
        for cve, it in _mapping(self.sources.get(source)).items():
            row = _mapping(_mapping(_mapping(it).get("releases")).get(release))
            version = row.get("fixed_version")
            is_fixed = row.get("status") == "resolved" and isinstance(version, str) and version not in ("", "0")
            if is_fixed and low < Version(version) <= high:  # "0": the release never had it
                found.append(cve)
        return found

    def description(self, source: str, cve: str) -> str:
        """What it says of a CVE in a sentence; empty where it says nothing."""
        text = _mapping(_mapping(self.sources.get(source)).get(cve)).get("description")
        return text if isinstance(text, str) else ""


def read_tracker(path: Path) -> Tracker:
    """Raises BadTracker where the file is no such copy."""
    try:
        if path.stat().st_size > _LARGEST:
            raise BadTracker(f"{path}: larger than {_LARGEST >> 30} GiB, so not a copy of the security tracker's data")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise BadTracker(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(it, dict) for it in found.values()):
        raise BadTracker(
            f"{path}: not a copy of the security tracker's data: a JSON object of source packages is expected, as "
            "Debian's security tracker has it in data/json"
        )
    return Tracker(found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
