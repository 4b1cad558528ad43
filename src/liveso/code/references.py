"""The references of an image's code to its variables, constants and functions: what relinking must change."""

import numpy as np

from liveso.code import references_by_displacement, references_by_parts
from liveso.code.reference import PAGE, REFERENCE, References, no_references
from liveso.elf import Image
from liveso.elf.tables import Table

__all__ = [
    "PAGE",
    "REFERENCE",
    "References",
    "data_references",
    "no_references",
    "pages_of",
    "slot_references",
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


def _has_parts(image: Image) -> bool:
    return image.machine.code_words is not None
