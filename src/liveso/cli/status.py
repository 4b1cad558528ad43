import json
from datetime import datetime
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from liveso.errors import NoDaemon
from liveso.settings import Settings, read_settings

_STYLES = {"current": "", "updated": "green", "refused": "yellow", "failed": "red"}


def ask_daemon(settings: Settings, path: str) -> Any:
    """The daemon's answer. Raises NoDaemon where none runs."""
    try:
        # there is no TLS on a Unix socket, and to prepare for it takes longer than the question
        transport = httpx.HTTPTransport(uds=str(settings.command_socket), verify=False)
        with httpx.Client(transport=transport, timeout=10, trust_env=False) as client:
            return client.get(f"http://liveso{path}").raise_for_status().json()
    except httpx.HTTPError as error:
        raise NoDaemon(
            f"no daemon answers at {settings.command_socket} ({error}); "
            "the first program that runs with live.so starts one, or `liveso daemon`"
        ) from error


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every reason.")] = False,
) -> None:
    """Show the targets, their libraries, the version each runs, and the last result with its reason."""
    answer = ask_daemon(read_settings(), "/status")
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    console = Console()
    if not answer["targets"]:
        console.print("no targets")
    for target in answer["targets"]:
        console.print(f"[bold]{target['pid']}[/bold] {escape(target['command'])}")
        if target["note"]:
            console.print(f"  not served: {escape(target['note'])}", style="yellow")
        if target["libraries"]:
            console.print(_table(target["libraries"]))
        for library in target["libraries"] if verbose else ():
            for detail in library["details"]:
                console.print(f"  {escape(library['path'])}: {escape(detail)}", soft_wrap=True, highlight=False)
            if library["unprotected"]:
                text = f"would not survive to be overwritten in place: {library['unprotected']}"
                console.print(f"  {escape(library['path'])}: {escape(text)}", soft_wrap=True, highlight=False)


def _table(libraries: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for title in ("library", "build ID", "result", "when", "reason"):
        table.add_column(title, overflow="fold")
    for library in sorted(libraries, key=lambda it: (it["result"] == "current", it["path"])):
        result = library["result"]
        reason = library["reason"]
        if result == "updated" and library["milliseconds"]:
            reason = f"in {library['milliseconds']:.0f} ms"
        if library["stale_slots"]:
            reason += f", {library['stale_slots']} pointers lead to old code"
        table.add_row(
            escape(library["path"]),
            library["build_id"][:12] or library["version"][:12],
            f"[{_STYLES[result]}]{result}[/]" if _STYLES[result] else result,
            datetime.fromtimestamp(library["changed"]).strftime("%H:%M:%S"),
            escape(reason),
        )
    return table
