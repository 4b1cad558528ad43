"""The shapes of an image's functions: their bytes without what the linker fills in, so that a function which only lies
elsewhere has the same shape. No instruction is decoded for it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.code.functions import functions
from liveso.code.mask import FIELD
from liveso.code.syntax import syntax
from liveso.elf import Image
from liveso.elf.tables import Table


@dataclass(frozen=True)
class Shapes:
    """`functions` has the start and end of each function; `shapes` a hash of each one's shape, in the same order.

    `fields` are the places of displacements that were left out of the shapes, sorted, with the address each leads to: a
    few are other bytes that only look like one.
    """

    functions: Table
    shapes: list[int]
    fields: Table

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
        masked, found = syntax(image.machine).mask(image, section, known)
        fields.append(found)
        inside = (starts >= section.address) & (ends <= section.end) & ~kept  # damaged sections may overlap
        kept |= inside
        content = masked.tobytes()
        for start, end in known[inside].tolist():
            hashes.append(hash(content[start - section.address : end - section.address]))
    # sections come in the order of their addresses, as the functions do
    return Shapes(known[kept], hashes, np.concatenate([*fields, np.zeros(0, FIELD)]))
