import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import liveso
from liveso.errors import LivesoError
from liveso.settings import read_settings


def agent_path() -> Path:
    """Where this installation's live.so lies. Raises LivesoError where it has none."""
    path = Path(liveso.__file__).parent / "live.so"
    if not path.is_file():
        raise LivesoError(f"{path} is missing; install the package again")
    return path


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="PROGRAM [ARGS]...")],
) -> None:
    """Run a program with live.so."""
    settings = read_settings()
    preloaded = os.environ.get("LD_PRELOAD", "")
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{agent_path()}:{preloaded}" if preloaded else str(agent_path()),
        "LIVE_SOCKET": str(settings.socket),
        "LIVE_LOGLEVEL": str(settings.loglevel),
    }
    environment.setdefault("LIVE_DAEMON", str(Path(sys.argv[0]).resolve()))
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise _CannotRun(f"{command[0]}: there is no such program") from None
    except OSError as error:
        raise _CannotRun(f"{command[0]}: cannot be run: {os.strerror(error.errno or 0)}") from error


class _CannotRun(LivesoError):
    exit_code = 127
