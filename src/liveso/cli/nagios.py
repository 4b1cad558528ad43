"""The answer to a monitor, in the format of Nagios' plugins (Monitoring Plugins Development Guidelines). Pure."""

from collections.abc import Sequence

from liveso.places import title
from liveso.services.mending import Way
from liveso.services.needs import Need, titles_by_standing
from liveso.services.standing import headline
from liveso.text import printable

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def report(needs: Sequence[Need], places: int, processes: int, is_chosen: bool = False) -> tuple[int, str]:
    """The exit code and the text: the first line with what is measured behind a bar, then a line for each service. It
    is critical where only a reboot brings what is on disk; what ends by itself is no reason to warn."""
    reboots = sum(it.mend.way is Way.REBOOT for it in needs)
    counted = [it for it in needs if it.mend.way is not Way.WAIT]
    code = CRITICAL if reboots else WARNING if counted else OK
    outdated = sum(len(it.processes) for it in needs)
    measured = (
        f"services={len(counted)};0;;0;{places} processes={outdated};;;0;{processes} reboots={reboots};;0;0;{places}"
    )
    answer = headline(titles_by_standing(counted), places, is_chosen)
    lines = [f"LIVESO {_WORDS[code]} - {_line(answer)} | {measured}"]
    lines += [_line(f"{title(it.place)}: {it.mend.text}") for it in needs]
    return code, "\n".join(lines)


def _line(text: str) -> str:
    """A bar would begin what is measured."""
    return printable(text).replace("|", "/")
