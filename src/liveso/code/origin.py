"""What a value in a function leads to."""

from enum import StrEnum
from typing import NamedTuple


class Leads(StrEnum):
    """What a register leads to."""

    CONSTANT = "constant"
    """Memory of the image that no code writes."""
    FRAME = "frame"
    """The function's own frame."""
    ARGUMENT = "argument"
    """What its caller gave it."""
    WRITTEN = "written"
    """What one of its instructions left there: it is the same wherever that is the last that wrote it."""


class Origin(NamedTuple):
    """What a value leads to; `number` is that of the argument, or the index of the instruction, and 0 for others.
    `shift` is what was added to it since, in bytes, for these two."""

    leads: Leads
    number: int = 0
    shift: int = 0

    def moved_on(self, constant: int) -> "Origin":
        return self if self.leads in WHOLE else self._replace(shift=self.shift + constant)


WHOLE = (Leads.CONSTANT, Leads.FRAME)
"""What is never an index, and stays what it is wherever in it an address leads."""
