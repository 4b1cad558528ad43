"""Debian packages for the tests: downloaded once, unpacked below the cache folder, never installed.

They are of one release each, whatever runs the tests, for what is expected was found in these versions. A release
offers two or three versions of a package at a time; where one goes, another takes its place here.
"""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from bench.backtest.releases import Release
from bench.locks import locked
from liveso.errors import PackageError
from liveso.packages import unpack

LIBRARIES = "usr/lib/x86_64-linux-gnu"
RELEASE = "bookworm"
OPENSSL = ("3.0.17-1~deb12u2", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2")
PCRE2 = ("10.42-1", "10.42-1+deb12u2")
PYTHON = ("3.11.2-6+deb12u8", "3.11.2-6+deb12u9")
LIBNFS = ("4.0.0-1", "4.0.0-1+deb12u1")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso-tests"


@cache
def package(name: str, version: str = "", release: str = RELEASE) -> Path:
    """The folder in which a package is unpacked, by default in its newest version. Raises LookupError where the release
    does not offer it."""
    with locked(_CACHE / name):
        found = sorted(_CACHE.glob(f"{name}_{version or '*'}"))
        return found[-1] if found else _download(name, version, _release(release))


def _download(name: str, version: str, release: Release) -> Path:
    madison = ["apt-cache", *release.options, "madison", name]
    shown = subprocess.run(madison, check=True, capture_output=True, text=True).stdout
    offered = [line.split("|")[1].strip() for line in shown.splitlines()]
    if not offered or (version and version not in offered):
        raise LookupError(
            f"Debian {release.name} offers no {name} {version}, but {', '.join(offered) or 'none'}: "
            "choose other versions in tests/packages.py"
        )
    try:
        return unpack(name, version or offered[0], _CACHE, release.options)
    except PackageError as error:
        raise LookupError(str(error)) from error


def release_here() -> str:
    """The code name of the release that runs the tests (os-release(5)), or nothing."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def offered_here(*names: str) -> tuple[str, str, str]:
    """The first of `names` that this machine's own release offers in two versions, the lower and the higher one."""
    for name in names:
        shown = subprocess.run(["apt-cache", "madison", name], check=True, capture_output=True, text=True).stdout
        versions = [line.split("|")[1].strip() for line in shown.splitlines()]
        if len(set(versions)) > 1:
            return name, versions[-1], versions[0]  # apt-cache(8): the newest comes first
    raise LookupError(f"this machine's release offers none of {', '.join(names)} in two versions")


@cache
def _release(name: str) -> Release:
    """A release with lists that are fresh, or were when the last package was asked for by another process."""
    release = Release(name, "amd64", _CACHE / f"lists-{name}")
    release.refresh()
    return release
