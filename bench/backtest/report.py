"""The document that a backtest ends in."""

import statistics
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.backtest.judgements import Judgement

_REVIEWS = Path(__file__).parent / "reviews.toml"
_OUTCOMES = ("applies", "refused", "failed")


def report(found: list[Judgement], architecture: str) -> str:
    """The document as Markdown."""
    rows = sorted(found, key=lambda it: (it.update.release, it.update.source, it.update.package, it.library))
    return "\n".join(_lines(rows, architecture)) + "\n"


def _lines(rows: list[Judgement], architecture: str) -> Iterator[str]:
    judged = [it for it in rows if it.outcome != "failed"]
    yield f"# Debian's own updates, judged ({architecture})"
    yield ""
    yield (
        "Written by `make backtest`: library packages of which a release offers several versions, the lowest against "
        "the highest, under the policy `strict`, without debug information. A pair is one shared library in both."
    )
    yield ""
    yield from table(("release", "pairs", *_OUTCOMES), _counts(rows))
    yield ""
    yield from _times(judged)
    yield ""
    yield "## What refuses"
    yield ""
    counts = Counter(rule for it in judged for rule in it.rules)
    alone = Counter(it.rules[0] for it in judged if len(it.rules) == 1)
    yield "How many pairs each rule refuses, and how many of them no other rule does."
    yield ""
    yield from table(("rule", "pairs", "alone"), ((rule, n, alone[rule]) for rule, n in counts.most_common()))
    yield ""
    yield from _reviews(judged)
    yield "## Refusals"
    yield ""
    refused = ((*what(it), it.evidence, f"{it.seconds:.1f}") for it in judged if it.outcome == "refused")
    yield from table(("library", "update", "strongest evidence", "s"), refused)
    yield ""
    yield "## Acceptances"
    yield ""
    applied = ((*what(it), f"{it.seconds:.1f}") for it in judged if it.outcome == "applies")
    yield from table(("library", "update", "s"), applied)
    failed = [it for it in rows if it.outcome == "failed"]
    if failed:
        yield ""
        yield "## Not answered"
        yield ""
        yield "Most are packages that the release's lists still name while the mirror has them no more."
        yield ""
        yield from table(("library", "update", "why"), ((*what(it), it.evidence) for it in failed))


def _counts(rows: list[Judgement]) -> Iterator[tuple[object, ...]]:
    for release in sorted({it.update.release for it in rows}):
        outcomes = Counter(it.outcome for it in rows if it.update.release == release)
        yield release, outcomes.total(), *(outcomes[it] for it in _OUTCOMES)
    outcomes = Counter(it.outcome for it in rows)
    yield "all", outcomes.total(), *(outcomes[it] for it in _OUTCOMES)


def _times(judged: list[Judgement]) -> Iterator[str]:
    if not judged:
        return
    seconds = sorted(it.seconds for it in judged)
    slowest = max(judged, key=lambda it: it.seconds)
    yield (
        f"Time per pair, as a process of its own: median {statistics.median(seconds):.1f} s, nine of ten within "
        f"{seconds[int(0.9 * (len(seconds) - 1))]:.1f} s, longest {slowest.seconds:.1f} s ({slowest.library}, "
        f"{slowest.size / 1e6:.1f} MB)."
    )


def _reviews(judged: list[Judgement]) -> Iterator[str]:
    """What a look at the sources' differences said of some verdicts."""
    reviews = tomllib.loads(_REVIEWS.read_text())["review"] if _REVIEWS.exists() else []
    by_key = {(it.update.package, it.update.old, it.update.new, it.library): it for it in judged}
    rows = []
    for review in reviews:
        it = by_key.get((review["package"], review["old"], review["new"], review["library"]))
        if it is not None:
            rows.append((*what(it), it.outcome, review["truth"], review["why"]))
    if rows:
        yield "## Held against the sources"
        yield ""
        for outcome, name in (("refused", "refusals"), ("applies", "acceptances")):
            truths = [truth for _library, _update, found, truth, _why in rows if found == outcome]
            right = truths.count(outcome)
            yield f"Of {len(truths)} {name} whose sources' differences were read, {right} are right."
            yield ""
        yield from table(("library", "update", "verdict", "right would be", "why"), rows)
        yield ""


def what(it: Judgement) -> tuple[str, str]:
    return it.library or it.update.package, f"{it.update.package} {it.update.old} → {it.update.new}"


def table(titles: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
