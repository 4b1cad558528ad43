"""What `liveso check` works out: the verdict over two files, or over the libraries of two packages."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from liveso import packages
from liveso.cli.check.rehearsed import Planned
from liveso.elf import Image, read_image
from liveso.errors import ImageError, LivesoError, PackageError
from liveso.folders import open_folder
from liveso.plan.rehearsal import rehearse
from liveso.store import Version
from liveso.verdict import (
    DebugSource,
    Finding,
    KeptVerdicts,
    PairAnalysis,
    Policy,
    Summary,
    Verdict,
    analyse_pair,
    summarise,
)

_CACHE_CURE = "set XDG_CACHE_HOME to a folder of your own"
_LARGEST = 2 << 30  # bytes
_MAGIC = b"\x7fELF"
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Checked:
    """The verdict over one library, with what both versions are called."""

    library: str
    old: str
    new: str
    verdict: Verdict
    summary: Summary
    planned: Planned | None

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return self.verdict.refusals(None)

    @property
    def depends(self) -> bool:
        """Whether it is only refused for processes that need what the new version has not."""
        return bool(self.refusals) and not self.verdict.refusals(frozenset())

    @property
    def is_right_outside(self) -> bool:
        """Whether it is applied when no thread is inside the library."""
        return self.verdict.is_right_outside and not self.refusals

    @property
    def is_asked(self) -> bool:
        """Whether nothing but a person's word is missing."""
        return bool(self.verdict.questions) and not self.verdict.refusals(frozenset())


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each pair of versions."""

    policy: Policy
    source: DebugSource
    kept: KeptVerdicts
    wants_all: bool
    wants_plan: bool


def check_files(what: Sequence[str], question: Question) -> Iterator[Checked]:
    if len(what) != 2:
        raise click.UsageError("give two files, OLD and NEW; or --package and one or two packages")
    old, new = (_read(path) for path in what)
    name = old.soname or os.path.basename(what[0])
    yield _checked(name, (what[0], what[1]), (old, new), (what[0], what[1]), question)


def check_packages(what: Sequence[str], question: Question) -> Iterator[Checked]:
    names = [it.partition("=")[0] for it in what]
    versions = [it.partition("=")[2] for it in what]
    if len(what) == 1 and not versions[0]:
        old_version, new_version = packages.installed_version(names[0]), packages.candidate_version(names[0])
        before = packages.installed_libraries(names[0])
    elif len(what) == 2 and names[0] == names[1] and all(versions):
        old_version, new_version = versions
        before = packages.libraries_in(packages.unpack(names[0], old_version, _cache()))
    else:
        raise click.UsageError("give PACKAGE, or PACKAGE=VERSION twice with the same name")
    if old_version == new_version:
        raise PackageError(f"{names[0]}: both versions are {old_version}, so there is nothing to compare")
    after = {it.name: it for it in packages.libraries_in(packages.unpack(names[0], new_version, _cache()))}
    if not before:
        raise PackageError(f"{names[0]} {old_version} has no shared library")
    for it in before:
        if it.name not in after:
            raise PackageError(f"{names[0]} {new_version} has no {it.name}: programs that run keep the one they have")
        other = after[it.name]
        images, paths = (it.image, other.image), (it.path, other.path)
        yield _checked(it.name, (old_version, new_version), images, paths, question)


def _cache() -> Path:
    """Where packages are unpacked, which nobody else may write to. Raises UnsafePath."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "packages"
    try:
        with open_folder(cache, _CACHE_CURE, make=True):
            return cache
    except OSError as error:
        raise PackageError(f"{cache}: cannot be used ({os.strerror(error.errno or 0)}); {_CACHE_CURE}") from error


def _read(path: str) -> Image:
    """Raises ImageError, which says what the path is instead, where it is no library that can be read."""
    try:
        kind = os.stat(path)
        if not stat.S_ISREG(kind.st_mode):
            raise ImageError(f"{path}: is {_KINDS.get(stat.S_IFMT(kind.st_mode), 'no regular file')}, not a file")
        if kind.st_size == 0:
            raise ImageError(f"{path}: is empty")
        if kind.st_size > _LARGEST:
            raise ImageError(f"{path}: has {kind.st_size} bytes; a library of more than {_LARGEST} is not read")
        with Path(path).open("rb") as file:
            start = file.read(len(_MAGIC))
            return read_image(start + file.read() if start == _MAGIC else start)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    except ValueError as error:  # a path with a zero byte
        raise ImageError(f"{path}: cannot be read ({error})") from error
    except ImageError as error:
        raise ImageError(str(error) if str(error).startswith(path) else f"{path}: {error}") from error


def _checked(
    library: str,
    names: tuple[str, str],
    images: tuple[Image, Image],
    paths: tuple[str | Path, str | Path],
    question: Question,
) -> Checked:
    old_origin, new_origin = (os.path.dirname(os.path.abspath(path)) for path in paths)
    source = replace(question.source, origins=(old_origin, new_origin))
    planned: Planned | None = None
    if question.wants_plan:
        analysis = analyse_pair(*images, question.kept, question.policy, source)
        verdict, planned = analysis.verdict, _planned(images, analysis)
    else:
        verdict = question.kept.judge(*images, question.policy, source)
    summary = summarise(*images, reads_all=question.wants_all)
    return Checked(library, *names, verdict, summary, planned)


def _planned(images: tuple[Image, Image], analysis: PairAnalysis) -> Planned:
    old, new = images
    if analysis.verdict.refusals(frozenset()):
        return Planned(None, "the new version is refused", images)
    if old.content == new.content:
        return Planned(None, "both versions are the same", images)
    versions = Version.of(old.content), Version.of(new.content)
    try:
        return Planned(rehearse(old, new, versions, analysis), "", images)
    except LivesoError as error:
        return Planned(None, str(error), images)
