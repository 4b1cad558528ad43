import json
import time

import click

from liveso.cli.answer import PARTLY, UPDATED, Library, Status, Target, read_status
from liveso.cli.ask import ask_daemon
from liveso.cli.blocks import Block, Row, blocks, choose, processes
from liveso.cli.screen import STYLES, Screen
from liveso.cli.text import plural, printable, user_name
from liveso.errors import UnknownTarget
from liveso.settings import Settings, read_settings

__all__ = ["ask_daemon", "status"]

_NONE = "no library is kept up to date"
_SHOWN_NAME = 12  # characters of a container's
_MOST_STALE = 3  # functions that are named where few words are asked for
_RESULT_WIDTH = len(PARTLY)


@click.command()
@click.argument("what", metavar="[PID|NAME]", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all that the daemon knows.")
@click.option("--verbose", "-v", is_flag=True, help="Show each library, every reason, and the daemon.")
def status(what: str, as_json: bool, verbose: bool) -> None:
    """Show the processes, their libraries, the version each runs, and the last result with its reason.

    NAME is a part of a command line, or of a library's path. On a terminal, processes of one program with the same
    results stand together; elsewhere, each line is one library of one process, with tabs between the fields: process
    ID, result, path, build ID, time of the last change, command line, reason.
    """
    settings = read_settings()
    answer = ask_daemon(settings, "/status")
    if as_json and not what:
        print(json.dumps(answer, indent=2))
        return
    known = read_status(answer)
    chosen = choose(known.targets, what)
    if what and not chosen:
        raise UnknownTarget(f"no process or library is called {what}; `liveso status` lists them")
    if as_json:
        pids = {it.pid for it in chosen}
        print(json.dumps({**answer, "targets": [it for it in answer["targets"] if it["pid"] in pids]}, indent=2))
        return
    screen = Screen()
    if screen.is_terminal:
        if verbose:
            screen.line(_daemon(known, settings))
        _show(screen, known, chosen, verbose)
    else:
        _print(known, chosen, verbose)


# --- on a terminal


def _daemon(known: Status, settings: Settings) -> str:
    try:
        owner = user_name(settings.command_socket.stat().st_uid)
    except OSError:  # it has ended since it answered
        owner = "nobody"
    version = f" of liveso {known.version}" if known.version else ""
    return f"{owner}'s daemon{version} (pid {known.pid}, {settings.socket}), which knows only processes that it serves"


def _show(screen: Screen, known: Status, targets: list[Target], is_verbose: bool) -> None:
    for problem in known.problems:
        screen.line(("problem: ", "bold red"), problem)
    if is_verbose or known.problems:
        screen.line()
    if not targets:
        screen.line("no process runs with live.so")
    shown = blocks(targets, is_verbose)
    for before, block in zip([None, *shown], shown, strict=False):
        if before and not (before.is_quiet and block.is_quiet):
            screen.line()
        _show_block(screen, block, is_verbose)


def _show_block(screen: Screen, block: Block, is_verbose: bool) -> None:
    where = f", in container {block.container[:_SHOWN_NAME]}" if block.container else ""
    title = ((block.command, "bold"), f" — {processes(block.pids, is_verbose)}{where}")
    if block.is_quiet:
        screen.line(*title, f": {_current(block)}", hang=4)
        return
    screen.line(*title, hang=4)
    if block.note:
        screen.line(("not served: ", "yellow"), block.note, indent=2)
    for row in block.rows:
        _show_row(screen, row, is_verbose)
    if block.current[1]:
        screen.line(_current(block), indent=2)


def _show_row(screen: Screen, row: Row, is_verbose: bool) -> None:
    it = row.latest
    result = (it.word.ljust(_RESULT_WIDTH), STYLES.get(it.word, ""))
    screen.rows([(result, _moment(it.changed).ljust(10), it.name.ljust(12), it.path)], indent=2)
    for text in _remarks(row, is_verbose):
        screen.line(text, indent=2 + _RESULT_WIDTH + 2)


def _remarks(row: Row, is_verbose: bool) -> list[str]:
    it = row.latest
    remarks = list(it.details) if is_verbose and it.details else [it.reason] if it.reason else []
    if row.stale_functions:
        shown = row.stale_functions if is_verbose else row.stale_functions[:_MOST_STALE]
        more = ", …" if len(shown) < len(row.stale_functions) else ""
        count = plural(len(row.stale_functions), "function", "functions")
        remarks.append(f"pointers still lead to the old code of {count}: {', '.join(shown)}{more}")
    if row.stale_threads:
        shown = row.stale_threads if is_verbose else row.stale_threads[:_MOST_STALE]
        more = f", and {len(row.stale_threads) - len(shown)} more" if len(shown) < len(row.stale_threads) else ""
        remarks.append(f"old code goes on: {', '.join(shown)}{more}")
    if is_verbose:
        if it.result == UPDATED and row.milliseconds:
            remarks.append(f"updated in {row.milliseconds:.0f} ms")
        remarks += [f"waits for {path}" for path in it.waits_for]
        if it.versions_loaded > 1:
            remarks.append(f"{it.versions_loaded} versions are loaded")
        if it.unprotected:
            remarks.append(f"would not survive to be overwritten in place: {it.unprotected}")
    return remarks


def _current(block: Block) -> str:
    least, most = block.current
    if most == 0:
        return _NONE
    return (
        plural(most, "library", "libraries") + " current" if least == most else f"{least} to {most} libraries current"
    )


def _moment(seconds: float) -> str:
    """The time of today, or else the date."""
    then = time.localtime(seconds)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d", then) if seconds else "-"


# --- elsewhere: one record a line


def _print(known: Status, targets: list[Target], is_verbose: bool) -> None:
    for problem in known.problems:
        _record("-", "problem", reason=problem)
    for target in targets:
        pid = str(target.pid)
        if target.note:
            _record(pid, "not-served", command=target.command, reason=target.note)
        elif not target.libraries:
            _record(pid, "no-libraries", command=target.command, reason=_NONE)
        for it in target.libraries:
            _print_library(pid, target.command, it, is_verbose)


def _print_library(pid: str, command: str, it: Library, is_verbose: bool) -> None:
    remarks = _remarks(Row(it, it.milliseconds, it.stale_functions, it.stale_threads), is_verbose)
    changed = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(it.changed)) if it.changed else ""
    _record(pid, it.word.replace(", ", "-").replace(" ", "-"), it.path, it.name, changed, command, "; ".join(remarks))


def _record(
    pid: str, result: str, path: str = "", name: str = "", changed: str = "", command: str = "", reason: str = ""
) -> None:
    print("\t".join(printable(it) or "-" for it in (pid, result, path, name, changed, command, reason)))
