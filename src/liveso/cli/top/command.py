import sys

import click

from liveso.errors import Declined, ExitCode, NotInstalled
from liveso.services.acts import acts_by_daemon
from liveso.settings import read_settings


@click.command()
def top() -> None:
    """Show services and libraries as they change, until q is pressed.

    Keys: w says why, with every reason; r rolls a library back, f lets it go forward again, a allows an update that
    waits, each after a question; / filters.
    """
    settings = read_settings()
    if not all(it is not None and it.isatty() for it in (sys.stdin, sys.stdout, sys.stderr)):  # it draws on the last
        raise Declined("top needs a terminal; `liveso status` shows the same once", ExitCode.BAD_INPUT)
    try:
        from liveso.cli.top.app import Top  # textual is only for this
    except ModuleNotFoundError as error:
        raise NotInstalled(f"top needs the Python package textual ({error}); `liveso status` does not") from error

    Top(acts_by_daemon(settings)).run()
