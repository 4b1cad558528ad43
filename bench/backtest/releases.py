"""Which library packages of a Debian release have two versions on offer, by an apt configuration of its own."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path

from debian.deb822 import Packages
from debian.debian_support import Version

from bench.locks import locked

_SUITES = {"debian": ("{0}", "{0}-updates"), "debian-security": ("{0}-security",)}
_FRESH = 600  # seconds
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Update:
    """One package of which a release offers two versions: `old` is the lowest, `new` the highest of them."""

    release: str
    package: str
    source: str
    old: str
    new: str


@dataclass(frozen=True)
class Release:
    """A release by its code name, with the folder that holds apt's lists of it."""

    name: str
    architecture: str
    folder: Path

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Options of apt-get under which it sees this release only."""
        settings = {
            "Dir::Etc::SourceList": self.folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        return tuple(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))

    def refresh(self) -> None:
        """Fetch the lists, where nobody did lately. Raises CalledProcessError where apt cannot."""
        fetched = self.folder / "fetched"
        with locked(self.folder):
            if not fetched.exists() or not 0 <= time.time() - fetched.stat().st_mtime < _FRESH:
                self._fetch()
                fetched.touch()

    def _fetch(self) -> None:
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        lines = [
            f"deb [signed-by={_KEYS}] {mirror} {suite.format(self.name)} main"
            for mirror in _mirrors()
            for suite in _SUITES[mirror.rstrip("/").rpartition("/")[2]]
        ]
        (self.folder / "sources.list").write_text("\n".join(lines) + "\n")
        subprocess.run(["apt-get", *self.options, "update", "-qq"], check=True)

    def updates(self) -> list[Update]:
        """The library packages with more than one version, by name."""
        offered: dict[str, dict[str, str]] = {}
        for paragraph in self._paragraphs():
            if _is_library(paragraph):
                source = str(paragraph.get("Source", paragraph["Package"])).split(" ")[0]
                offered.setdefault(paragraph["Package"], {})[paragraph["Version"]] = source
        return [
            Update(self.name, package, versions[ordered[-1]], ordered[0], ordered[-1])
            for package, versions in sorted(offered.items())
            if len(ordered := sorted(versions, key=Version)) > 1
        ]

    def _paragraphs(self) -> Iterator[Packages]:
        shown = ["apt-get", *self.options, "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]
        for name in subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split():
            content = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", name], check=True, capture_output=True)
            yield from Packages.iter_paragraphs(content.stdout.decode().splitlines(), use_apt_pkg=False)


def some_of_each_source(updates: list[Update], count: int) -> list[Update]:
    """Source packages with hundreds of small libraries would be all that is seen."""
    by_source = groupby(sorted(updates, key=lambda it: (it.source, it.package)), key=lambda it: it.source)
    return [update for _source, group in by_source for update in islice(group, count)]


def _is_library(paragraph: Packages) -> bool:
    depends_on_one_version = paragraph["Package"].endswith(("-dev", "-dbg", "-doc"))
    return paragraph.get("Section") == "libs" and not depends_on_one_version


def _mirrors() -> list[str]:
    """Where this machine takes Debian's main and security archives from."""
    shown = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = set(subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split())
    return sorted(it for it in found if it.rstrip("/").rpartition("/")[2] in _SUITES)
