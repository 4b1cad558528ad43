"""The document about the same updates on two machines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bench.backtest.judgements import Judgement
from bench.backtest.report import table, what

_CLASSES = (
    "applies on both",
    "refused on both",
    "refused on arm64 only",
    "refused on amd64 only",
    "failed on one or both",
)


@dataclass(frozen=True)
class Compared:
    """What was found for amd64 and for arm64, of `count` updates, in libraries of at most `largest` MB."""

    release: str
    largest: float
    count: int
    amd64: list[Judgement]
    arm64: list[Judgement]

    @cached_property
    def pairs(self) -> list[tuple[Judgement, Judgement]]:
        """The judgements over one library of one update on both machines."""
        other = {(it.update, it.library): it for it in self.arm64}
        rows = sorted(self.amd64, key=lambda it: (it.update.source, it.update.package, it.library))
        return [(it, other[it.update, it.library]) for it in rows if (it.update, it.library) in other]


def comparison(it: Compared) -> str:
    """The document as Markdown."""
    return "\n".join(_lines(it)) + "\n"


def _lines(it: Compared) -> Iterator[str]:
    yield "# Debian's own updates, judged on arm64 and on amd64"
    yield ""
    yield (
        f"Written by `make backtest-arm64`: the lowest against the highest version of library packages that "
        f"{it.release} offers for both architectures, {it.count} updates, libraries of at most {it.largest:g} MB, "
        "under the policy `strict`, without debug information. An accepted pair whose plan cannot be made "
        "(`liveso check --plan`) counts as refused, by the rule `plan`."
    )
    yield ""
    classes = Counter(_class_of(*pair) for pair in it.pairs)
    rows: list[tuple[object, ...]] = [(name, classes[name]) for name in _CLASSES]
    yield from table(("verdict", "pairs"), [*rows, ("all", len(it.pairs))])
    yield ""
    alone = len(it.amd64) + len(it.arm64) - 2 * len(it.pairs)
    yield (
        f"Seconds, each pair a process of its own: {_seconds(it, 0):.0f} for amd64, {_seconds(it, 1):.0f} for arm64. "
        f"Judgements for one machine alone, which are left out: {alone}."
    )
    yield ""
    yield "## Rules that refuse one of both"
    yield ""
    yield from table(("rule", "arm64 only", "amd64 only"), _rules(it.pairs))
    yield ""
    for name in _CLASSES[2:]:
        different = [pair for pair in it.pairs if _class_of(*pair) == name]
        if different:
            yield f"## {name.capitalize()}"
            yield ""
            yield from table(("library", "update", "rules", "strongest evidence"), map(_row, different))
            yield ""


def _class_of(amd64: Judgement, arm64: Judgement) -> str:
    outcomes = (amd64.outcome, arm64.outcome)
    if "failed" in outcomes:
        return _CLASSES[4]
    return _CLASSES[{("applies", "applies"): 0, ("refused", "refused"): 1, ("applies", "refused"): 2}.get(outcomes, 3)]


def _seconds(it: Compared, which: int) -> float:
    return sum(pair[which].seconds for pair in it.pairs)


def _rules(pairs: list[tuple[Judgement, Judgement]]) -> Iterator[tuple[object, ...]]:
    """Also where other rules refuse both."""
    here: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for amd64, arm64 in pairs:
        here.update(set(arm64.rules) - set(amd64.rules))
        there.update(set(amd64.rules) - set(arm64.rules))
    for rule in sorted(here | there, key=lambda it: (-here[it] - there[it], it)):
        yield rule, here[rule], there[rule]


def _row(pair: tuple[Judgement, Judgement]) -> tuple[object, ...]:
    it = next((one for one in pair if one.outcome == "failed"), None)
    it = it or next(one for one in pair if one.outcome == "refused")
    return (*what(it), ", ".join(it.rules), it.evidence)
