"""What AArch64 code reaches by way of an address that it has formed, left out of its shape: the number is the distance
of two objects, which is another one when something comes between them, and the same one for two others."""

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.mask import FIELD, NOWHERE
from liveso.elf import Image, Section
from liveso.elf.data import constant_span
from liveso.elf.sets import among
from liveso.elf.tables import Table

_KEPT = (
    (0x1F000000, 0x11000000, 0xFFC003FF),  # ADD, SUB (immediate)
    (0x3B000000, 0x39000000, 0xFFC003FF),  # loads and stores: unsigned offset
    (0x3B200000, 0x38000000, 0xFFE00FFF),  # unscaled, before and behind
    (0x3A000000, 0x28000000, 0xFFC07FFF),  # pairs
)
"""The bits of a word that tell its kind, what they are, and those that are kept (Arm Architecture Reference Manual,
C4.1)."""


def without_distances(image: Image, section: Section, masked: Table, fields: Table) -> tuple[Table, Table]:
    """The `masked` bytes of a section without such numbers either, and the `fields` with these; those of an address
    that is for nothing else lead nowhere. Raises ImageError as `functions` does."""
    reached = address_parts(image).reached.rows
    reached = reached[
        (reached["place"] >= section.address) & (reached["place"] < section.address + len(masked) // 4 * 4)
    ]
    reached = reached[~among(reached["place"], fields["place"])]
    _places, first = np.unique(reached["place"], return_index=True)
    reached = reached[first]
    at = ((reached["place"] - section.address) // 4).astype("<i8")
    words = masked[: len(masked) // 4 * 4].view("<u4").copy()
    for told, kind, kept in _KEPT:
        which = at[words[at] & told == kind]
        words[which] &= kept
    found = np.zeros(len(reached), FIELD)
    found["place"], found["target"] = reached["place"], reached["target"]
    both = np.sort(np.concatenate([fields, found]), order="place")
    both["target"][among(both["place"], address_parts(image).reached.anchors.astype("<u8"))] = NOWHERE
    return np.concatenate([words.view(np.uint8), masked[len(words) * 4 :]]), both


def at_first_constants(image: Image) -> Table:
    """The places that form the address of a constant by which others are reached: code that is about this one needs no
    distance. Which that is, is another one when something comes before it. Raises ImageError as `functions` does."""
    found, span = address_parts(image), constant_span(image)
    rows = found.rows[found.rows["forms_address"]]
    rows = rows[(rows["target"] >= span.start) & (rows["target"] < span.stop)]
    first = rows["target"][among(rows["place"], found.reached.rows["page"])]
    places: Table = rows["place"][among(rows["target"], first) & ~among(rows["place"], found.reached.rows["page"])]
    return places
