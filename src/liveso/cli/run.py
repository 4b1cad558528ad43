import os
import sys

import click

from liveso.cli.preload import become, prepare
from liveso.settings import SWITCHES

_POLICIES = ("ask", "restart", "ignore")


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--switch", type=click.Choice(SWITCHES), help="atomic: update a library when no thread is inside it (LIVE_SWITCH)."
)
@click.option("--build", metavar="COMMAND", help="Build now, and whenever a source changes while the program runs.")
@click.option(
    "--watch",
    "watched",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True),
    help="Where the sources of --build are, may be repeated; the current folder where it is not given.",
)
@click.option(
    "--on-refusal",
    type=click.Choice(_POLICIES),
    help="What to do where --build made what cannot go in: ask (on a terminal), restart the program, or ignore it.",
)
@click.argument("command", nargs=-1, required=True, metavar="PROGRAM [ARGS]...")
def run(
    command: tuple[str, ...],
    switch: str | None,
    build: str | None,
    watched: tuple[str, ...],
    on_refusal: str | None,
) -> int:
    """Run a program with live.so.

    The exit code is the program's own; 127 if there is no such program, 126 if it cannot be run.
    """
    if build is None:
        for option, is_given in (("--watch", watched), ("--on-refusal", on_refusal)):
            if is_given:
                raise click.UsageError(f"{option} is for --build, which is not given")
        become(prepare(command, switch))
    if not build.strip():
        raise click.UsageError("--build names no command")
    can_ask = all(os.isatty(number) for number in (sys.stdin.fileno(), 2)) if sys.stdin else False
    if on_refusal == "ask" and not can_ask:
        raise click.UsageError("--on-refusal ask needs a terminal as standard input and standard error")
    from liveso.cli.rebuild import Plan, keep_building  # what it imports, a program without --build does not wait for

    default = "ask" if can_ask else "ignore"
    return keep_building(Plan(command, switch, build, watched or (".",), on_refusal or default))
