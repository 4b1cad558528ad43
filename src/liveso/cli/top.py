import sys
from functools import partial

import click

from liveso.client.answer import read_status
from liveso.client.ask import LIMIT, ask_daemon, ask_for
from liveso.errors import Declined, ExitCode, NotInstalled
from liveso.services.acts import Acts
from liveso.settings import read_settings


@click.command()
def top() -> None:
    """Show services and libraries as they change, until q is pressed.

    Keys: w says why, with every reason; r rolls a library back, f lets it go forward again, a allows an update that
    waits, each after a question; / filters.
    """
    settings = read_settings()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Declined("top needs a terminal; `liveso status` shows the same once", ExitCode.BAD_INPUT)
    try:
        from liveso.cli.top_app import Top  # textual is only for this
    except ModuleNotFoundError as error:
        raise NotInstalled(f"top needs the Python package textual ({error}); `liveso status` does not") from error

    ask = partial(ask_daemon, settings, "/status")
    Top(
        Acts(
            ask=lambda: read_status(ask()),
            order=lambda path, question, wait: ask_for(settings, path, question, wait + LIMIT),
        )
    ).run()
