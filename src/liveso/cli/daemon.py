from typing import Annotated

import typer

from liveso.daemon import run_daemon
from liveso.settings import read_settings


def daemon(
    on_demand: Annotated[
        bool, typer.Option("--on-demand", help="Log to a file, and end a while after the last target.")
    ] = False,
) -> None:
    """Serve this user's targets, in the foreground. The first target starts a daemon by itself, too."""
    run_daemon(read_settings(), on_demand)
