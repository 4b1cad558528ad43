import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from liveso import __version__
from liveso.cli.nagios import UNKNOWN, report
from liveso.cli.screen import Screen
from liveso.client.answer import ROLLED_BACK
from liveso.client.claims import by_pid
from liveso.client.gather import Gathered, gather, problems_of
from liveso.encoding import encodable
from liveso.errors import ExitCode, LivesoError, NoDaemon
from liveso.places import Kind, title
from liveso.services.blocks import processes
from liveso.services.needs import Need, needs, places_in_need, titles_by_standing
from liveso.services.standing import headline
from liveso.services.survey import Look, look_at_all, own_processes
from liveso.services.systemd import ask_units
from liveso.settings import Settings, read_settings
from liveso.text import plural, printable, user_name

_QUICK = 5.0  # seconds for the daemon, where something waits that knows nothing of liveso


@dataclass(frozen=True, slots=True)
class Found:
    """The answer: what needs a restart, of how many services and processes that were looked at; `unread` are those that
    may not be, `notes` what it does not cover, and `is_chosen` whether something runs what a person chose."""

    needs: list[Need]
    places: int
    processes: int
    unread: list[int]
    notes: list[str]
    is_chosen: bool


@click.command("restart-needed")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--nagios", is_flag=True, help="Answer as a plugin of Nagios does.")
@click.option("--in-force", is_flag=True, hidden=True)
def restart_needed(as_json: bool, nagios: bool, in_force: bool) -> None:
    """Say which services run old code, why, and the mildest thing that mends it.

    Code is old whose file was replaced or removed on disk since a process loaded it, unless liveso has brought in what
    lies there now. The exit code is 0 where nothing is needed, and 1 where something is.
    """
    if as_json + nagios + in_force > 1:
        raise click.UsageError("--json and --nagios exclude each other")
    if in_force:
        _print_in_force()
    elif nagios:
        _answer_nagios()
    else:
        found = find(read_settings())
        _print_json(found) if as_json else _show(found)
        raise SystemExit(ExitCode.NO if found.needs else ExitCode.DONE)


def find(settings: Settings) -> Found:
    """Look at all processes of this user, as root at all of the machine."""
    user = os.geteuid()
    gathered = gather(settings)
    notes = _notes(gathered)
    claims = by_pid(gathered.claims())
    looks, unread = look_at_all(own_processes(user), claims, settings)
    is_chosen = any(it.result == ROLLED_BACK for claim in claims.values() for it in claim.target.libraries)
    seen = [it.seen for it in looks]
    units = ask_units(it.name for it in places_in_need(seen) if it.kind is Kind.SERVICE)
    if kept := [it.seen.pid for it in looks if it.is_kept]:
        verb = "runs a version" if len(kept) == 1 else "run versions"
        what = f"{plural(len(kept), 'process', 'processes')} {verb} that liveso brought in"
        notes.append(f"{what}, and no daemon says whether newer ones lie on disk: {_some(kept)}")
    if user:
        notes.append(f"only the processes of {user_name(user)} were looked at; root sees all")
    if unread and not user:
        notes.append(f"{plural(len(unread), 'process', 'processes')} could not be looked at: {_some(unread)}")
    return Found(needs(seen, units, user), len({it.place for it in seen}), len(seen), unread, notes, is_chosen)


def _notes(gathered: Gathered) -> list[str]:
    """What the daemons do not say."""
    missing = [f"nothing is known of updates by liveso: {gathered.missing}"] if gathered.missing else []
    return missing + problems_of(gathered.others)


def _some(pids: Sequence[int]) -> str:
    return " ".join(map(str, pids[:12])) + (" …" if len(pids) > 12 else "")


def _show(found: Found) -> None:
    screen = Screen()
    screen.line((headline(titles_by_standing(found.needs), found.places, found.is_chosen), "bold"))
    for need in found.needs:
        screen.line()
        screen.line((title(need.place), "bold"), ": ", (need.mend.text, "cyan"), hang=4)
        for reason, pids in need.reasons().items():
            screen.line(f"{reason.path}: {reason.why} — {processes(pids, is_verbose=False)}", indent=2, hang=4)
    say_notes(found.notes)


def say_notes(notes: Sequence[str]) -> None:
    if sys.stdout is not None:
        sys.stdout.flush()
    for it in notes:
        print(f"liveso: {printable(it)}", file=sys.stderr)


def _print_json(found: Found) -> None:
    answer = {
        "version": __version__,
        "user": os.geteuid(),
        "services": found.places,
        "processes": found.processes,
        "not_looked_at": found.unread,
        "notes": found.notes,
        "needed": [_as_json(it) for it in found.needs],
    }
    print(json.dumps(encodable(answer), indent=2))


def _as_json(need: Need) -> dict[str, object]:
    return {
        "kind": need.place.kind,
        "name": need.place.name,
        "user": need.place.user,
        "mend": {"way": need.mend.way, "text": need.mend.text, "command": need.mend.command},
        "processes": [
            {
                "pid": it.pid,
                "command": it.command,
                "user": it.user,
                "reasons": [{"path": each.path, "why": each.why, "result": each.result} for each in it.reasons],
            }
            for it in need.processes
        ],
    }


def _answer_nagios() -> None:
    """What goes wrong is an answer, too."""
    try:
        found = find(read_settings())
        if not found.processes:
            raise NoDaemon("no process can be looked at; is /proc mounted with hidepid?")
    except (LivesoError, OSError) as error:
        print(f"LIVESO UNKNOWN - {printable(str(error)).replace('|', '/')}")
        raise SystemExit(UNKNOWN) from None
    code, text = report(found.needs, found.places, found.processes, found.is_chosen)
    print(text)
    raise SystemExit(code)


def _print_in_force() -> None:
    """For needrestart (packaging/needrestart): number of the process and path as its memory map has it, a line each, of
    what does not matter although it is not what lies on disk. Nothing where no daemon answers soon."""
    settings = read_settings()
    claims = by_pid(gather(settings, _QUICK).claims())
    looks, _unread = look_at_all(claims, claims, settings)
    sys.stdout.buffer.write(b"".join(map(_lines, looks)) + b"end\n")


def _lines(look: Look) -> bytes:
    return b"".join(b"%d %s\n" % (look.seen.pid, os.fsencode(it.path)) for it in look.in_force)
