"""How a rule is written: one function that compares a pair of versions and yields what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from liveso.elf import printable
from liveso.verdict.finding import Finding, Weight
from liveso.verdict.pair import Pair


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rule yields: a finding, before the names of rule and layer are put on it."""

    weight: Weight
    text: str
    symbol: tuple[str, str] | None = None
    old: str = ""
    new: str = ""
    where: tuple[str, ...] = ()


def counted(number: int, noun: str) -> str:
    """A number with what it counts, in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def impossible(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.IMPOSSIBLE, text, **evidence)


def refuse(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.REFUSES, text, **evidence)


def refuse_if_needed(text: str, symbol: tuple[str, str]) -> Difference:
    return Difference(Weight.REFUSES_IF_NEEDED, text, symbol)


def only_outside(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.OUTSIDE, text, **evidence)


def note(text: str, **evidence: Any) -> Difference:
    return Difference(Weight.NOTE, text, **evidence)


@dataclass(frozen=True, slots=True)
class Rule:
    """A function that compares a pair of versions, with the name that its findings carry."""

    name: str
    compare: Callable[[Pair], Iterator[Difference]]

    def findings(self, layer: str, pair: Pair) -> Iterator[Finding]:
        for it in self.compare(pair):
            text, old, new = map(printable, (it.text, it.old, it.new))
            yield Finding(layer, self.name, it.weight, text, it.symbol, old, new, tuple(map(printable, it.where)))


def rule(name: str) -> Callable[[Callable[[Pair], Iterator[Difference]]], Rule]:
    """Make a rule of a function: its findings carry `name`."""
    return lambda compare: Rule(name, compare)
