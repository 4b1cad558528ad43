"""How a rule is written: one function that compares a pair of versions and yields what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from liveso.code import References, data_references, thread_local_references
from liveso.compare.changed_uses import ChangedUses
from liveso.compare.constant_pairs import (
    CompanionConstants,
    certain_partners,
    match_constants,
    named_constants,
    partners_of_compared,
)
from liveso.compare.correspondence import Correspondence, Piece, SameFunction, same_layout
from liveso.compare.evidence import Evidence, gather_evidence
from liveso.compare.function_pairs import certain_pairs, formed_together, same_functions
from liveso.compare.known_data import called_as_before, data_side, named_variables
from liveso.compare.lifetimes import Lifetimes
from liveso.compare.matching import Matching, match_functions
from liveso.compare.moved_variables import MatchedVariables, match_variables
from liveso.compare.named_rows import functions_of_named_rows
from liveso.compare.same_constants import same_constants
from liveso.compare.tables import match_tables
from liveso.compare.thread_local import different_blocks, match_thread_locals
from liveso.compare.witness import Kind
from liveso.debug.debug_files import DebugSource
from liveso.debug.debug_info import DebugInfo, Layout, read_debug_info
from liveso.debug.type_census import is_unchanged, take_census
from liveso.elf import Image, printable, tables
from liveso.elf.data import data_layout
from liveso.errors import ImageError
from liveso.verdict.finding import Finding, Weight
from liveso.verdict.weighing import counts, grouped


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
    def old_references(self) -> References:
        """What the old version's code refers to. Raises ImageError as `references` does."""
        return data_references(self.old)

    @cached_property
    def matching(self) -> Matching:
        """Which function is which. Raises ImageError where their unwind tables cannot be read."""
        return match_functions(self.old, self.new)

    @cached_property
    def evidence(self) -> Evidence:
        """What their code says about their data. Raises ImageError where it cannot be read."""
        found = self.correspondence, self.thread_locals
        if all(it is None or it.is_same_layout for it in found):
            return self._evidence_of_same_layout
        return gather_evidence(self.old, self.new, self.matching, *found)

    @cached_property
    def _evidence_of_same_layout(self) -> Evidence:
        return gather_evidence(self.old, self.new, self.matching)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """How long objects of the old version live. Raises ImageError as `matching` does."""
        return Lifetimes(self.old, self.matching.old)

    @cached_property
    def changed_uses(self) -> ChangedUses:
        """What their code does with members and variables. Raises ImageError where it cannot be read."""
        variables = {"data": self.correspondence, "tls": self.thread_locals}
        return ChangedUses(self.old, self.new, self.matching, variables)

    @cached_property
    def has_same_layout(self) -> bool:
        """Whether, by all that the files' tables say, each variable lies where it lay. Raises ImageError where the
        variables of one of them cannot be located."""
        return not any(different_places(self.old, self.new))

    @cached_property
    def matched_variables(self) -> MatchedVariables:
        """Which variable is which, by names and code. Raises ImageError where that cannot be read."""
        sides = (self.old, self.old_references, self.old_debug), (self.new, self.references, self.new_debug)
        named = [
            named_variables(image, debug, data_layout(image).span, tables.STT_OBJECT) for image, _found, debug in sides
        ]
        old = data_side(self.old, self.old_references, named[0])
        new = data_side(self.new, self.references, called_as_before(*named))
        return match_variables(old, new, self.matching)

    @cached_property
    def correspondence(self) -> Correspondence | None:
        """Where each variable was; None where that is not certain. Raises ImageError where it cannot be read.

        Where the tables say that all variables stay and the code that some moved, the matched variables are taken if
        there is no doubt about them.
        """
        size = len(data_layout(self.new).span)
        return self._located(size, self.has_same_layout, Kind.VARIABLE, lambda: self.matched_variables)

    @cached_property
    def matched_thread_locals(self) -> MatchedVariables:
        """Which thread-local variable is which, by names and code. Raises ImageError where that cannot be read."""
        return match_thread_locals(self.old, self.new, self.matching, (self.old_debug, self.new_debug))

    @cached_property
    def has_same_block(self) -> bool:
        """Whether, by all that the files' tables say, each thread-local variable lies where it lay. Raises ImageError
        where those of one of them cannot be located."""
        return not any(different_blocks(self.old, self.new))

    @cached_property
    def thread_locals(self) -> Correspondence | None:
        """Where each thread-local variable was in its thread's block, as `correspondence` says it of the others."""
        size = self.new.block_size
        if not size:
            return same_layout(size)
        return self._located(size, self.has_same_block, Kind.THREAD_LOCAL, lambda: self.matched_thread_locals)

    def _located(
        self, size: int, stays: bool, kind: Kind, match: Callable[[], MatchedVariables]
    ) -> Correspondence | None:
        """Where the variables were that lie in `size` bytes of the new version, whose tables say whether all `stays`;
        `kind` is what a witness would say of one that moved."""
        same = same_layout(size)
        if stays and not self._some_moved(kind):
            return same
        matched = match()
        if matched.doubts:
            return same if stays else None
        return matched.correspondence

    @cached_property
    def tables(self) -> tuple[Piece, ...]:
        """Which constant tables are the same. Raises ImageError where code cannot be read."""
        certain = certain_pairs(self.old, self.new, self.matching, self._in_rows, self._formed_together)
        constants = self.old_references.to_constants, self.references.to_constants
        compared = certain_partners(self.new, self._partners_of_compared)
        return match_tables(self.old, self.new, self.matching, constants, certain, compared)

    @cached_property
    def _partners_of_compared(self) -> dict[int, set[int]]:
        return partners_of_compared(self.old, self.new, self.matching)

    @cached_property
    def _in_rows(self) -> list[tuple[int, int]]:
        return list(functions_of_named_rows(self.old, self.new, (self.old_references, self.references)))

    @cached_property
    def _formed_together(self) -> list[tuple[int, int]]:
        return formed_together(self.matching, (self.old_references, self.references))

    @cached_property
    def same_constants(self) -> tuple[Piece, ...]:
        """Which constants have the same content, as far as code can be read."""
        try:
            return same_constants(self.old, self.new, self.matching, tuple(named_constants(self.old, self.new)))
        except ImageError:
            return ()  # code-comparison says it

    @cached_property
    def constants(self) -> CompanionConstants:
        """Which constants that code knows by their address are the same, as far as code can be read."""
        try:
            known = (*self.tables, *self.same_constants)
            return match_constants(self.old, self.new, self.matching, self._partners_of_compared, known)
        except ImageError:
            return CompanionConstants((), ())  # code-comparison says it

    @cached_property
    def functions(self) -> tuple[SameFunction, ...]:
        """Which functions that a process may remember are the same, as far as code can be read."""
        try:
            known = self.old_references, self._in_rows, self._formed_together, self.tables, self.correspondence
            return same_functions(self.old, self.new, self.matching, *known)
        except ImageError:
            return ()  # code-comparison says it

    @cached_property
    def references_to_new_variables(self) -> list[int]:
        """The places of the new code's references to variables that the old version has not. Raises ImageError where
        they cannot be read."""
        return [
            place
            for correspondence, rows in self._referrers(self.new, self.references)
            for place, at in rows
            if correspondence.led_to(place, at) is None
        ]

    @cached_property
    def references_to_gone_variables(self) -> list[int]:
        """The places of the old code's references to variables that the new version has not. Raises ImageError where
        they cannot be read."""
        return [
            place
            for correspondence, rows in self._referrers(self.old, self.old_references)
            for place, at in rows
            if not correspondence.keeps(at)
        ]

    def _referrers(
        self, image: Image, references: References
    ) -> Iterator[tuple[Correspondence, list[tuple[int, int]]]]:
        """Where variables moved: how, and the references of one version's code, as places of the code and in the
        memory that holds the variables."""
        if self.correspondence is not None and not self.correspondence.is_same_layout:
            start = data_layout(image).span.start
            yield (
                self.correspondence,
                [(place, at - start) for place, at in references.to_variables[["place", "target"]].tolist()],
            )
        if self.thread_locals is not None and not self.thread_locals.is_same_layout:
            yield self.thread_locals, thread_local_references(image).table[["place", "target"]].tolist()

    def _some_moved(self, kind: Kind) -> bool:
        try:
            found = self._evidence_of_same_layout
        except ImageError:
            return False  # code-comparison says it
        return any(it[0].kind is kind and counts(it, found.staying) for it in grouped(found))

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


