import json
import sys
import time

import click

from liveso.cli.rows import NO_LIBRARY, in_words, remarks_on, show_row
from liveso.cli.screen import Screen
from liveso.client.answer import Library, Status, Target
from liveso.client.gather import as_one, gather, problems_of
from liveso.errors import UnknownTarget
from liveso.services.blocks import Block, Row, blocks, choose, processes
from liveso.settings import Settings, read_settings
from liveso.text import printable, user_name

_SHOWN_NAME = 12  # characters of a container's


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
    gathered = gather(settings)
    if gathered.missing and not gathered.others:
        raise gathered.missing
    if as_json and not what:
        print(json.dumps(as_one(gathered), indent=2))
        return
    known = gathered.status
    claims = gathered.claims()
    chosen = choose((it.target for it in claims), what)
    if what and not chosen:
        raise UnknownTarget(f"no process or library is called {what}; `liveso status` lists them")
    if as_json:
        print(json.dumps(as_one(gathered, {it.pid for it in chosen}), indent=2))
        return
    screen = Screen()
    if not screen.is_terminal:
        _print(known, chosen, verbose)
    elif verbose:
        if gathered.answer:
            screen.line(_daemon(known, settings))
        _show(screen, known, chosen)
    else:
        from liveso.cli.glance import show  # looks at the processes themselves

        show(screen, known.problems, claims, chosen, settings)
    for text in (*([str(gathered.missing)] if gathered.missing else []), *problems_of(gathered.others)):
        print(f"liveso: {printable(text)}", file=sys.stderr)


# --- on a terminal


def _daemon(known: Status, settings: Settings) -> str:
    try:
        owner = user_name(settings.command_socket.stat().st_uid)
    except OSError:  # it has ended since it answered
        owner = "nobody"
    version = f" of liveso {known.version}" if known.version else ""
    return f"{owner}'s daemon{version} (pid {known.pid}, {settings.socket}), which knows only processes that it serves"


def _show(screen: Screen, known: Status, targets: list[Target]) -> None:
    for problem in known.problems:
        screen.line(("problem: ", "bold red"), problem)
    screen.line()
    if not targets:
        screen.line("no process runs with live.so")
    shown = blocks(targets, is_verbose=True)
    for before, block in zip([None, *shown], shown, strict=False):
        if before and not (before.is_quiet and block.is_quiet):
            screen.line()
        _show_block(screen, block)


def _show_block(screen: Screen, block: Block) -> None:
    where = f", in container {block.container[:_SHOWN_NAME]}" if block.container else ""
    title = ((block.command, "bold"), f" — {processes(block.pids, is_verbose=True)}{where}")
    if block.is_quiet:
        screen.line(*title, f": {in_words(block.current)}", hang=4)
        return
    screen.line(*title, hang=4)
    if block.note:
        screen.line(("not served: ", "yellow"), block.note, indent=2)
    for row in block.rows:
        show_row(screen, row, is_verbose=True)
    if block.current[1]:
        screen.line(in_words(block.current), indent=2)


# --- elsewhere: one record a line


def _print(known: Status, targets: list[Target], is_verbose: bool) -> None:
    for problem in known.problems:
        _record("-", "problem", reason=problem)
    for target in targets:
        pid = str(target.pid)
        if target.note:
            _record(pid, "not-served", command=target.command, reason=target.note)
        elif not target.libraries:
            _record(pid, "no-libraries", command=target.command, reason=NO_LIBRARY)
        for it in target.libraries:
            _print_library(pid, target.command, it, is_verbose)


def _print_library(pid: str, command: str, it: Library, is_verbose: bool) -> None:
    remarks = remarks_on(Row(it, it.milliseconds, it.stale_functions, it.stale_threads), is_verbose)
    changed = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(it.changed)) if it.changed else ""
    _record(pid, it.word.replace(", ", "-").replace(" ", "-"), it.path, it.name, changed, command, "; ".join(remarks))


def _record(
    pid: str, result: str, path: str = "", name: str = "", changed: str = "", command: str = "", reason: str = ""
) -> None:
    print("\t".join(printable(it) or "-" for it in (pid, result, path, name, changed, command, reason)))
