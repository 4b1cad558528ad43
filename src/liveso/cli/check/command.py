import json
import os
from dataclasses import asdict

import click

from liveso.cli.check.changes import show_changes
from liveso.cli.check.checked import Checked, Question, check_files, check_packages
from liveso.cli.check.rehearsed import plan_as_json, show_plan
from liveso.cli.screen import Screen
from liveso.errors import ExitCode
from liveso.settings import read_settings
from liveso.text import plural
from liveso.verdict import DebugSource, KeptVerdicts, Policy, Weight

_SHOWN = 5
_STYLES = {Weight.NOTE: "dim", Weight.REFUSES_IF_NEEDED: "yellow", Weight.ASKS: "yellow"}


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
    compare = check_packages if package else check_files
    kept = KeptVerdicts(read_settings().store / "verdicts")
    results = list(compare(what, Question(Policy(policy), source, kept, as_json or verbose, wants_plan)))
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
        more = plural(len(findings) - len(shown), "more finding", "more findings")
        screen.line((f"and {more}; -v shows all", "dim"), indent=2)


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
