import click

from liveso.cli.attach import change
from liveso.cli.processes import chosen
from liveso.errors import ExitCode
from liveso.settings import read_settings


@click.command()
@click.argument("pid", nargs=-1, type=click.IntRange(1))
@click.option("--command", "commands", multiple=True, metavar="NAME", help="All processes that run this command.")
@click.option("--unit", "units", multiple=True, metavar="UNIT", help="All processes of this systemd unit.")
def detach(pid: tuple[int, ...], commands: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Let attached processes go: they keep what they were updated to, and get no further update."""
    if change(read_settings(), "/detach", chosen(pid, commands, units, False), False):
        raise SystemExit(ExitCode.NO)