def different_places(old: Image, new: Image) -> Iterator[str]:
    """How the tables of two versions differ in where variables lie, in words. Raises ImageError where the variables of
    one of them cannot be located."""
    layouts = data_layout(old), data_layout(new)
    spans = layouts[0].span, layouts[1].span
    if len(spans[0]) != len(spans[1]):
        yield f"the writable data changes from {len(spans[0])} to {len(spans[1])} bytes"
    for one, other in zip(layouts[0].sections, layouts[1].sections, strict=False):
        places = one.address - spans[0].start, other.address - spans[1].start
        if (one.name, one.size, places[0]) != (other.name, other.size, places[1]):
            yield (
                f"the section {one.name} of {one.size} bytes at +{places[0]:#x} of the writable data becomes "
                f"{other.name} of {other.size} bytes at +{places[1]:#x}"
            )
    if len(layouts[0].sections) != len(layouts[1].sections):
        yield f"the writable data changes from {len(layouts[0].sections)} to {len(layouts[1].sections)} sections"
    for before in old.defined.values():
        after = new.successor_of(before)
        if after is not None and before.type == tables.STT_OBJECT and before.value in spans[0]:
            moved = before.value - spans[0].start, after.value - spans[1].start
            if moved[0] != moved[1]:
                yield f"the exported variable {before} moves from +{moved[0]:#x} to +{moved[1]:#x}"


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


def counted(number: int, noun: str) -> str:
    """A number with what it counts, in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
            text, old, new = map(printable, (it.text, it.old, it.new))
            yield Finding(layer, self.name, it.weight, text, it.symbol, old, new, tuple(map(printable, it.where)))


def rule(name: str) -> Callable[[Callable[[Pair], Iterator[Difference]]], Rule]:
    """Make a rule of a function: its findings carry `name`."""
    return lambda compare: Rule(name, compare)
