"""The `liveso` command, for modules: its JSON and its exit codes are all that they know of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any, Callable

COMMON: dict[str, Any] = {
    "executable": {"type": "str", "default": "liveso"},
    "command_timeout": {"type": "int", "default": 60},
}
"""The options of plugins/doc_fragments/common.py."""
NO_DAEMON = 4
_QUESTION_IS_WRONG = 2
_INTERNAL = 70
_LONGEST = 2000  # characters of what a command said, in a message


class Trouble(Exception):
    """What the user of a module is told; `facts` are returned with it."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class NoDaemon(Trouble):
    """No daemon answers."""


class Unavailable(Trouble):
    """This liveso has no such subcommand or option, or is not there at all."""


class Ran:
    """What a command has printed and said, and its exit code."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors

    @property
    def said(self) -> str:
        text = "; ".join(line.strip() for line in (self.errors or self.output).splitlines() if line.strip())
        text = text[len("liveso: ") :] if text.startswith("liveso: ") else text
        return text[:_LONGEST] or f"it ended with exit code {self.code}"


def run(command: Sequence[str], limit: float) -> Ran:
    """Raises Trouble where it does not end in time, or cannot be run."""
    # what people set for their terminals would change what is printed
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"`{' '.join(command)}` has not ended within {limit:.0f} s") from None
    except OSError as error:
        raise Trouble(f"`{command[0]}` cannot be run: {os.strerror(error.errno or 0)}") from None
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


class Liveso:
    """`find` is where a command lies, or nothing (AnsibleModule.get_bin_path)."""

    def __init__(self, executable: str, limit: float, find: Callable[[str], str | None]) -> None:
        self._executable, self._limit, self._find = executable, limit, find

    def call(self, *arguments: str, limit: float | None = None) -> Ran:
        """Raises NoDaemon, Unavailable, Trouble. What the exit codes 1 and 3 say is the caller's to know."""
        path = self._find(self._executable)
        if not path:
            raise Unavailable(f"there is no `{self._executable}` on this machine: install liveso (role liveso)")
        ran = run([path, *arguments], limit or self._limit)
        if ran.code == NO_DAEMON:
            raise NoDaemon(f"no daemon of liveso answers on this machine; `systemctl start liveso` ({ran.said})")
        if ran.code == _QUESTION_IS_WRONG and ("No such command" in ran.errors or "No such option" in ran.errors):
            raise Unavailable(f"this liveso is too old for `liveso {arguments[0]}`: {ran.said}")
        if ran.code == _INTERNAL or ran.code < 0:
            raise Trouble(f"`liveso {' '.join(arguments)}` failed: {ran.said}")
        return ran

    def json(self, *arguments: str, limit: float | None = None) -> Any:
        """What it prints with --json. Raises as `call`, and where it is no JSON."""
        ran = self.call(*arguments, "--json", limit=limit)
        try:
            return json.loads(ran.output)
        except ValueError:
            raise Trouble(f"`liveso {' '.join(arguments)} --json`: {ran.said}") from None

    def status(self) -> dict[str, Any]:
        return dict(self.json("status"))

    def history(self, since: float = 0.0) -> list[dict[str, Any]]:
        """The last events since a time; none where this liveso has no history."""
        try:
            events = self.json("history", "--limit", "10000")
        except Unavailable:
            return []
        return [it for it in events if it.get("time", 0) >= since]


def liveso_of(module: Any) -> Liveso:
    """For an AnsibleModule."""
    return Liveso(
        module.params["executable"],
        module.params["command_timeout"],
        lambda name: module.get_bin_path(name, required=False, opt_dirs=["/usr/local/bin", "/usr/bin"]),
    )


def answer(module: Any, work: Callable[[Any], dict[str, Any]]) -> None:
    """Do the work of a module, and answer in its way, whatever happens."""
    try:
        result = work(module)
    except Trouble as trouble:
        module.fail_json(**{"changed": False, **trouble.facts, "msg": str(trouble)})
    except Exception as error:  # its answer is a sentence, and no traceback
        module.fail_json(msg=f"a fault in the module: {type(error).__name__}: {error}", changed=False)
    else:
        module.exit_json(**result)
