import sys
from typing import Any

import click

from liveso.cli.processes import chosen
from liveso.client.ask import LIMIT, ask_for
from liveso.errors import ExitCode
from liveso.services.blocks import processes
from liveso.settings import read_settings
from liveso.text import plural, printable

_WAIT = 30.0  # seconds


@click.command()
@click.argument("library")
@click.argument("version", default="")
@click.option("--target", "pids", multiple=True, type=click.IntRange(1), metavar="PID", help="Only in this process.")
@click.option("--command", "commands", multiple=True, metavar="NAME", help="Only where this command runs.")
@click.option("--unit", "units", multiple=True, metavar="UNIT", help="Only in this systemd unit.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")
def rollback(
    library: str,
    version: str,
    pids: tuple[int, ...],
    commands: tuple[str, ...],
    units: tuple[str, ...],
    no_wait: bool,
) -> None:
    """Take a library back to a version that it had, in all processes and those to come, or in some.

    LIBRARY is its path or base name, VERSION the beginning of a SHA-256 or build ID, at least 6 digits; without it, the
    version before the one that runs. What lies on disk does not go in until it changes, or `liveso resume` is said.
    """
    named = chosen(pids, commands, units, False) if pids or commands or units else []
    wait = 0.0 if no_wait else _WAIT
    question = {"library": library, "version": version, "pids": " ".join(map(str, named)), "wait": str(wait)}
    answer = ask_for(read_settings(), "/rollback", question, wait + LIMIT)
    failed = [pid for pid in answer.get("not_there", ()) if pid in pids]
    for pid in failed:
        _complain(f"process {pid} is not served, or has no library {library}")
    are_done = [_say(it, no_wait) for it in answer.get("libraries", ())]
    if failed or not all(are_done):
        raise SystemExit(ExitCode.NO)


def _say(it: dict[str, Any], no_wait: bool) -> bool:
    """Say what came of it for one library; whether it is done, or not to be waited for."""
    path, name = it.get("path", ""), str(it.get("build_id") or it.get("version", ""))[:12]
    running, refused, pending = it.get("running", ()), it.get("refused", {}), it.get("pending", {})
    if no_wait and pending:
        print(printable(f"{path}: {plural(len(pending), 'process goes', 'processes go')} back to {name}"))
    if running or not (refused or pending):
        print(printable(f"{path}: {plural(len(running), 'process runs', 'processes run')} {name} now"))
    for reason, those in _by_reason(refused).items():
        _complain(f"{path}: not rolled back in {processes(those, is_verbose=False)}: {reason}")
    for reason, those in _by_reason({} if no_wait else pending).items():
        why = reason or f"nothing came of it within {_WAIT:.0f} s"
        _complain(f"{path}: not rolled back yet in {processes(those, is_verbose=False)}: {why}; it is tried further")
    return not refused and (no_wait or not pending)


def _by_reason(reasons: dict[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for pid, reason in reasons.items():
        found.setdefault(str(reason), []).append(int(pid))
    return found


def _complain(text: str) -> None:
    print(printable(f"liveso: {text}"), file=sys.stderr)
