"""How a rule is written: one function that compares a pair of versions and yields what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from liveso.code import References, data_references
from liveso.elf import Image
from liveso.verdict.debug_files import DebugSource
from liveso.verdict.debug_info import DebugInfo, Layout, read_debug_info
from liveso.verdict.evidence import Evidence, gather_evidence
from liveso.verdict.finding import Finding, Weight
from liveso.verdict.type_census import is_unchanged, take_census


@dataclass(frozen=True)
class Pair:
    """What a rule sees: the version that runs, the one that may replace it, where to look for debug information, and
    the new one's references if they are known already."""

    old: Image
    new: Image
    debug_source: DebugSource
    known_references: References | None = None

    @cached_property
    def references(self) -> References:
        """What the new version's code refers to. Raises ImageError where its functions cannot be told apart."""
        return data_references(self.new) if self.known_references is None else self.known_references

    @cached_property
    def evidence(self) -> Evidence:
        """What their code says about their data. Raises ImageError where it cannot be read."""
        return gather_evidence(self.old, self.new)

    @cached_property
    def old_debug(self) -> DebugInfo:
        return read_debug_info(self.old, self.debug_source, self.debug_source.origins[0])

    @cached_property
    def new_debug(self) -> DebugInfo:
        return read_debug_info(self.new, self.debug_source, self.debug_source.origins[1])

    @cached_property
    def changed_types(self) -> list[tuple[str, Layout, Layout]]:
        """The named types whose layout is not the same in both versions: name, old, new. Where a name stands for
        several types, each old one must be among the new ones."""
        found = []
        old, new = _all_types(self.old_debug), _all_types(self.new_debug)
        for name in sorted(old.keys() & new.keys()):
            for layout in sorted(old[name] - new[name], key=repr):
                candidates = sorted(new[name] - old[name] or new[name], key=repr)
                found.append((name, layout, candidates[0]))
        return found

    @cached_property
    def types_agree(self) -> bool:
        """Whether both versions have debug information that could be read to its end, and no type differs in it."""
        if not (self.old_debug.knows_all and self.new_debug.knows_all) or self.changed_types:
            return False
        old, new = (
            take_census((image.content, *(it.read_bytes() for it in debug.files)))
            for image, debug in ((self.old, self.old_debug), (self.new, self.new_debug))
        )
        return is_unchanged(old, new)


def _all_types(it: DebugInfo) -> dict[str, set[Layout]]:
    return {
        name: it.reachable.get(name, set()) | it.others.get(name, set())
        for name in it.reachable.keys() | it.others.keys()
    }


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
