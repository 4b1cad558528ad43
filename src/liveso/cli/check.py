import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from liveso import packages
from liveso.cli.changes import show_changes
from liveso.cli.rehearsed import Planned, plan_as_json, show_plan
from liveso.cli.screen import Screen
from liveso.elf import Image, read_image
from liveso.errors import ExitCode, ImageError, LivesoError, PackageError
from liveso.folders import open_folder
from liveso.plan.rehearsal import rehearse
from liveso.settings import read_settings
from liveso.store import Version
from liveso.verdict import (
    DebugSource,
    Finding,
    KeptVerdicts,
    PairAnalysis,
    Policy,
    Summary,
    Verdict,
    Weight,
    analyse_pair,
    summarise,
)

_CACHE_CURE = "set XDG_CACHE_HOME to a folder of your own"
_SHOWN = 5
_LARGEST = 2 << 30  # bytes
_MAGIC = b"\x7fELF"
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_STYLES = {Weight.NOTE: "dim", Weight.REFUSES_IF_NEEDED: "yellow", Weight.ASKS: "yellow"}


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
class _Question:
    policy: Policy
    source: DebugSource
    kept: KeptVerdicts
    wants_all: bool
    wants_plan: bool


@click.command()
@click.argument("what", metavar="OLD NEW", nargs=-1, required=True)
@click.option(
    "--package", is_flag=True, help="PACKAGE: installed against candidate; or PACKAGE=VERSION PACKAGE=VERSION."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--policy", type=click.Choice([it.value for it in Policy]), default="strict", help="Which findings refuse."
)
@click.option(
    "--debug-dir", multiple=True, metavar="FOLDER", help="A folder with debug information, like /usr/lib/debug."
)
@click.option("--debuginfod/--no-debuginfod", default=True, help="Ask the servers in DEBUGINFOD_URLS.")
@click.option("--plan", "wants_plan", is_flag=True, help="Show what an update would open, relink and write.")
@click.option("--verbose", "-v", is_flag=True, help="Show all findings and places.")
def check(
    what: tuple[str, ...],
    package: bool,
    as_json: bool,
    policy: str,
    debug_dir: tuple[str, ...],
    debuginfod: bool,
    wants_plan: bool,
    verbose: bool,
) -> ExitCode:
    """Say whether one version of a library may replace another in a running process.

    OLD and NEW are two files; with --package, one or two packages.

    The exit code is 0 if it may, 1 if not, 2 if the question could not be answered, and 3 if it may in processes that
    do not use what is gone, or changed for its callers, or (--policy ask) after `liveso allow`.
    """
    source = DebugSource(tuple(map(os.path.abspath, debug_dir)) + DebugSource().folders, ("", ""), debuginfod)
    compare = _check_packages if package else _check_files
    kept = KeptVerdicts(read_settings().store / "verdicts")
    results = list(compare(what, _Question(Policy(policy), source, kept, as_json or verbose, wants_plan)))
    if as_json:
        print(json.dumps([_as_json(it) for it in results], indent=2))
    else:
        screen = Screen()
        for number, it in enumerate(results):
            if number:
                screen.line()  # each with its summary is a block
            _show(screen, it, verbose)
            show_changes(screen, it.summary, verbose)
            if it.planned is not None:
                show_plan(screen, it.planned, verbose)
    refused = [it for it in results if it.refusals or it.is_asked]
    if not refused:
        return ExitCode.DONE
    return ExitCode.DEPENDS if all(it.depends or it.is_asked for it in refused) else ExitCode.NO


def _check_files(what: Sequence[str], question: _Question) -> Iterator[Checked]:
    if len(what) != 2:
        raise click.UsageError("give two files, OLD and NEW; or --package and one or two packages")
    old, new = (_read(path) for path in what)
    name = old.soname or os.path.basename(what[0])
    yield _checked(name, (what[0], what[1]), (old, new), (what[0], what[1]), question)


def _check_packages(what: Sequence[str], question: _Question) -> Iterator[Checked]:
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
    question: _Question,
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


def _show(screen: Screen, it: Checked, verbose: bool) -> None:
    refusals = it.refusals
    applies = "can be applied live"
    line = ("refused", "red") if refusals else (applies, "green")
    if it.depends:
        line = (f"{applies}, but not to processes that use what is gone or changed", "yellow")
    elif it.is_asked:
        line = (f"{applies}, after a person has allowed it", "yellow")
    elif it.is_right_outside:
        line = (f"{applies}, when no thread is inside the library", "green")
    screen.line((it.library, "bold"), f" {it.old} → {it.new}: ", line)
    findings = it.verdict.findings
    shown = findings if verbose else (refusals or findings)[:_SHOWN]
    for finding in shown:
        text = f"{finding.rule}: {finding.text}"
        if finding.weight is Weight.REFUSES_IF_NEEDED:
            text += ", for processes that use it"
        screen.line((text, _STYLES.get(finding.weight, "")), indent=2)
        if verbose:
            for place in finding.where:
                screen.line((place, "dim"), indent=6)
    if len(findings) > len(shown):
        screen.line((f"and {len(findings) - len(shown)} more findings; -v shows all", "dim"), indent=2)


def _as_json(it: Checked) -> dict[str, object]:
    return {
        "library": it.library,
        "old": it.old,
        "new": it.new,
        "applies": not it.refusals and not it.is_asked,
        "depends_on_process": it.depends,
        "asks_person": it.is_asked,
        "only_outside": it.is_right_outside,
        "findings": [asdict(finding) for finding in it.verdict.findings],
        "changes": asdict(it.summary),
    } | ({"plan": plan_as_json(it.planned)} if it.planned is not None else {})
