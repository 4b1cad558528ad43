"""How a rule is written: one function that compares a pair of versions and yields what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from liveso.code import References
from liveso.elf import Image
from liveso.verdict.finding import Finding, Weight


@dataclass(frozen=True, slots=True)
class Pair:
    """What a rule sees: the version that runs, the one that may replace it, and the new one's references."""

    old: Image
    new: Image
    references: References


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rule yields: a finding, before the rule's name is put on it."""

    weight: Weight
    text: str
    symbol: tuple[str, str] | None = None


def refuse(text: str) -> Difference:
    return Difference(Weight.REFUSES, text)


def refuse_if_needed(text: str, symbol: tuple[str, str]) -> Difference:
    return Difference(Weight.REFUSES_IF_NEEDED, text, symbol)


def note(text: str) -> Difference:
    return Difference(Weight.NOTE, text)


Rule = Callable[[Pair], Iterator[Finding]]


def rule(name: str) -> Callable[[Callable[[Pair], Iterator[Difference]]], Rule]:
    """Make a rule of a function: its findings carry `name`."""

    def make(compare: Callable[[Pair], Iterator[Difference]]) -> Rule:
        def findings(pair: Pair) -> Iterator[Finding]:
            for difference in compare(pair):
                yield Finding(name, difference.weight, difference.text, difference.symbol)

        findings.__name__ = compare.__name__
        findings.__doc__ = compare.__doc__
        return findings

    return make
