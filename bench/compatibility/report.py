"""The document that a run ends in."""

import datetime
import os
import platform
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.compatibility.runner import Row

_REVIEWS = (
    Path(__file__).parents[1] / "backtest" / "reviews.toml",
    Path(__file__).parent / "reviews.toml",
)
_TITLES = (
    *("program", "library", "from", "to", "verdict", "processes", "time to update (ms)"),
    *("worst stall (ms): meanwhile / without", "requests", "failed"),
)

_ABOUT = """\
Written by `make compatibility`: programs from Debian's packages run with live.so under load, and the files of their
libraries are replaced as dpkg does it, those of a package together. Every answer is checked. The policy is `strict`,
without debug information.

- *Applies*: every process of the program, also those made later, runs the new version. *Refused*: each goes on with the
  old one.
- The time to update is the longest of the processes, from the change to its end. Most of it is the verdict, where a
  pair is judged for the first time.
- The worst stall is the longest request while the libraries changed, and in a time of equal length afterwards, without
  a change. The load, the program and liveso's judging share the processors.
"""


def report(rows: list[Row]) -> str:
    """The document as Markdown; the rows are in the order of the subjects."""
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: list[Row]) -> Iterator[str]:
    tried = [it for it in rows if it.processes]
    yield "# Programs under load while their libraries change"
    yield ""
    yield from _ABOUT.splitlines()
    yield ""
    machine = f"Linux {platform.release().split('-')[0]}, glibc {platform.libc_ver()[1]}, {os.cpu_count()} processors"
    yield f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine}."
    yield ""
    programs = dict.fromkeys(f"{it.program} {it.version}" for it in rows)
    yield f"Programs: {', '.join(programs)}."
    yield ""
    counts = {
        "apply": [it for it in tried if it.verdict == "applies"],
        "are refused": [it for it in tried if it.verdict == "refused"],
        "are held back by another library": [it for it in tried if it.verdict == "held back"],
    }
    said = ", ".join(f"{len(found)} {what}" for what, found in counts.items())
    failures = [it for it in rows if it.is_failure]
    yield f"Of {len(tried)} changes, {said}; {len(failures) or 'none'} failed."
    yield ""
    yield from _table(_TITLES, (_cells(it) for it in rows if it.verdict != "not offered"))
    yield ""
    if failures:
        yield "## Failures"
        yield ""
        yield from (f"- {it.program}, {it.library}: {it.reason}" for it in failures)
        yield ""
    yield "## Refusals"
    yield ""
    yield from _refusals(rows)
    missing = sorted({(it.program, it.library, it.reason) for it in rows if it.verdict == "not offered"})
    if missing:
        yield ""
        yield "## No second version is offered"
        yield ""
        yield from (f"- {program}, {library}: {reason}" for program, library, reason in missing)


def _cells(it: Row) -> tuple[object, ...]:
    stalls = f"{1e3 * it.stall:.0f} / {1e3 * it.usual:.0f}" if it.requests else ""
    time = f"{it.milliseconds:.0f}" if it.milliseconds else ""
    return (
        *(it.program, it.library, it.before, it.after, it.verdict, it.processes or "", time),
        *(stalls, it.requests or "", it.failed),
    )


def _refusals(rows: list[Row]) -> Iterator[str]:
    """Each pair once, with its evidence and an opinion on it."""
    refused: dict[tuple[str, str, str], Row] = {}
    for it in rows:
        if it.verdict == "refused":
            refused.setdefault((it.library, it.before, it.after), it)
    reviews = {
        (it["library"], it["old"], it["new"]): it
        for file in _REVIEWS
        for it in tomllib.loads(file.read_text())["review"]
    }
    for key, it in sorted(refused.items()):
        yield f"- **{it.library} {it.before} → {it.after}**: {it.reason}"
        review = reviews.get(key)
        if it.reason.startswith("it goes together with"):
            yield "  - The other library decides."
        elif review is None:
            yield "  - Nobody has looked yet whether it is right."
        elif review["truth"] == "refused":
            yield f"  - Right: {review['why']}."
        else:
            yield f"  - Not needed: {review['why']}."


def _table(titles: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"
