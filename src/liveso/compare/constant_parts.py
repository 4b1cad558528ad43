"""Numbers in code that are a part of the address of a constant, and no member's (AArch64: the page was kept in the
frame, for example)."""

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.elf import Image
from liveso.elf.data import data_layout


def is_part_of_constant(image: Image, place: int) -> bool:
    """Whether the instruction at `place` adds the rest of an address to a page, by what linkers fill in, and comes to
    nothing that code writes to, whatever way was taken there. Constants come with the code that reads them."""
    if image.machine.code_words is None:
        return False
    rows = address_parts(image).rows
    low, high = (int(np.searchsorted(rows["place"], place, side)) for side in ("left", "right"))
    span = data_layout(image).span
    targets = rows["target"][low:high]
    return high > low and not ((targets >= span.start) & (targets <= span.stop)).any()
