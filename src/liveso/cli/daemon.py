import gc
import os
from dataclasses import replace

import click

from liveso.settings import SWITCHES, read_settings


@click.command()
@click.option("--on-demand", is_flag=True, help="Log to a file, and end a while after the last process.")
@click.option("--all", "everything", is_flag=True, help="Serve all processes of this user; root: of the machine.")
@click.option("--replace", "replaces", is_flag=True, help="End the daemon of this user first, if one runs.")
@click.option(
    "--switch", type=click.Choice(SWITCHES), help="atomic: update a library when no thread is inside it (LIVE_SWITCH)."
)
@click.option(
    "--canary",
    type=click.IntRange(0),
    metavar="N",
    help="Bring a version into N processes first, and into the others after a quiet minute (LIVE_CANARY).",
)
def daemon(on_demand: bool, everything: bool, replaces: bool, switch: str | None, canary: int | None) -> None:
    """Serve this user's processes, in the foreground. The first of them starts a daemon by itself, too.

    With --all, these are not only those that were started with live.so, or attached, but all, also those to come,
    as far as the settings allow and deny them (LIVE_ALLOW, LIVE_DENY).
    """
    settings = read_settings()  # what is wrong there is said before the rest is loaded
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads of numpy that nothing here needs
    gc.disable()  # nothing that is loaded from here on is ever garbage
    from liveso.daemon import run_daemon

    gc.freeze()
    gc.enable()
    canary = settings.canary if canary is None else canary
    run_daemon(replace(settings, switch=switch or settings.switch, canary=canary), on_demand, everything, replaces)
