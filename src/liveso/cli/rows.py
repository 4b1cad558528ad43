"""How libraries are shown on a terminal."""

import time

from liveso.cli.screen import STYLES, Screen
from liveso.client.answer import PARTLY, UPDATED
from liveso.services.blocks import Row
from liveso.text import plural

NO_LIBRARY = "no library is kept up to date"
RESULT_WIDTH = len(PARTLY)
_MOST_STALE = 3  # functions that are named where few words are asked for


def show_row(screen: Screen, row: Row, is_verbose: bool, where: str = "") -> None:
    """A library: result, time, version and path, with what is to be said of it. `where` says in which processes."""
    it = row.latest
    result = (it.word.ljust(RESULT_WIDTH), STYLES.get(it.word, ""))
    screen.rows([(result, moment(it.changed).ljust(10), it.name.ljust(12), f"{it.path}{where}")], indent=2)
    for text in remarks_on(row, is_verbose):
        screen.line(text, indent=2 + RESULT_WIDTH + 2)


def remarks_on(row: Row, is_verbose: bool) -> list[str]:
    """The reason, and what else is known of a library."""
    it = row.latest
    remarks = list(it.details) if is_verbose and it.details else [it.reason] if it.reason else []
    if row.stale_functions:
        shown = row.stale_functions if is_verbose else row.stale_functions[:_MOST_STALE]
        more = ", …" if len(shown) < len(row.stale_functions) else ""
        count = plural(len(row.stale_functions), "function", "functions")
        remarks.append(f"pointers still lead to the old code of {count}: {', '.join(shown)}{more}")
    if row.stale_threads:
        shown = row.stale_threads if is_verbose else row.stale_threads[:_MOST_STALE]
        more = f", and {len(row.stale_threads) - len(shown)} more" if len(shown) < len(row.stale_threads) else ""
        remarks.append(f"old code goes on: {', '.join(shown)}{more}")
    if is_verbose:
        if it.result == UPDATED and row.milliseconds:
            remarks.append(f"updated in {row.milliseconds:.0f} ms")
        remarks += [f"waits for {path}" for path in it.waits_for]
        if it.versions_loaded > 1:
            remarks.append(f"{it.versions_loaded} versions are loaded")
        if it.unprotected:
            remarks.append(f"would not survive to be overwritten in place: {it.unprotected}")
    return remarks


def in_words(current: tuple[int, int]) -> str:
    """How many libraries are current, of the least and the most."""
    least, most = current
    if most == 0:
        return NO_LIBRARY
    return (
        plural(most, "library", "libraries") + " current" if least == most else f"{least} to {most} libraries current"
    )


def moment(seconds: float) -> str:
    """The time of today, or else the date."""
    then = time.localtime(seconds)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d", then) if seconds else "-"
