import sys

import click

from liveso.cli.processes import chosen
from liveso.client.ask import ask_for
from liveso.errors import ExitCode
from liveso.settings import read_settings
from liveso.text import plural, printable


@click.command()
@click.argument("library")
@click.option("--target", "pids", multiple=True, type=click.IntRange(1), metavar="PID", help="Only in this process.")
@click.option("--command", "commands", multiple=True, metavar="NAME", help="Only where this command runs.")
@click.option("--unit", "units", multiple=True, metavar="UNIT", help="Only in this systemd unit.")
def resume(library: str, pids: tuple[int, ...], commands: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Let a library that was rolled back run what lies on disk again, or one that is held back after a crash.

    LIBRARY is its path or base name.
    """
    named = chosen(pids, commands, units, False) if pids or commands or units else []
    question = {"library": library, "pids": " ".join(map(str, named))}
    answer = ask_for(read_settings(), "/resume", question)
    for it in answer.get("libraries", ()):
        name = str(it.get("build_id") or it.get("version", ""))[:12]
        processes = plural(len(it.get("pids", ())), "process", "processes")
        print(printable(f"{it.get('path', '')}: {name}, which lies on disk, goes into {processes}"))
    for it in answer.get("released", ()):
        name = str(it.get("build_id") or it.get("version", ""))[:12]
        print(printable(f"{it.get('path', '')}: {name} is not held back any more"))
    missing = [pid for pid in answer.get("not_there", ()) if pid in pids]
    for pid in missing:
        print(printable(f"liveso: {library} is not rolled back in process {pid}"), file=sys.stderr)
    if missing:
        raise SystemExit(ExitCode.NO)
