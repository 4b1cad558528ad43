"""Which package a file is from, by rpm itself: its database has one of several forms, of which it knows each.

The database names each file with the digest of what the package brought. So a file is known by its path and its content
together, as in dpkg's (`liveso.dpkg`). rpm is asked for the daemon's own root only, never for a container's.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from liveso.dpkg import Package, merged

_FILES = "rpmdb.sqlite", "Packages", "Packages.db"
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}  # by the length of a digest
_VERSION = "%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}"
_FORMAT = rf"=%{{NAME}}\t{_VERSION}\t%{{ARCH}}\t%{{SOURCERPM}}\n[-%{{FILEDIGESTS}}\t%{{FILENAMES}}\n]"
_SOURCE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(?:no)?src\.rpm")
_LIMIT = 20.0  # seconds


def owner(path: str, opened: Callable[[], int]) -> Package | None:
    """The package of the file at `path`, which has no symbolic links, if the content, which is `opened`, is that of the
    package. None where there is no rpm or no database of its own. Raises OSError."""
    if not _has_database():
        return None
    with suppress(subprocess.SubprocessError):
        return owner_in(_ask("--query", "--queryformat", _FORMAT, "--file", path), path, opened)
    return None


def owner_in(answer: str, path: str, opened: Callable[[], int]) -> Package | None:
    """Packages of several architectures may have the same file."""
    package = None
    for line in answer.splitlines():
        fields = line[1:].split("\t")
        if line.startswith("=") and len(fields) == 4:
            package = _package(*fields)
        elif line.startswith("-") and len(fields) == 2 and package:
            digest, name = fields
            if merged(name) == merged(path) and digest in _digests(digest, opened):
                return package
    return None


def _package(name: str, version: str, architecture: str, source: str) -> Package:
    found = _SOURCE.fullmatch(source)
    return Package(name, version, architecture, found["name"] if found else name, version)


def _digests(like: str, opened: Callable[[], int]) -> list[str]:
    """The content's digest, of the same kind as another one."""
    algorithm = _ALGORITHMS.get(len(like))
    if algorithm is None:
        return []
    with os.fdopen(opened(), "rb") as file:
        return [_digest(file, algorithm)]


def _digest(file: IO[bytes], algorithm: str) -> str:
    found = hashlib.new(algorithm, usedforsecurity=False)
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _has_database() -> bool:
    """rpm makes a database where it has none, as on a Debian that has it as a tool only."""
    folder = _folder()
    return bool(folder) and any(Path(folder, it).exists() for it in _FILES)


@cache
def _folder() -> str:
    with suppress(OSError, subprocess.SubprocessError):
        return _ask("--eval", "%{_dbpath}").strip()
    return ""


def _ask(*arguments: str) -> str:
    """What rpm says. Files that no package has, or that are gone, are an exit code and no line as above."""
    return subprocess.run(
        ["rpm", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_LIMIT,
        encoding="utf-8",
        errors="surrogateescape",
    ).stdout
