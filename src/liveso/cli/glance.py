"""`liveso status` on a terminal: the answer in one line, and then by service."""

from collections.abc import Collection, Sequence

from liveso.cli.rows import RESULT_WIDTH, in_words, show_row
from liveso.cli.screen import Screen
from liveso.client.answer import Target
from liveso.client.claims import Claim, by_pid
from liveso.services.blocks import processes
from liveso.services.needs import Reason
from liveso.services.overview import Service, services
from liveso.services.standing import OLD_CODE, Standing, headline
from liveso.services.survey import look_at_all
from liveso.settings import Settings
from liveso.text import plural, user_name

_MOST_QUIET = 8  # services of which nothing is to be said, a line each


def show(
    screen: Screen, problems: Sequence[str], claims: Sequence[Claim], chosen: Sequence[Target], settings: Settings
) -> None:
    """Show the `chosen` ones of the processes that daemons make `claims` of."""
    shown = {it.pid: it for it in chosen}
    found = services(_narrowed(claims, shown), _look_at(claims, shown, settings))
    named: dict[Standing, list[str]] = {}
    for it in found:
        if not it.standing.is_clear:
            named.setdefault(it.standing, []).append(it.title)
    is_chosen = any(it.standing is Standing.CHOSEN for it in found)
    answer = headline(named, len(found), is_chosen) if found else "no process runs with live.so"
    screen.line((answer, "bold yellow" if named else "bold"), hang=4)
    for problem in problems:
        screen.line(("problem: ", "bold red"), problem, hang=4)
    for it in found:
        if not it.is_quiet:
            screen.line()
            _show_service(screen, it)
    _show_quiet(screen, [it for it in found if it.is_quiet])


def _narrowed(claims: Sequence[Claim], shown: dict[int, Target]) -> list[Claim]:
    return [Claim(shown[it.target.pid], it.user) for it in claims if it.target.pid in shown]


def _look_at(claims: Sequence[Claim], pids: Collection[int], settings: Settings) -> dict[int, Sequence[Reason]]:
    """Why processes need a restart, by their memory maps: of those whose daemon says which file each library is."""
    known = by_pid(claims)
    asked = [pid for pid in pids if any(it.mapped for it in known[pid].target.libraries)]
    looks, _unread = look_at_all(asked, known, settings)
    return {it.seen.pid: it.seen.reasons for it in looks}


def _show_service(screen: Screen, it: Service) -> None:
    screen.line((it.long_title, "bold"), f" — {processes(it.pids, is_verbose=False)}{_whose(it)}", hang=4)
    for note, count in it.notes:
        screen.line(("not served: ", "yellow"), f"{note}{_of_all(it, count)}", indent=2, hang=4)
    for reason, count in it.reasons:
        word = (OLD_CODE.ljust(RESULT_WIDTH), "yellow")
        screen.line(word, f"  {reason.path}: {reason.why}{_of_all(it, count)}", indent=2, hang=RESULT_WIDTH + 2)
    for row, count in it.rows:
        show_row(screen, row, is_verbose=False, where=_of_all(it, count))
    if it.current[1]:
        screen.line(in_words(it.current), indent=2)


def _of_all(it: Service, count: int) -> str:
    return f" (in {count} of {len(it.pids)})" if count < len(it.pids) else ""


def _whose(it: Service) -> str:
    return "" if it.whose is None else f", by {user_name(it.whose)}'s daemon"


def _show_quiet(screen: Screen, quiet: Sequence[Service]) -> None:
    if not quiet:
        return
    screen.line()
    if len(quiet) <= _MOST_QUIET:
        for it in quiet:
            about = f" — {processes(it.pids, is_verbose=False)}{_whose(it)}: {in_words(it.current)}"
            screen.line((it.long_title, "bold"), about, hang=4)
        return
    names = ", ".join(f"{it.title} ({len(it.pids)}{_whose(it)})" for it in quiet)
    screen.line(f"{plural(len(quiet), 'service', 'services')} with all libraries current: {names}", hang=4)
