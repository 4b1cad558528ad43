"""References of code: the places that relinking must change."""

from dataclasses import dataclass, field

import numpy as np

from liveso.elf import Image, tables
from liveso.elf.sets import among
from liveso.elf.tables import Table, have_equal_fields

REFERENCE = np.dtype([("place", "<u8"), ("target", "<u8"), ("displacement", "<i4"), ("forms_address", "?")])
PAGE = np.dtype([("place", "<u8"), ("page", "<u8")])
"""The place of a reference, and the address of an instruction that leaves the page which it counts from."""

BOUND = np.dtype([("place", "<u8"), ("base", "<u8"), ("target", "<u8")])
"""What an instruction at `place` reaches by way of an address, both in one variable as far as code tells."""

Row = tuple[int, int, int, bool]
"""A REFERENCE."""


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """What the code of an image refers to.

    `table` has a row for each reference: the address of its displacement, the address it leads to, the displacement
    itself, and whether it forms the address for later use, where others access what lies there. Where it forms an
    address before the object that it is meant for, it leads to the object. `undecoded` are addresses
    inside functions where a reference may be that cannot be decoded, and `unclear` those of instructions that
    form an address in the linker's tables, which may be meant for a variable. `constants` are the references to
    constants that relocation writes, as `table` has those to variables. `outside` counts the references in code
    without unwind entry (hand-written assembly), which are in the table too, and `doubtful` the places there whose
    bytes would lead to a variable but that linear decoding took for none. `functions` are the places that form the
    address of a function of the image, and do not call it.

    Where instructions hold a part of an address only, the place of a reference is that of the instruction that adds
    its `displacement` to a page, or accesses what lies there, and `pages` has the instructions that leave the page: a
    PAGE for each pair of a reference and such an instruction, in the order of places. Where one instruction holds all,
    there is none. What cannot be followed from such an instruction to its uses is among the `unclear` ones.

    Where code has the address of one variable in a register and reaches others by way of that, no linker knows of the
    place, nor is it in `table`. `anchored` has a row for each such instruction, with the number that it adds to the
    address as `displacement`; its PAGE is the instruction that left the address. `anchored_constants` are those of
    constants. `bound` has a BOUND for each that reaches several places by one number, or has an index in it: both must
    move alike; and for all that an instruction accesses at once. `anchors` are the places in these tables that form an
    address for nothing else: it is no use of what lies there.
    """

    table: Table
    undecoded: tuple[int, ...]
    unclear: tuple[int, ...]
    outside: int
    doubtful: int
    constants: Table
    functions: Table
    pages: Table = field(default_factory=lambda: np.zeros(0, PAGE))
    anchored: Table = field(default_factory=lambda: np.zeros(0, REFERENCE))
    anchored_constants: Table = field(default_factory=lambda: np.zeros(0, REFERENCE))
    bound: Table = field(default_factory=lambda: np.zeros(0, BOUND))
    anchors: Table = field(default_factory=lambda: np.zeros(0, "<u8"))

    @property
    def to_variables(self) -> Table:
        """All rows that say what variables code uses, whether a linker knows of their places or not."""
        return self._used(self.table, self.anchored)

    @property
    def to_constants(self) -> Table:
        """The same for constants."""
        return self._used(self.constants, self.anchored_constants)

    def _used(self, listed: Table, anchored: Table) -> Table:
        if not (len(anchored) or len(self.anchors)):
            return listed
        rows = np.concatenate([listed, anchored])
        return rows[~among(rows["place"], self.anchors)]

    @property
    def may_be_incomplete(self) -> bool:
        """Whether code that cannot be decoded with certainty refers to variables."""
        return self.outside + self.doubtful > 0

    def __eq__(self, other: object) -> bool:
        return have_equal_fields(self, other)


def no_references() -> References:
    """Those of code that has none, or of which nothing could be found out."""
    none = np.zeros(0, REFERENCE)
    return References(none, (), (), 0, 0, none, none)


def function_starts(image: Image, known: Table) -> frozenset[int]:
    """The addresses of the functions that the unwind table, which is `known`, or a symbol names."""
    named = (it.value for it in image.symbols if it.is_defined and it.type == tables.STT_FUNC)
    return frozenset((*known["start"].tolist(), *named))
