"""How a rule is written: one function that compares a pair of versions and yields what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from liveso.code import References
from liveso.elf import Image
from liveso.verdict.evidence import Evidence, gather_evidence
from liveso.verdict.finding import Finding, Weight


@dataclass(frozen=True)
class Pair:
    """What a rule sees: the version that runs, the one that may replace it, the new one's references, and what their
    code says about their data (raises ImageError where it cannot be read)."""

    old: Image
    new: Image
    references: References

    @cached_property
    def evidence(self) -> Evidence:
        return gather_evidence(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rule yields: a finding, before the names of rule and layer are put on it."""

    weight: Weight
    text: str
    symbol: tuple[str, str] | None = None
    old: str = ""
    new: str = ""
    where: tuple[str, ...] = ()


def impossible(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.IMPOSSIBLE, text, **evidence)


def refuse(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.REFUSES, text, **evidence)


def refuse_if_needed(text: str, symbol: tuple[str, str]) -> Difference:
    return Difference(Weight.REFUSES_IF_NEEDED, text, symbol)


def note(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.NOTE, text, **evidence)


@dataclass(frozen=True, slots=True)
class Rule:
    """A function that compares a pair of versions, with the name that its findings carry."""

    name: str
    compare: Callable[[Pair], Iterator[Difference]]

    def findings(self, layer: str, pair: Pair) -> Iterator[Finding]:
        for it in self.compare(pair):
            yield Finding(layer, self.name, it.weight, it.text, it.symbol, it.old, it.new, it.where)


def rule(name: str) -> Callable[[Callable[[Pair], Iterator[Difference]]], Rule]:
    """Make a rule of a function: its findings carry `name`."""
    return lambda compare: Rule(name, compare)
