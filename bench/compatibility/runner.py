"""One subject from its start to its end: a row for each library that changes."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from bench.compatibility.load import Load, Sample
from bench.compatibility.offers import NotOffered, Offers, Replacement
from bench.compatibility.site import Broken, Mapped, Site, digest
from bench.compatibility.subject import Change, Subject
from liveso.errors import PackageError

_LIMIT = 60.0  # seconds for one change, in all processes
_WARM_UP = 1.0  # seconds of load before the first change
_POLL = 0.2  # seconds
_SHORTEST = 1.0  # seconds that are looked at, with and without a change
_STAYS = {"refused", "held back"}


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one library: `verdict` is applies, refused, held back, unchanged, not offered, or
    failed.

    `milliseconds` is the longest time that an update took in one of the `processes`; `stall` the longest request (in
    seconds) while the libraries changed, `usual` the longest in as long a time without.
    """

    program: str
    version: str
    library: str
    before: str
    after: str
    verdict: str
    reason: str = ""
    processes: int = 0
    milliseconds: float = 0.0
    stall: float = 0.0
    usual: float = 0.0
    requests: int = 0
    failed: int = 0

    @property
    def is_failure(self) -> bool:
        return self.verdict == "failed" or self.failed > 0


def run(subject: Subject, offers: Offers) -> list[Row]:
    """Try a subject. What goes wrong is in the rows."""
    try:
        version = offers.version(subject.release, subject.packages[0])
    except (NotOffered, PackageError, SubprocessError) as error:
        return [Row(subject.name, "", "", "", "", "failed", str(error))]
    blank = Row(subject.name, version, "", "", "", "")
    rows: list[Row] = []
    plans: list[tuple[Replacement, ...]] = []
    for change in subject.changes:
        try:
            plans.append(offers.replacements(change))
        except NotOffered as error:
            rows += _all(blank, change, "not offered", str(error))
        except (PackageError, SubprocessError) as error:
            rows += _all(blank, change, "failed", str(error))
    if not plans:
        return rows
    with tempfile.TemporaryDirectory(prefix="liveso-compatibility-", ignore_cleanup_errors=True) as folder:
        try:
            roots = {it: offers.root(*it) for it in (subject.root, *subject.helpers)}
            site = Site(Path(folder), roots.pop(subject.root), {packages[0]: it for (_, packages), it in roots.items()})
        except (NotOffered, PackageError, SubprocessError, OSError) as error:
            return [*rows, replace(blank, verdict="failed", reason=str(error))]
        try:
            rows += _try(subject, site, plans, blank)
        except (Broken, AssertionError, SubprocessError, OSError) as error:
            rows.append(replace(blank, verdict="failed", reason=str(error)))
        finally:
            site.close()
    return rows


def _all(blank: Row, change: Change, verdict: str, reason: str) -> Iterator[Row]:
    for library in change.libraries:
        yield replace(blank, library=library, verdict=verdict, reason=reason)


def _try(subject: Subject, site: Site, plans: Sequence[Sequence[Replacement]], blank: Row) -> Iterator[Row]:
    first = {it.library: it.old for plan in reversed(plans) for it in plan}
    site.install(first)
    subject.start(site)
    load = Load(lambda index: subject.connect(site, index), subject.connections)
    try:
        _wait_until_known(site, first)  # under load: some libraries are loaded when they are needed
        time.sleep(_WARM_UP)
        _expect_answers(site, load)
        now = {name: digest(file) for name, file in first.items()}
        for plan in plans:
            rows, now = _change(site, load, plan, now, blank)
            yield from rows
            site.check()
    finally:
        load.stop()


def _expect_answers(site: Site, load: Load) -> None:
    site.check()
    if failed := load.failed():
        raise Broken(f"requests fail before anything has changed: {failed[0].problem}")
    if not load.within(0, time.monotonic()):
        raise Broken("no request is answered")


def _wait_until_known(site: Site, libraries: dict[str, Path]) -> None:
    """Wait until some process has loaded each library, and the daemon knows it in each that has."""

    def is_known() -> bool:
        mapped, status = _lasting(site, libraries)
        known = {it for it, row in status.items() if row["version"]}
        return {it.name for it in mapped} == libraries.keys() and mapped <= known

    site.wait_until(is_known, "the daemon does not know each library, or no process has loaded it")


