import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from liveso import packages
from liveso.elf import Image, read_image
from liveso.errors import ImageError, PackageError
from liveso.settings import read_settings
from liveso.verdict import DebugSource, Finding, KeptVerdicts, Policy, Verdict, Weight

_SHOWN = 5
_STYLES = {Weight.NOTE: "dim", Weight.REFUSES_IF_NEEDED: "yellow"}


@dataclass(frozen=True)
class Checked:
    """The verdict over one library, with what both versions are called."""

    library: str
    old: str
    new: str
    verdict: Verdict
    can_be_updated: bool

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return self.verdict.refusals(None)

    @property
    def depends(self) -> bool:
        """Whether it is only refused for processes that need what the new version has not."""
        return bool(self.refusals) and not self.verdict.refusals(frozenset())


@dataclass(frozen=True, slots=True)
class _Question:
    policy: Policy
    source: DebugSource
    kept: KeptVerdicts


def check(
    what: Annotated[
        list[str], typer.Argument(metavar="OLD NEW", help="Two files, or with --package one or two packages.")
    ],
    package: Annotated[
        bool,
        typer.Option("--package", help="PACKAGE: installed against candidate; or PACKAGE=VERSION PACKAGE=VERSION."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    policy: Annotated[Policy, typer.Option(help="Which findings refuse.")] = Policy.STRICT,
    debug_dir: Annotated[
        list[str] | None, typer.Option("--debug-dir", help="A folder with debug information, like /usr/lib/debug.")
    ] = None,
    debuginfod: Annotated[
        bool, typer.Option("--debuginfod/--no-debuginfod", help="Ask the servers in DEBUGINFOD_URLS.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all findings and places.")] = False,
) -> None:
    """Say whether one version of a library may replace another in a running process.

    The exit code is 0 if it may, 1 if not, 2 if the question could not be answered, and 3 if it may in processes that
    do not use what is gone, or changed for its callers.
    """
    source = DebugSource(tuple(map(os.path.abspath, debug_dir or ())) + DebugSource().folders, ("", ""), debuginfod)
    compare = _check_packages if package else _check_files
    results = list(compare(what, _Question(policy, source, KeptVerdicts(read_settings().store / "verdicts"))))
    if as_json:
        print(json.dumps([_as_json(it) for it in results], indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for it in results:
            _show(console, it, verbose)
    if any(it.refusals for it in results):
        raise typer.Exit(3 if all(it.depends for it in results if it.refusals) else 1)


def _check_files(what: list[str], question: _Question) -> Iterator[Checked]:
    if len(what) != 2:
        raise typer.BadParameter("give two files, OLD and NEW; or --package and one or two packages")
    old, new = (_read(path) for path in what)
    name = old.soname or os.path.basename(what[0])
    yield Checked(name, what[0], what[1], _judge(old, new, question, (what[0], what[1])), old.machine.can_be_updated)


def _check_packages(what: list[str], question: _Question) -> Iterator[Checked]:
    names = [it.partition("=")[0] for it in what]
    versions = [it.partition("=")[2] for it in what]
    if len(what) == 1 and not versions[0]:
        old_version, new_version = packages.installed_version(names[0]), packages.candidate_version(names[0])
        before = packages.installed_libraries(names[0])
    elif len(what) == 2 and names[0] == names[1] and all(versions):
        old_version, new_version = versions
        before = packages.libraries_in(packages.unpack(names[0], old_version, _cache()))
    else:
        raise typer.BadParameter("give PACKAGE, or PACKAGE=VERSION twice with the same name")
    if old_version == new_version:
        raise PackageError(f"{names[0]}: both versions are {old_version}, so there is nothing to compare")
    after = {it.name: it for it in packages.libraries_in(packages.unpack(names[0], new_version, _cache()))}
    if not before:
        raise PackageError(f"{names[0]} {old_version} has no shared library")
    for it in before:
        if it.name not in after:
            raise PackageError(f"{names[0]} {new_version} has no {it.name}: programs that run keep the one they have")
        other = after[it.name]
        verdict = _judge(it.image, other.image, question, (it.path, other.path))
        yield Checked(it.name, old_version, new_version, verdict, it.image.machine.can_be_updated)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "packages"


def _read(path: str) -> Image:
    try:
        return read_image(Path(path).read_bytes())
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _judge(old: Image, new: Image, question: _Question, paths: tuple[str | Path, str | Path]) -> Verdict:
    old_origin, new_origin = (os.path.dirname(os.path.abspath(path)) for path in paths)
    source = replace(question.source, origins=(old_origin, new_origin))
    return question.kept.judge(old, new, question.policy, source)


def _show(console: Console, it: Checked, verbose: bool) -> None:
    refusals = it.refusals
    applies = "can be applied live" if it.can_be_updated else "compatible, for a machine that liveso cannot update yet"
    line = "[red]refused[/]" if refusals else f"[green]{applies}[/]"
    if it.depends:
        line = f"[yellow]{applies}, but not to processes that use what is gone or changed[/]"
    console.print(f"[bold]{escape(it.library)}[/] {escape(it.old)} → {escape(it.new)}: {line}")
    findings = it.verdict.findings
    shown = findings if verbose else (refusals or findings)[:_SHOWN]
    for finding in shown:
        style = _STYLES.get(finding.weight, "")
        text = f"  {finding.rule}: {finding.text}"
        if finding.weight is Weight.REFUSES_IF_NEEDED:
            text += ", for processes that use it"
        console.print(escape(text), style=style or None)
        if verbose:
            for place in finding.where:
                console.print(f"      {escape(place)}", style="dim")
    if len(findings) > len(shown):
        console.print(f"  and {len(findings) - len(shown)} more findings; -v shows all", style="dim")


def _as_json(it: Checked) -> dict[str, object]:
    return {
        "library": it.library,
        "old": it.old,
        "new": it.new,
        "applies": not it.refusals,
        "depends_on_process": it.depends,
        "findings": [asdict(finding) for finding in it.verdict.findings],
    }
