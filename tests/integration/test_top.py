"""`liveso top` in a terminal: tmux shows what is on it, and types."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liveso.errors import ExitCode
from tests.harness import wait_until
from tests.listeners import command
from tests.made_up import MadeUpDaemon, library, made_up_daemon, status, target

WHY = "3 functions witness that a member moved"
REFUSED = library("libssl.so.3", "refused", reason=WHY, details=[WHY, "debug-information: none"])


class Terminal:
    """A tmux server of the test's own, with a program in its only pane."""

    def __init__(self, folder: Path, variables: dict[str, str], *program: str) -> None:
        self._tmux = ("tmux", "-f", os.devnull, "-S", str(folder / "tmux.sock"))
        set_up = [f"{name}={value}" for name, value in variables.items() if name.startswith(("LIVE_", "HOME"))]
        line = shlex.join(["env", "-u", "COLUMNS", "-u", "LINES", *set_up, *program]) + "; echo ended with $?; exec cat"
        self._run("new-session", "-d", "-x", "130", "-y", "30", line)

    def _run(self, *arguments: str) -> str:
        return subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True).stdout

    def type(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def shows(self, *texts: str) -> str:
        """Wait until all of them are on the screen, and return that."""
        last = [""]

        def find() -> bool:
            last[0] = self._run("capture-pane", "-p")
            words = " ".join(last[0].split())  # a sentence may go on in the next line
            return all(text in words for text in texts)

        wait_until(find, lambda: f"{texts} on\n{last[0]}")
        return last[0]

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[MadeUpDaemon]:
    answer = status(target(101, "nginx.service", REFUSED), target(7, "redis.service", library("libz.so.1", "updated")))
    with made_up_daemon(tmp_path, answer) as it:
        yield it


@pytest.fixture
def terminal(tmp_path: Path, daemon: MadeUpDaemon) -> Iterator[Terminal]:
    it = Terminal(tmp_path, daemon.variables, sys.executable, "-m", "liveso", "top")
    yield it
    it.end()


def test_it_shows_says_why_takes_back_filters_and_ends(terminal: Terminal, daemon: MadeUpDaemon) -> None:
    terminal.shows("1 of 2 services needs a restart.", "nginx.service", "✗ refused", "libssl.so.3", "redis.service")
    terminal.type("w")
    terminal.shows("libssl.so.3 in nginx.service: refused", "debug-information: none")
    terminal.type("Escape")
    terminal.type("Down")
    terminal.type("r")
    terminal.shows("Take libz.so.1 in redis.service back to the version before?")
    terminal.type("y")
    wait_until(lambda: [path for path, _question in daemon.questions] == ["/rollback"], "the rollback")
    terminal.type("/", "redis")
    wait_until(lambda: "nginx" not in terminal.shows("redis.service"), "a screen without nginx")
    terminal.type("Escape")
    terminal.shows("nginx.service")
    terminal.type("q")
    terminal.shows("ended with 0")


def test_it_waits_for_a_daemon_that_comes_and_goes(tmp_path: Path) -> None:
    with made_up_daemon(tmp_path, status(target(1, "a.service", library("x.so", "updated")))) as daemon:
        variables = daemon.variables
    terminal = Terminal(tmp_path, variables, sys.executable, "-m", "liveso", "top")
    try:
        terminal.shows("No daemon answers.", "there is no such socket")
        with made_up_daemon(tmp_path, daemon.status):
            terminal.shows("The only service runs what is on disk.", "a.service")
        terminal.shows("No daemon answers.", "a.service")
        terminal.type("q")
        terminal.shows("ended with 0")
    finally:
        terminal.end()


def test_elsewhere_than_on_a_terminal_it_says_what_to_use(daemon: MadeUpDaemon) -> None:
    done = command(daemon.variables, "top")
    assert done.returncode == ExitCode.BAD_INPUT
    assert done.stderr == "liveso: top needs a terminal; `liveso status` shows the same once\n"


def test_it_draws_nowhere_but_on_a_terminal(tmp_path: Path, daemon: MadeUpDaemon) -> None:
    redirected = f"{shlex.join([sys.executable, '-m', 'liveso', 'top'])} 2>{tmp_path}/said"
    terminal = Terminal(tmp_path, daemon.variables, "sh", "-c", redirected)
    try:
        terminal.shows(f"ended with {ExitCode.BAD_INPUT:d}")
        assert "top needs a terminal" in (tmp_path / "said").read_text()
    finally:
        terminal.end()


def test_textual_is_loaded_for_nothing_else() -> None:
    names = "[it for it in sys.modules if it.startswith('textual')]"
    line = f"import sys, liveso.cli.status, liveso.cli.top, liveso.page; print({names})"
    assert subprocess.check_output([sys.executable, "-c", line], text=True) == "[]\n"
