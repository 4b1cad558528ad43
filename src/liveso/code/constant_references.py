"""The references to constants that have homes, whatever makes them: instructions, or words of tables of distances."""

from dataclasses import replace

import numpy as np

from liveso.code.constants import distances
from liveso.code.references import References, pages_of, slot_references
from liveso.elf import Image
from liveso.elf.data import constant_span
from liveso.elf.sets import among, distinct
from liveso.errors import ImageError


def with_references_to(image: Image, references: References, constants: frozenset[int]) -> References:
    """The `references` of `image`, with those that form the addresses of some more constants, and the distances that
    lead to some; what is read there is the same in all versions. Raises ImageError where one may be in code that cannot
    be decoded, or not be followed to where the rest of an address is."""
    known = constant_span(image)
    rows, lost = slot_references(image, frozenset(it for it in constants if it not in known))
    if lost:
        raise ImageError(f"its code at {lost[0]:#x} cannot be followed, and may refer to a constant")
    rows = rows[rows["forms_address"]]
    words = distances(image)
    words = words[among(words["target"], np.array(sorted(constants), "<u8"))]
    if not len(rows) and not len(words):
        return references
    pages = np.concatenate([references.pages, pages_of(image, rows["place"])])
    return replace(references, constants=np.concatenate([references.constants, rows, words]), pages=distinct(pages))
