"""The `liveso` command: one file a subcommand."""

import sys

import typer

from liveso.cli import check, daemon, run, status, why
from liveso.errors import LivesoError

app = typer.Typer(
    name="liveso",
    help="Replace shared libraries inside running processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run", context_settings={"allow_interspersed_args": False})(run.run)
app.command("daemon")(daemon.daemon)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("why")(why.why)


def main() -> None:
    """Run the command; an error that a user can meet becomes one line and its exit code."""
    try:
        app()
    except LivesoError as error:
        print(f"liveso: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
