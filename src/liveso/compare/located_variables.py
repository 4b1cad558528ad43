"""Where the variables of a version were in the one before it, by its tables and by the code of both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from liveso.code import References, thread_local_references
from liveso.compare.both_codes import BothCodes
from liveso.compare.correspondence import Correspondence, same_layout
from liveso.compare.evidence import Evidence, gather_evidence
from liveso.compare.known_data import called_as_before, data_side, named_variables
from liveso.compare.moved_variables import MatchedVariables, match_variables
from liveso.compare.thread_local import different_blocks, match_thread_locals
from liveso.compare.weighing import counts, grouped
from liveso.compare.witness import Kind
from liveso.debug.compared_types import ComparedTypes
from liveso.elf import Image, tables
from liveso.elf.data import data_layout
from liveso.errors import ImageError


@dataclass(frozen=True)
class LocatedVariables:
    """Locates the variables that all threads share, and those of each thread.

    Where the tables say that all of them stay, the code of both versions is asked whether that is so; where some moved,
    they are matched.
    """

    code: BothCodes
    types: ComparedTypes

    @cached_property
    def evidence(self) -> Evidence:
        """What the code of both versions says about their data. Raises ImageError where it cannot be read."""
        found = self.shared, self.each_thread
        if all(it is None or it.is_same_layout for it in found):
            return self._evidence_of_same_layout
        return gather_evidence(self.code.old, self.code.new, self.code.matching, *found)

    @cached_property
    def _evidence_of_same_layout(self) -> Evidence:
        return gather_evidence(self.code.old, self.code.new, self.code.matching)

    @cached_property
    def have_same_layout(self) -> bool:
        """Whether, by all that the files' tables say, each variable lies where it lay. Raises ImageError where the
        variables of one of them cannot be located."""
        return not any(different_places(self.code.old, self.code.new))

    @cached_property
    def have_same_block(self) -> bool:
        """Whether, by all that the files' tables say, each thread-local variable lies where it lay. Raises ImageError
        where those of one of them cannot be located."""
        return not any(different_blocks(self.code.old, self.code.new))

    @cached_property
    def shared(self) -> Correspondence | None:
        """Where each variable was; None where that is not certain. Raises ImageError where it cannot be read.

        Where the tables say that all variables stay and the code that some moved, the matched variables are taken if
        there is no doubt about them.
        """
        size = len(data_layout(self.code.new).span)
        return self._located(size, self.have_same_layout, Kind.VARIABLE, lambda: self.matched)

    @cached_property
    def each_thread(self) -> Correspondence | None:
        """Where each thread-local variable was in its thread's block, as `shared` says it of the others."""
        size = self.code.new.block_size
        if not size:
            return same_layout(size)
        return self._located(size, self.have_same_block, Kind.THREAD_LOCAL, lambda: self.matched_of_each_thread)

    @cached_property
    def matched(self) -> MatchedVariables:
        """Which variable is which, by names and code. Raises ImageError where that cannot be read."""
        code, types = self.code, self.types
        sides = (code.old, code.old_references, types.old), (code.new, code.references, types.new)
        named = [
            named_variables(image, debug, data_layout(image).span, tables.STT_OBJECT) for image, _found, debug in sides
        ]
        old = data_side(code.old, code.old_references, named[0])
        new = data_side(code.new, code.references, called_as_before(*named))
        return match_variables(old, new, code.matching)

    @cached_property
    def matched_of_each_thread(self) -> MatchedVariables:
        """Which thread-local variable is which, by names and code. Raises ImageError where that cannot be read."""
        code = self.code
        return match_thread_locals(code.old, code.new, code.matching, (self.types.old, self.types.new))

    @cached_property
    def references_to_new(self) -> list[int]:
        """The places of the new code's references to variables that the old version has not. Raises ImageError where
        they cannot be read."""
        return [
            place
            for correspondence, rows in self._referrers(self.code.new, self.code.references)
            for place, at in rows
            if correspondence.led_to(place, at) is None
        ]

    @cached_property
    def references_to_gone(self) -> list[int]:
        """The places of the old code's references to variables that the new version has not. Raises ImageError where
        they cannot be read."""
        return [
            place
            for correspondence, rows in self._referrers(self.code.old, self.code.old_references)
            for place, at in rows
            if not correspondence.keeps(at)
        ]

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

    def _some_moved(self, kind: Kind) -> bool:
        try:
            found = self._evidence_of_same_layout
        except ImageError:
            return False  # the rule code-comparison says it
        return any(it[0].kind is kind and counts(it, found.staying) for it in grouped(found))

    def _referrers(
        self, image: Image, references: References
    ) -> Iterator[tuple[Correspondence, list[tuple[int, int]]]]:
        """Where variables moved: how, and the references of one version's code, as places of the code and in the
        memory that holds the variables."""
        if self.shared is not None and not self.shared.is_same_layout:
            start = data_layout(image).span.start
            yield (
                self.shared,
                [(place, at - start) for place, at in references.to_variables[["place", "target"]].tolist()],
            )
        if self.each_thread is not None and not self.each_thread.is_same_layout:
            yield self.each_thread, thread_local_references(image).table[["place", "target"]].tolist()


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
