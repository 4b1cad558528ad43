import os
import sys
import time
from collections.abc import Callable, Sequence

import click

from liveso.cli.restart_needed import find, say_notes
from liveso.cli.screen import Screen
from liveso.errors import Declined, ExitCode, LivesoError
from liveso.places import title
from liveso.process import belonging
from liveso.services.mending import Way
from liveso.services.needs import Need
from liveso.services.systemd import active_state, carry_out, restarts
from liveso.settings import read_settings
from liveso.text import plural

_WAYS = (Way.RELOAD, Way.RESTART, Way.REEXECUTE)
"""What systemd does; the rest is for people."""
_DONE = {Way.RELOAD: "reloaded", Way.RESTART: "restarted", Way.REEXECUTE: "executed anew"}
_COMES_UP = 10.0  # seconds
_STAYS_UP = 2.0  # seconds for which it is looked at
_PAUSE = 0.2  # seconds between two looks


@click.command()
@click.option("--units", "-u", multiple=True, metavar="UNIT[,UNIT]…", help="Only these, of those that need it.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def restart(units: tuple[str, ...], yes: bool) -> None:
    """Restart the services that run old code, one after the other, and stop at the first that does not come up.

    Which those are, and whether a reload is enough, is as `liveso restart-needed` says. Sessions, containers and
    commands are left to a person, and so are services that end sessions, unless they are named.
    """
    found = find(read_settings())
    screen = Screen()
    chosen, left = choose(found.needs, units, _own_units())
    for need, why in left:
        screen.line(f"left: {title(need.place)}: {why}", hang=4)
    if not chosen:
        screen.line("nothing else is to be restarted" if left else "nothing is to be restarted")
        say_notes(found.notes)
        return
    if not yes:
        _ask(screen, chosen)
    raise SystemExit(one_after_the_other(screen, chosen))


def choose(
    needs: Sequence[Need], units: Sequence[str], own: Sequence[str]
) -> tuple[list[Need], list[tuple[Need, str]]]:
    """What systemd is to do, and what is left with the reason why: all that `needs` name, or the `units` among them;
    but none of the `own` ones, in which this command runs. Raises Declined where a unit is none of them."""
    names = [_full(name) for text in units for name in text.split(",") if name]
    known = {it.place.name: it for it in needs if it.mend.way in _WAYS}
    for name in names:
        if name not in known:
            raise Declined(
                f"{name} is none of what systemd is to restart; `liveso restart-needed` says what runs old code",
                ExitCode.BAD_INPUT,
            )
    chosen, left = list[Need](), list[tuple[Need, str]]()
    for it in needs:
        if names and it.place.name not in names:
            continue
        if it.place.is_unit and it.place.name in own:
            left.append((it, "this command runs in it"))
        elif it.mend.way not in _WAYS or (it.mend.ends_sessions and not names):
            left.append((it, it.mend.text))
        else:
            chosen.append(it)
    return chosen, left


def one_after_the_other(screen: Screen, chosen: Sequence[Need], comes_up: Callable[[Need], str] | None = None) -> int:
    """Do it; the exit code. What comes behind one that does not come up is not touched."""
    for number, need in enumerate(chosen):
        problem = carry_out(need.mend.command)
        if not problem and need.place.is_unit:
            problem = (comes_up or why_not_up)(need)
        if problem:
            screen.line((f"{title(need.place)}: ", "bold"), (f"{need.mend.text}: {problem}", "red"), hang=4)
            rest = ", ".join(title(it.place) for it in chosen[number + 1 :])
            screen.line(f"stopped there; {f'not touched: {rest}' if rest else 'it was the last'}", hang=4)
            return ExitCode.NO
        state = " and active" if need.place.is_unit else ""
        screen.line((f"{title(need.place)}: ", "bold"), (f"{_DONE[need.mend.way]}{state}", "green"))
    return ExitCode.DONE


def why_not_up(need: Need) -> str:
    """Why a unit is not active some moments after it was started; nothing where it is, and has stayed so."""
    manager, unit = need.mend.manager, need.place.name
    before = restarts(manager, unit)
    end, since = time.monotonic() + _COMES_UP, None
    while True:
        state, now = active_state(manager, unit), time.monotonic()
        if state in ("failed", "inactive") or now > end:
            return f"it is {state}; `{' '.join((*manager, 'status', unit))}` says more"
        since = (since if since is not None else now) if state == "active" else None
        if since is not None and now - since >= _STAYS_UP:
            after = restarts(manager, unit)
            return "" if after == before else f"it ended, and systemd started it again (NRestarts={after})"
        time.sleep(_PAUSE)


def _ask(screen: Screen, chosen: Sequence[Need]) -> None:
    """Raises Declined where nobody can be asked, click.Abort where the answer is no."""
    if not (screen.is_terminal and sys.stdin is not None and sys.stdin.isatty()):
        names = " ".join(it.place.name for it in chosen)
        raise Declined(
            f"nobody can be asked here: `liveso restart --yes` does it without ({names})", ExitCode.BAD_INPUT
        )
    for it in chosen:
        screen.line(
            (title(it.place), "bold"), f": {it.mend.text} — {plural(len(it.processes), 'process', 'processes')}"
        )
    if not click.confirm(f"Do {'this' if len(chosen) == 1 else f'these {len(chosen)}, one after the other'}?"):
        raise Declined("nothing was done", ExitCode.NO)


def _full(name: str) -> str:
    return name if name.endswith((".service", ".scope")) else f"{name}.service"


def _own_units() -> tuple[str, ...]:
    try:
        return belonging.services_and_scopes(os.getpid())
    except LivesoError:
        return ()
