import os
import shutil
import signal
import sys
from pathlib import Path

import click

import liveso
from liveso.cli.effect import no_effect
from liveso.cli.text import printable
from liveso.errors import CannotExecute, NoProgram, NotInstalled
from liveso.settings import SWITCHES, read_settings


def agent_path() -> Path:
    """Where this installation's live.so lies. Raises NotInstalled where it has none that can be preloaded."""
    path = Path(liveso.__file__).parent / "live.so"
    if not path.is_file():
        raise NotInstalled(f"{path} is missing; install the package again")
    if " " in str(path) or ":" in str(path):
        raise NotInstalled(
            f"{path} cannot be preloaded: LD_PRELOAD takes no path with a space or a colon (ld.so(8)); install liveso "
            "elsewhere"
        )
    return path


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--switch", type=click.Choice(SWITCHES), help="atomic: update a library when no thread is inside it (LIVE_SWITCH)."
)
@click.argument("command", nargs=-1, required=True, metavar="PROGRAM [ARGS]...")
def run(command: tuple[str, ...], switch: str | None) -> None:
    """Run a program with live.so.

    The exit code is the program's own; 127 if there is no such program, 126 if it cannot be run.
    """
    settings = read_settings()
    environment = _own_environment()
    environment["LIVE_SOCKET"], environment["LIVE_LOGLEVEL"] = str(settings.socket), str(settings.loglevel)
    if switch:
        environment["LIVE_SWITCH"] = switch
    if (liveso_command := Path(sys.argv[0]).resolve()).suffix != ".py":  # not `python -m liveso`
        environment.setdefault("LIVE_DAEMON", str(liveso_command))
    program = _find(command[0], environment)
    effect = no_effect(program)
    if effect:
        _warn(f"{command[0]}: live.so has no effect on it: {effect.reason}")
    if not (effect and effect.harms):
        environment["LD_PRELOAD"] = _preloaded(environment.get("LD_PRELOAD", ""), agent_path())
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a program would inherit that
    try:
        os.execve(program, command, environment)
    except FileNotFoundError:
        raise CannotExecute(f"{program}: cannot be run: the interpreter that it names is not there") from None
    except OSError as error:
        raise CannotExecute(f"{program}: cannot be run: {os.strerror(error.errno or 0)}") from error


def _own_environment() -> dict[str, str]:
    """The environment as it was before Python put a locale into it (PEP 538)."""
    environment = dict(os.environ)
    given = Path("/proc/self/environ").read_bytes().split(b"\0")
    if not any(it.startswith(b"LC_CTYPE=") for it in given):
        environment.pop("LC_CTYPE", None)
    return environment


def _find(name: str, environment: dict[str, str]) -> str:
    """The program's path, found as execvp(3) finds it. Raises NoProgram or CannotExecute."""
    path = shutil.which(name, path=environment.get("PATH", os.defpath))
    if path:
        return path
    if "/" not in name:
        raise NoProgram(f"{name}: there is no such program on the PATH")
    if os.path.isdir(name):
        raise CannotExecute(f"{name}: is a directory, not a program")
    if os.path.lexists(name):
        raise CannotExecute(f"{name}: is not executable: permission denied")
    raise NoProgram(f"{name}: there is no such program")


def _preloaded(before: str, agent: Path) -> str:
    """LD_PRELOAD with live.so in front, which is never there twice."""
    entries = [it for it in before.replace(" ", ":").split(":") if it]
    there = [it for it in entries if os.path.basename(it) == agent.name]
    if not there:
        return ":".join([str(agent), *entries])
    if not all(os.path.exists(it) and os.path.samefile(it, agent) for it in there):
        _warn(f"LD_PRELOAD has {there[0]} already, which is used, and not {agent}")
    return before


def _warn(text: str) -> None:
    print(f"liveso: {printable(text)}", file=sys.stderr, flush=True)
