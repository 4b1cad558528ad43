"""What a person means who names a library, and a version by the beginning of its number."""

import os
import re
from collections.abc import Collection, Iterable, Mapping

from liveso.daemon.state import Library, ServedTarget
from liveso.errors import Declined, ExitCode
from liveso.store import Version

_BEGINNING = re.compile(r"[0-9a-f]{6,128}")


def is_called(path: str, name: str) -> bool:
    """Whether `name` is the path, or its base name."""
    return name in (path, os.path.basename(path))


def libraries_called(name: str, targets: Iterable[ServedTarget], see: str) -> list[tuple[ServedTarget, Library]]:
    """The libraries of a name, with their targets. Raises Declined where there are none; `see` says where to look."""
    named = [(served, it) for served in targets for it in served.libraries.values() if is_called(it.path, name)]
    if not named:
        raise Declined(f"no process has a library {name}; {see}", ExitCode.NO)
    return named


def beginning_of_version(text: str, see: str) -> str:
    """The beginning of a SHA-256 or a build ID. Raises Declined where `text` is none; `see` says where to look."""
    if not _BEGINNING.fullmatch(text.lower()):
        raise Declined(
            f"{text}: is no version: give at least 6 hexadecimal digits of its SHA-256 or build ID; {see}",
            ExitCode.BAD_INPUT,
        )
    return text.lower()


def only_one(beginning: str, names: Mapping[Version, Collection[str]], library: str) -> Version | None:
    """The version one of whose `names` has this beginning. Raises Declined where there are several."""
    found = [version for version, name in names.items() if any(it.startswith(beginning) for it in name)]
    if len(found) > 1:
        several = ", ".join(sorted(it.digest[:16] for it in found))
        raise Declined(f"{beginning}: several versions of {library} begin so: {several}", ExitCode.BAD_INPUT)
    return found[0] if found else None
