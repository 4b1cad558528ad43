from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from liveso.cli.status import ask_daemon
from liveso.errors import UnknownTarget
from liveso.settings import read_settings


def why(
    what: Annotated[
        str, typer.Argument(metavar="[PID|LIBRARY]", help="A process, or a part of a library's path; all if left out.")
    ] = "",
) -> None:
    """Say why libraries were not updated in running processes: every reason, with its evidence."""
    console = Console(soft_wrap=True, highlight=False)
    targets = ask_daemon(read_settings(), "/status")["targets"]
    chosen = [it for it in targets if not what.isdigit() or it["pid"] == int(what)]
    if what and not chosen:
        raise UnknownTarget(f"no target has the process ID {what}; `liveso status` lists them")
    part = "" if what.isdigit() else what
    named = [(target, it) for target in chosen for it in target["libraries"] if part in it["path"]]
    if part and not named:
        raise UnknownTarget(f"no target uses a library like {what}; `liveso status` lists them")
    held_up = [(target, it) for target, it in named if it["result"] in ("refused", "failed")]
    for target, library in held_up:
        _show(console, target, library)
    if not held_up:
        console.print("nothing was refused: every library is at the version on disk, or was not changed")


def _show(console: Console, target: dict[str, Any], library: dict[str, Any]) -> None:
    console.print(f"[bold]{target['pid']}[/] {escape(target['command'])}")
    console.print(f"  {escape(library['path'])}: [yellow]{library['result']}[/]")
    for reason in library["details"] or [library["reason"]]:
        console.print(f"    {escape(reason)}")
