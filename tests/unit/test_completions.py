"""What a Tab gives in each shell. The `liveso` that is called there writes down how it was called."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from liveso.cli import COMMANDS, liveso
from tests.terminal import Terminal
from tools.packaging.completions import completions

_LIVESO = r"""#!/bin/sh
[ "$*" != status ] || exec cat "$(dirname "$0")/status"
printf 'called with'; printf ' <%s>' "$@"; echo
"""
_STATUS = """\
71\tupdated\t/usr/lib/libcrypto.so.3\tabc\t-\tnginx: worker process\t-
72\tcurrent\t/usr/lib/libpq.so.5\tdef\t-\t/usr/bin/psql -c x\t-
-\tproblem\t-\t-\t-\t-\tsomething
"""
_SYSTEMCTL = r"""#!/bin/sh
printf '%s loaded active running Some\n' nginx.service getty@tty1.service 'systemd-fsck@dev-disk-by\x2duuid-7.service'
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where commands, completions and some files are."""
    for name, text in (("liveso", _LIVESO), ("systemctl", _SYSTEMCTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "status").write_text(_STATUS)
    (tmp_path / "old-lib.so").touch()
    for place, text in completions():
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    """One that has found its completion as it is installed."""
    commands, begin = {
        "bash": (["bash", "--norc", "--noprofile"], f". {folder}/usr/share/bash-completion/completions/liveso"),
        "zsh": (
            ["zsh", "-f"],
            f"fpath=({folder}/usr/share/zsh/vendor-completions $fpath); autoload -Uz compinit; compinit -u -D",
        ),
    }[request.param]
    terminal = Terminal(commands, environment(folder), folder)
    terminal.type(f"{begin}; echo $((40 + 2)) ready\r")
    terminal.wait_for("42 ready")
    yield terminal
    terminal.type("\x15exit\r")
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("roll", "<rollback>"),
        ("stat\t--ver", "<status> <--verbose>"),
        ("cves --js\t--process 7", "<cves> <--json> <--process> <7>"),
        ("check --policy el", "<check> <--policy> <elf>"),
        ("check --policy=fo", "<check> <--policy=force>"),
        ("check --policy force old", "<check> <--policy> <force> <old-lib.so>"),
        ("check old\told", "<check> <old-lib.so> <old-lib.so>"),
        ("cves --tracker=old", "<cves> <--tracker=old-lib.so>"),
        ("rollback libcr", "<rollback> <libcrypto.so.3>"),
        ("status ps", "<status> <psql>"),
        ("why libp", "<why> <libpq.so.5>"),
        ("attach --unit ng", "<attach> <--unit> <nginx.service>"),
        ("attach --unit getty@t", "<attach> <--unit> <getty@tty1.service>"),
        ("attach --unit=getty@t", "<attach> <--unit=getty@tty1.service>"),
        ("attach --unit sys", r"<attach> <--unit> <systemd-fsck@dev-disk-by\x2duuid-7.service>"),
        ("restart -u ng", "<restart> <-u> <nginx.service>"),
        ("run --switch ato\tsetpri\told", "<run> <--switch> <atomic> <setpriv> <old-lib.so>"),
    ],
)
def test_a_tab_completes_what_is_typed(shell: Terminal, typed: str, called: str) -> None:
    before = shell.length
    shell.type(f"liveso {typed}\t\r")
    shell.wait_for(f"called with {called}\r\n", before)


def test_tabs_list_what_there_is(shell: Terminal) -> None:
    before = shell.length
    shell.type("liveso \t\t")
    for name in COMMANDS:
        shell.wait_for(name, before)
    before = shell.length
    shell.type("\x15liveso daemon --\t\t")
    for name in ("--all", "--canary", "--switch", "--replace"):
        shell.wait_for(name, before)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("roll", ["rollback"]),
        ("stat", ["status"]),
        ("--v", ["--version"]),
        ("status --ver", ["--verbose"]),
        ("status -", ["--help", "--json", "--verbose", "-h", "-v"]),
        ("check --policy ", ["ask", "elf", "force", "strict"]),
        ("check --policy=el", ["--policy=elf"]),
        ("check --policy force ol", ["old-lib.so"]),
        ("check old-lib.so ol", ["old-lib.so"]),
        ("cves --tracker old", ["old-lib.so"]),
        ("cves --tracker=old", ["--tracker=old-lib.so"]),
        ("rollback ", ["libcrypto.so.3", "libpq.so.5"]),
        ("rollback libpq.so.5 ", []),
        ("status ", ["71", "72", "libcrypto.so.3", "libpq.so.5", "nginx:", "psql"]),
        ("attach --unit ng", ["nginx.service"]),
        ("attach --unit getty@t", ["getty@tty1.service"]),
        ("attach --unit nginx.service --al", ["--all"]),
        ("restart --units sys", [r"systemd-fsck@dev-disk-by\x2duuid-7.service"]),
        ("run --switch ato", ["atomic"]),
        ("run setpri", ["setpriv"]),
        ("run setpriv --swi", []),
        ("run setpriv ol", ["old-lib.so"]),
    ],
)
def test_fish_offers_what_can_follow(folder: Path, typed: str, found: list[str]) -> None:
    said = asked_of_fish(folder, typed)
    assert [line.partition("\t")[0] for line in said] == found


def test_fish_says_what_a_command_and_an_option_do(folder: Path) -> None:
    assert asked_of_fish(folder, "") == sorted(f"{name}\t{text}" for name, text in COMMANDS.items())
    assert asked_of_fish(folder, "status --js") == ["--json\tPrint JSON: all that the daemon knows."]


def asked_of_fish(folder: Path, typed: str) -> list[str]:
    file = folder / "usr/share/fish/vendor_completions.d/liveso.fish"
    done = subprocess.run(
        ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "liveso $argv[2]"', file, typed],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    return sorted(done.stdout.splitlines())


def test_each_option_of_each_command_is_in_each_shells() -> None:
    top = click.Context(liveso, info_name="liveso")
    for place, text in completions():
        for name in COMMANDS:
            command = liveso.get_command(top, name)
            assert command is not None
            for it in command.params:
                if isinstance(it, click.Option):
                    for option in (*it.opts, *it.secondary_opts):
                        fishs = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1:]} "
                        written = fishs if place.endswith(".fish") else option
                        assert (written in text) is not it.hidden, (place, option)
