import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from liveso.cli.processes import chosen
from liveso.client.ask import ask_daemon, ask_for
from liveso.errors import ExitCode, NoDaemon
from liveso.settings import Settings, read_settings
from liveso.text import plural, printable

_LIMIT = 60.0  # seconds: processes that have no thread at a safe point are waited for
_START_LIMIT = 10.0  # seconds until a daemon that was started answers


@click.command()
@click.argument("pid", nargs=-1, type=click.IntRange(1))
@click.option("--command", "commands", multiple=True, metavar="NAME", help="All processes that run this command.")
@click.option("--unit", "units", multiple=True, metavar="UNIT", help="All processes of this systemd unit.")
@click.option("--all", "everything", is_flag=True, help="All processes of this user; root: of the machine.")
def attach(pid: tuple[int, ...], commands: tuple[str, ...], units: tuple[str, ...], everything: bool) -> None:
    """Keep processes up to date that were started without live.so.

    Nothing of liveso runs in them, but at the moment of an update: a thread of theirs is held then for some
    milliseconds, and makes the calls that are needed.
    """
    settings = read_settings()
    _start_daemon(settings)
    failed = change(settings, "/attach", chosen(pid, commands, units, everything), everything)
    if failed:
        raise SystemExit(ExitCode.NO)


def change(settings: Settings, path: str, pids: list[int], are_many: bool) -> int:
    """Ask the daemon to attach or detach processes, and say how it went; how many it was not done with. Where they
    `are_many`, these are not named one by one."""
    answer = ask_for(settings, path, {"pids": " ".join(map(str, pids))}, _LIMIT)
    notes: dict[str, Any] = answer.get("notes", {})
    done = [pid for pid, note in notes.items() if not note]
    failed = {pid: str(note) for pid, note in notes.items() if note}
    if done:
        what = "attached" if path == "/attach" else "detached"
        print(f"{what}: {plural(len(done), 'process', 'processes')} ({', '.join(done)})")
    for pid, note in failed.items():
        text = note if pid in note else f"process {pid}: {note}"
        print(printable(f"liveso: {text}"), file=sys.stderr)
    return 0 if are_many and done else len(failed)


def _start_daemon(settings: Settings) -> None:
    """Start a daemon where none answers. Raises NoDaemon where it does not come up."""
    try:
        ask_daemon(settings, "/status")
        return
    except NoDaemon:
        command = Path(sys.executable).parent / "liveso"
        own = [str(command)] if command.exists() else [sys.executable, "-m", "liveso"]
        subprocess.Popen(
            [*own, "daemon", "--on-demand"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    end = time.monotonic() + _START_LIMIT
    while True:
        try:
            ask_daemon(settings, "/status")
            return
        except NoDaemon:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
