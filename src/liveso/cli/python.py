"""`python -m liveso script.py`: a Python program whose extension modules are kept up to date."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from liveso.cli.preload import Prepared, become, prepare
from liveso.errors import NoScript

_OPTIONS = ("-m", "-c")


def is_program(words: Sequence[str], commands: Sequence[str]) -> bool:
    """Whether the words behind `python -m liveso` are a script, a module or code, and not for the `liveso` command."""
    if not words:
        return False
    if words[0].startswith("-"):
        return words[0] == "-" or words[0].startswith(_OPTIONS)
    return words[0] not in commands


def run_python(words: Sequence[str]) -> NoReturn:
    """Become this interpreter with live.so, to run what the words say. Raises NoScript where there is no script of
    that name, and as `prepare` does."""
    script = words[0]
    if not script.startswith("-") and not os.path.exists(script):
        raise NoScript(f"{script}: there is no such script, and no such command; see `liveso --help`")
    options = interpreter_options(sys.orig_argv, len(sys.argv) - 1)
    prepared = prepare((sys.executable or "/proc/self/exe", *options, *words))
    # by its own name: what that is, is what a virtual environment is found by
    become(Prepared(prepared.program, (sys.orig_argv[0], *prepared.command[1:]), prepared.environment))


def interpreter_options(words: Sequence[str], arguments: int) -> list[str]:
    """The options of an interpreter that was started as `words`: what stands before `-m liveso` and its `arguments`."""
    options = list(words[1 : len(words) - arguments])
    last = options.pop() if options else ""
    if last == "liveso" and options:
        last = options.pop()
    rest = last.removesuffix("liveso").removesuffix("m")
    return [*options, rest] if rest not in ("", "-") else options


def note_of_script(word: str) -> str:
    """What to do for a script that is called as a command is; empty where there is none."""
    if not Path(word).is_file():
        return ""
    return f"{word} is a command of liveso; for the script of this name: python -m liveso ./{word}"
