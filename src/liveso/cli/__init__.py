"""The `liveso` command: one file a subcommand, or one folder, which is loaded when it is asked for.

What a subcommand imports is what its start costs: numpy, drgn and the daemon's parts are for those that need them.
"""

import errno
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeGuard

import click

from liveso.errors import ExitCode, LivesoError
from liveso.text import printable

COMMANDS = {
    "run": "Run a program with live.so.",
    "attach": "Keep processes up to date that run without live.so.",
    "detach": "Let attached processes go.",
    "status": "Show the processes, their libraries, and the last results.",
    "why": "Say why libraries were not updated in running processes.",
    "history": "Show what happened, when, and who did it.",
    "check": "Say whether one version of a library may replace another.",
    "cves": "Show which CVEs are fixed in memory, and which only on disk.",
    "allow": "Apply an update that waits for a person.",
    "rollback": "Take a library back from what lies on disk.",
    "resume": "Let a library that was rolled back run what lies on disk.",
    "restart-needed": "Say which services run old code, and what mends it.",
    "restart": "Restart the services that run old code.",
    "top": "Show services and libraries as they change, in the terminal.",
    "page": "Show services and libraries as they change, in a browser.",
    "daemon": "Serve this user's processes, in the foreground.",
}

_NO_ARGUMENTS: tuple[type[click.UsageError], ...] = (
    (click.exceptions.NoArgsIsHelpError,) if hasattr(click.exceptions, "NoArgsIsHelpError") else ()
)
"""What click raises where nothing is asked; before its version 8.2 it shows the help, and that is all."""

_HIDDEN = frozenset({"before_unpacking", "after_unpacking"})
"""What apt and dnf run (docs/apt.md, docs/dnf.md), written `before-unpacking`, `after-unpacking`."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Commands(click.Group):
    """The subcommands by name; the overview loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        if cmd_name not in COMMANDS and name not in _HIDDEN:
            return None
        found = getattr(import_module(f"liveso.cli.{name}"), name)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = " or ".join(f"'{it}'" for it in get_close_matches(args[0], COMMANDS))
            if not close or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as error:  # before click says something of its own
            raise _Ended(error) from error


class _Ended(Exception):
    """Ctrl-C, or nobody reads any more: nothing is to be said."""

    def __init__(self, cause: BaseException) -> None:
        is_interrupt = isinstance(cause, KeyboardInterrupt)
        self.exit_code = ExitCode.INTERRUPTED if is_interrupt else ExitCode.BROKEN_PIPE


def _show_version(context: click.Context, _option: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from liveso import __version__

        print(f"liveso {__version__}")
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)
def liveso() -> None:
    """Replace shared libraries inside running processes."""


def main(act: Callable[[], object] | None = None) -> None:
    """Run the command, or something else in its place, and exit. What a user can meet becomes one line on standard
    error, and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code: Any = act() if act else liveso.main(prog_name="liveso", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except _Ended as ended:
        code = ended.exit_code
    except BrokenPipeError:
        code = ExitCode.BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        code = ExitCode.INTERRUPTED
    except _NO_ARGUMENTS as error:
        print(error.format_message(), file=sys.stderr)
        code = ExitCode.BAD_INPUT
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_of = context.command_path if context else "liveso"
        said = error.format_message().rstrip(".")
        code = _say(f"{said}{' See' if said.endswith('?') else '; see'} `{help_of} --help`", ExitCode.BAD_INPUT)
    except LivesoError as error:
        code = _say(str(error), error.exit_code)
    except Exception as error:
        code = _output_failed(error) if _is_of_output(error) else _internal(error)
    _forget_output()
    sys.exit(int(code or 0))


def _say(text: str, code: ExitCode) -> ExitCode:
    print(f"liveso: {printable(text)}", file=sys.stderr)
    return code


def _is_of_output(error: Exception) -> TypeGuard[OSError]:
    """Whether it comes from writing what the command prints; files and folders are named in their errors."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _FULL


def _output_failed(error: OSError) -> ExitCode:
    return _say(f"standard output: {os.strerror(error.errno or 0)}", ExitCode.NOT_HERE)


def _internal(error: Exception) -> ExitCode:
    """A fault of ours. Where it is, only whoever asks for it is shown."""
    if os.environ.get("LIVE_LOGLEVEL") == "4":
        import traceback

        traceback.print_exc()
    return _say(
        f"internal error: {type(error).__name__}: {error}; this is a fault in liveso, please report it with what "
        "LIVE_LOGLEVEL=4 shows",
        ExitCode.INTERNAL,
    )


def _forget_output() -> None:
    """What could not be written is not tried again, with a complaint, when the interpreter ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
