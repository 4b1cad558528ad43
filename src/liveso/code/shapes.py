"""The shapes of an image's functions: their bytes without what the linker fills in, so that a function which only lies
elsewhere has the same shape. No instruction is decoded for it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from liveso.code.functions import functions, holders
from liveso.code.mask import FIELD
from liveso.code.reached_distances import at_first_constants, without_distances
from liveso.code.syntax import syntax
from liveso.elf import Image
from liveso.elf.sets import distinct
from liveso.elf.tables import Table


@dataclass(frozen=True)
class Shapes:
    """`functions` has the start and end of each function; `shapes` a hash of each one's shape, in the same order.

    `fields` are the places of displacements that were left out of the shapes, sorted, with the address each leads to: a
    few are other bytes that only look like one. `unclear` are shapes that tell nothing: another function has it where
    the objects that it is about lie otherwise.
    """

    functions: Table
    shapes: list[int]
    fields: Table
    unclear: frozenset[int] = frozenset()

    def fields_of(self, index: int) -> Table:
        """The fields inside the function `index`."""
        low, high = self.bounds[index]
        found: Table = self.fields[low:high]
        return found

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """Which of the fields each function has: from one index up to another."""
        low, high = (np.searchsorted(self.fields["place"], self.functions[name]).tolist() for name in ("start", "end"))
        return list(zip(low, high, strict=True))


def shapes(image: Image) -> Shapes:
    """The shapes of all functions with an unwind entry. Raises ImageError as `functions` does."""
    known = functions(image)
    starts, ends = known["start"], known["end"]
    hashes, kept, fields = [], np.zeros(len(known), np.bool_), []
    for section in image.sections:
        if not (section.is_code and section.has_bytes and section.size) or section.name.startswith(".plt"):
            continue
        masked, left_out = syntax(image.machine).mask(image, section, known)
        if image.machine.code_words is not None:
            masked, left_out = without_distances(image, section, masked, left_out)
        fields.append(left_out)
        inside = (starts >= section.address) & (ends <= section.end) & ~kept  # damaged sections may overlap
        kept |= inside
        content = masked.tobytes()
        for start, end in known[inside].tolist():
            hashes.append(hash(content[start - section.address : end - section.address]))
    # sections come in the order of their addresses, as the functions do
    found = Shapes(known[kept], hashes, np.concatenate([*fields, np.zeros(0, FIELD)]))
    return replace(found, unclear=frozenset(_unclear(image, found)))


def _unclear(image: Image, it: Shapes) -> Iterator[int]:
    if image.machine.code_words is not None:
        before, inside = holders(it.functions, at_first_constants(image))
        yield from (it.shapes[index] for index in distinct(before[inside]).tolist())
