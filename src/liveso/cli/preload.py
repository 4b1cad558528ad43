"""A program with live.so: its path, its environment, and becoming it."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import liveso
from liveso.errors import CannotExecute, NoProgram, NotInstalled
from liveso.settings import read_settings
from liveso.text import printable

IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these signals, and a program would inherit that."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What execve(2) takes."""

    program: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def prepare(command: tuple[str, ...], switch: str | None = None) -> Prepared:
    """The command with live.so in front of its libraries, where that has an effect; where it has none, a line says so.
    Raises NoProgram, CannotExecute, NotInstalled and SettingsError."""
    # numpy's threads come with it: whoever blocks signals must have done so before
    from liveso.cli.effect import no_effect

    settings = read_settings()
    environment = own_environment()
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
    return Prepared(program, command, environment)


def become(prepared: Prepared) -> NoReturn:
    """Execute the program in place of this one. Raises CannotExecute."""
    for number in IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(prepared.program, prepared.command, prepared.environment)
    except OSError as error:
        raise cannot_be_run(prepared.program, error) from error


def cannot_be_run(program: str, error: OSError) -> CannotExecute:
    if isinstance(error, FileNotFoundError):
        return CannotExecute(f"{program}: cannot be run: the interpreter that it names is not there")
    return CannotExecute(f"{program}: cannot be run: {os.strerror(error.errno or 0)}")


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


def own_environment() -> dict[str, str]:
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
