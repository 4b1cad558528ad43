from collections.abc import Sequence

import click

from liveso.cli.screen import STYLES, Screen
from liveso.client.answer import CURRENT, UPDATED, Library, Status, Target, rank, read_status
from liveso.client.ask import ask_daemon
from liveso.errors import UnknownTarget
from liveso.services.blocks import by_program, choose
from liveso.settings import read_settings
from liveso.text import plural


@click.command()
@click.argument("what", metavar="[PID|NAME]", default="")
def why(what: str) -> None:
    """Say why libraries were not updated in running processes: every reason, with its evidence.

    NAME is a part of a command line, or of a library's path.
    """
    known = read_status(ask_daemon(read_settings(), "/status"))
    chosen = choose(known.targets, what)
    if what and not chosen:
        raise UnknownTarget(f"no process or library is called {what}; `liveso status` lists them")
    screen = Screen()
    _say_what_is_not_known(screen, known, chosen)
    held_up = _held_up(chosen)
    for it, targets in held_up:
        _show(screen, it, targets)
    if not held_up:
        screen.line(_nothing(known, chosen))


def _say_what_is_not_known(screen: Screen, known: Status, targets: Sequence[Target]) -> None:
    for problem in known.problems:
        screen.line(("problem: ", "bold red"), problem)
    notes: dict[str, list[Target]] = {}
    for it in targets:
        if it.note:
            notes.setdefault(it.note, []).append(it)
    for note, unserved in notes.items():
        screen.line(("not served: ", "yellow"), note)
        for text in by_program(unserved):
            screen.line(text, indent=2, hang=4)


def _held_up(targets: Sequence[Target]) -> list[tuple[Library, list[Target]]]:
    """The libraries that are not what lies on disk, with the processes of which the same is said."""
    found: dict[object, tuple[Library, list[Target]]] = {}
    for target in targets:
        for it in target.libraries:
            if it.result not in (CURRENT, UPDATED):
                key = it.path, it.version, it.result, it.reason, it.details
                found.setdefault(key, (it, []))[1].append(target)
    return sorted(found.values(), key=lambda pair: (rank(pair[0].result), pair[0].path))


def _show(screen: Screen, it: Library, targets: Sequence[Target]) -> None:
    running = f", which runs {it.name}" if it.name else ""
    screen.line((it.path, "bold"), f"{running}: ", (it.result, STYLES.get(it.result, "")))
    for text in by_program(targets):
        screen.line(f"in {text}", indent=2, hang=4)
    for reason in it.details or (it.reason or "no reason is known",):
        screen.line(reason, indent=4)


def _nothing(known: Status, targets: Sequence[Target]) -> str:
    """What can be said where nothing was refused: not more than is known."""
    if not known.targets:
        return "no process runs with live.so"
    unserved = sum(1 for it in targets if it.note)
    doubts = [f"{plural(unserved, 'process that is', 'processes that are')} not served"] if unserved else []
    if known.problems:
        doubts.append("what the problems concern")
    if doubts:
        return f"nothing else was refused; not looked at: {', and '.join(doubts)} (see above)"
    names = {it.path for target in targets for it in target.libraries}
    if not names:
        return "nothing was judged: no library is kept up to date"
    return f"nothing was refused: {plural(len(names), 'library', 'libraries')} looked at, each as it lies on disk"
