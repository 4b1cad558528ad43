import json
import os
import time

import click

from liveso.cli.past import Moment
from liveso.cli.screen import STYLES, Screen
from liveso.errors import UnknownTarget
from liveso.history import Event, Kind, Wanted, plain, read_events
from liveso.services.occurrences import Occurrence, occurrences
from liveso.settings import read_settings
from liveso.text import plural, printable

_KIND_WIDTH = 11
_WORDS = {
    Kind.WAITING: "waiting",
    Kind.CRASHED: "crashed",
    Kind.ROLLED_BACK: "rolled back",
    Kind.HELD_BACK: "held back",
}


@click.command()
@click.argument("what", metavar="[PID|NAME]", default="")
@click.option("--since", type=Moment(), default=0.0, help="Only what happened since: 30m, 2h, 3d, or a date and time.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1),
    metavar="N",
    default=1000,
    show_default=True,
    help="At most so many events.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of events.")
def history(what: str, since: float, limit: int, as_json: bool) -> None:
    """Show what happened: which process runs which version since when and why, and who allowed or took back what.

    NAME is a part of a library's path, of a command line, or of a systemd unit. It is there with or without a daemon.
    On a terminal, the same in several processes of a service is one line; elsewhere, each line is one event, with tabs
    between the fields: time, what happened, library, version before, version after, process IDs, service, milliseconds,
    person, reason.
    """
    wanted = (
        Wanted(pid=int(what), since=since, limit=limit) if what.isdecimal() else Wanted("", 0, what, since, 0, limit)
    )
    events = read_events(read_settings().history, wanted)
    if what and not events:
        raise UnknownTarget(f"nothing is known of {what} in the history; `liveso history` shows all")
    if as_json:
        print(json.dumps([plain(it) for it in events], indent=2))
        return
    screen = Screen()
    if screen.is_terminal:
        _show(screen, occurrences(events))
    else:
        for event in events:
            _print(event)


def _show(screen: Screen, found: list[Occurrence]) -> None:
    if not found:
        screen.line("nothing has happened yet")
    day = ""
    for it in found:
        then = time.localtime(it.first.time)
        if (today := time.strftime("%A, %Y-%m-%d", then)) != day:
            day = today
            screen.line((day, "bold"))
        word = _WORDS.get(it.first.kind, str(it.first.kind))
        clock = time.strftime("%H:%M:%S", then)
        screen.rows([(clock, (word.ljust(_KIND_WIDTH), STYLES.get(word, "")), _told(it))], indent=2)


def _told(it: Occurrence) -> str:
    event = it.first
    if not event.library:
        return f"the daemon, process {it.pids[0]}"
    versions = " → ".join(name for name in (it.before, it.after) if name)
    words = [os.path.basename(event.library), versions, _where(it)]
    if event.kind in (Kind.UPDATED, Kind.ROLLED_BACK):
        words.append(f"in {it.milliseconds:.0f} ms")
    if event.by:
        words.append(f"by {event.by}")
    return " ".join(word for word in words if word) + (f": {event.reason}" if event.reason else "")


def _where(it: Occurrence) -> str:
    if not it.pids:
        return "in all processes"
    count = plural(len(it.pids), "process", "processes")
    return f"in {it.first.service} ({count})" if it.first.service else f"in {count}"


def _print(event: Event) -> None:
    it = Occurrence(event, event.time, event.pids, event.milliseconds)
    fields = (
        time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(event.time)),
        str(event.kind),
        event.library,
        it.before,
        it.after,
        " ".join(map(str, event.pids)),
        event.service,
        f"{event.milliseconds:.0f}" if event.milliseconds else "",
        event.by,
        event.reason,
    )
    print("\t".join(printable(field) or "-" for field in fields))