def _lasting(site: Site, libraries: Iterable[str]) -> tuple[set[Mapped], dict[Mapped, dict[str, Any]]]:
    """The processes that have loaded some of the libraries, but for those that come or go just now, and what the daemon
    says of all: a server that makes a process for each connection has some that are too young to be known."""
    names = list(libraries)
    before = site.mapped(names)
    time.sleep(_POLL)
    status = site.status()
    return before & site.mapped(names), status


def _change(
    site: Site, load: Load, plan: Sequence[Replacement], now: dict[str, str], blank: Row
) -> tuple[list[Row], dict[str, str]]:
    """Change the libraries of a plan under load; their rows, and the digests that all libraries run then."""
    wanted = {it.library: digest(it.new) for it in plan if digest(it.new) != now[it.library]}
    begin, moment = time.monotonic(), time.time()
    site.install({it.library: it.new for it in plan})
    problem, _ = _wait_until_settled(site, wanted, moment)
    end = max(time.monotonic(), begin + _SHORTEST)
    time.sleep(max(0.0, end - time.monotonic()))
    time.sleep(_SHORTEST)
    quiet = time.monotonic()
    last = quiet + end - begin
    while time.monotonic() < last:
        site.status()  # as before
        time.sleep(_POLL)
    late, status = _wait_until_settled(site, wanted, moment)  # processes that were made since, too
    problem = problem or late
    changed, usual = load.within(begin, end), load.within(quiet, last)
    everything = load.within(begin, last)
    rows, after = [], dict(now)
    for it in plan:
        of_library = [row for found, row in status.items() if found.name == it.library]
        row = replace(blank, library=it.library, before=it.before, after=it.after, processes=len(of_library))
        if it.library in wanted:
            verdict, reason = _verdict(of_library, now[it.library], wanted[it.library])
            if problem:
                verdict, reason = "failed", problem
        else:
            verdict, reason = "unchanged", "both packages contain the same file"
        if verdict == "applies":
            row = replace(row, milliseconds=max(float(found["milliseconds"]) for found in of_library))
            after[it.library] = wanted[it.library]
        failed = [sample for sample in everything if sample.problem]
        rows.append(
            replace(
                row,
                verdict=verdict,
                reason=reason or (failed[0].problem if failed else ""),
                stall=_longest(changed),
                usual=_longest(usual),
                requests=len(everything),
                failed=len(failed),
            )
        )
    return rows, after


def _wait_until_settled(site: Site, wanted: dict[str, str], moment: float) -> tuple[str, dict[Mapped, dict[str, Any]]]:
    """Wait until each process runs each new version, or it was refused. What is missing after the limit, or nothing,
    and what the daemon says of these processes, and of others that are as far."""
    end = time.monotonic() + _LIMIT
    while True:
        site.check()
        mapped, status = _lasting(site, wanted)
        open_ends = {it for it in mapped if not _is_settled(status.get(it), wanted[it.name], moment)}
        settled = {
            it: row
            for it, row in status.items()
            if it in mapped or it.name not in wanted or _is_settled(row, wanted[it.name], moment)
        }
        if not open_ends:
            return "", settled
        if time.monotonic() > end:
            one = min(open_ends, key=lambda it: (it.name, it.pid))
            row = status.get(one)
            said = f"{row['result']} {row['reason']} {row['note']}" if row else "not known to the daemon"
            return f"neither updated nor refused in {len(open_ends)} cases; {one.name} in {one.pid}: {said}", settled


def _is_settled(row: dict[str, Any] | None, wanted: str, moment: float) -> bool:
    if row is None:
        return False
    return row["version"] == wanted or (row["result"] in (*_STAYS, "failed") and row["changed"] >= moment)


def _verdict(rows: list[dict[str, Any]], before: str, wanted: str) -> tuple[str, str]:
    """The verdict that all processes share, but those that executed a program since and began with what lies on disk,
    and its reason."""
    rows = [it for it in rows if it["result"] != "current" or it["versions_loaded"] > 1 or it["version"] == before]
    results, versions = {row["result"] for row in rows}, {row["version"] for row in rows}
    if versions == {wanted} and results <= {"updated", "current"}:
        return "applies", ""
    if versions == {before} and len(results) == 1 and results <= _STAYS:
        return results.pop(), min(row["reason"] for row in rows)
    reasons = sorted({row["reason"] for row in rows if row["reason"]})
    counts = ", ".join(f"{result} in {sum(it['result'] == result for it in rows)}" for result in sorted(results))
    return "failed", f"{counts} of {len(rows)} processes: {'; '.join(reasons)}"


def _longest(samples: Sequence[Sample]) -> float:
    return max((it.end - it.begin for it in samples), default=0.0)
