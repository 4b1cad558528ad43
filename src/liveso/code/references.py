"""The references of an image's code to its variables, constants and functions: what relinking must change."""

from dataclasses import replace

import numpy as np

from liveso.code import references_by_displacement, references_by_parts
from liveso.code.constants import distances
from liveso.code.reference import PAGE, REFERENCE, References, no_references
from liveso.elf import Image
from liveso.elf.data import constant_span
from liveso.elf.tables import Table
from liveso.errors import ImageError

__all__ = [
    "PAGE",
    "REFERENCE",
    "References",
    "data_references",
    "no_references",
    "pages_of",
    "slot_references",
    "with_references_to",
]


def data_references(image: Image) -> References:
    """Find the references of `image`'s code to its own variables. Raises ImageError as `functions` does, and for code
    that has none which could be followed."""
    if _has_parts(image):
        return references_by_parts.data_references(image)
    return references_by_displacement.data_references(image)


def slot_references(image: Image, slots: frozenset[int]) -> tuple[Table, tuple[int, ...]]:
    """The references of `image`'s code to certain words of the linker's tables, or constants, and the addresses inside
    functions where one may be that cannot be decoded. Raises ImageError as `functions` does."""
    if _has_parts(image):
        return references_by_parts.slot_references(image, slots)
    return references_by_displacement.slot_references(image, slots)


def pages_of(image: Image, places: Table) -> Table:
    """The PAGE rows of references at `places`. Raises ImageError as `functions` does."""
    return references_by_parts.pages_of(image, places) if _has_parts(image) else np.zeros(0, PAGE)


def with_references_to(image: Image, references: References, constants: frozenset[int]) -> References:
    """The `references` of `image`, with those that form the addresses of some more constants, and the distances that
    lead to some; what is read there is the same in all versions. Raises ImageError where one may be in code that cannot
    be decoded."""
    known = constant_span(image)
    rows, undecoded = slot_references(image, frozenset(it for it in constants if it not in known))
    if undecoded:
        raise ImageError(f"its code at {undecoded[0]:#x} cannot be decoded, and may refer to a constant")
    rows = rows[rows["forms_address"]]
    words = distances(image)
    words = words[np.isin(words["target"], np.array(sorted(constants), "<u8"))]
    if not len(rows) and not len(words):
        return references
    pages = np.concatenate([references.pages, pages_of(image, rows["place"])])
    return replace(references, constants=np.concatenate([references.constants, rows, words]), pages=np.unique(pages))


def _has_parts(image: Image) -> bool:
    return image.machine.code_words is not None
