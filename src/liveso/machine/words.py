"""Words of code, for processors whose instructions tell by themselves where the next one begins: what each of them does
with addresses in registers."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[Any]
NO_REGISTER = 255


class Part(IntEnum):
    """What an instruction has of an address, apart from what registers hold."""

    NONE = 0
    PAGE = 1
    """Leaves the page of an address in a register, relative to itself."""
    WHOLE = 2
    """Leaves an address in a register, relative to itself."""
    LITERAL = 3
    """Accesses what lies at an address, relative to itself."""
    SUM = 4
    """Adds a number to a register, and leaves the sum in another, or in the same one."""
    ACCESS = 5
    """Accesses what lies at the sum of a register and a number."""
    COPY = 6
    """Leaves what a register holds in another."""
    OTHER_SUM = 7
    """As SUM, in a way that linkers fill no part of an address in."""
    OTHER_ACCESS = 8
    """As ACCESS, likewise."""
    ACCESS_AND_SUM = 9
    """The same, and leaves the sum in the register."""
    ACCESS_THEN_SUM = 10
    """Accesses what lies where a register leads, and adds a number to that then."""
    INDEX = 11
    """Adds another register to one, and leaves the sum in a third, or in one of them."""


@dataclass(frozen=True, slots=True, eq=False)
class CodeWords:
    """Arrays with one element for each word of a section of code: an instruction, of one size or of several.

    `place` is the address of each, in ascending order, and `size` how many bytes it has. `part` is a Part, `number` the
    address that goes with it (PAGE, WHOLE, LITERAL) or what is added (SUM, ACCESS and those alike), in bytes; `base` is
    the number of the register that is added to or copied, and `result` of the one that holds what the instruction
    leaves of an address. `reads` and `writes` have a bit for each general register; what a call leaves to its callee is
    not among them. `target` is the address that a branch or call leads to, -1 where there is none or it is in a
    register. `goes_on` says whether the next instruction may be the following one, `calls` whether it comes back from
    elsewhere then, `jumps` whether it goes on at an address in a register. `asks_descriptor` are calls that keep all
    registers but their result (TLS descriptors). `is_known` is false for what is no instruction, or one of an extension
    whose registers are not known. `wide` has the registers, as bits, that it reads as whole ones. `frame_base` is the
    register of the frame (stack or frame pointer, by its number) by which memory at `frame_offset` from it is accessed,
    0 where there is none; `frame_size` are the bytes there, or of another access of one register, which are stored
    where `is_store`, and `first` and `second` the whole general registers that they go to or come from, else
    NO_REGISTER. `moves_stack`: it changes the stack pointer. `second_at` is how many bytes behind the first the second
    of two registers goes that are accessed at once, 0 where there is one. `compares` are those that compare two whole
    registers. `is_filler` are those between blocks, which do nothing, and `is_end` those that end the program.
    """

    place: Words
    size: Words
    part: Words
    number: Words
    base: Words
    result: Words
    reads: Words
    writes: Words
    target: Words
    goes_on: Words
    calls: Words
    jumps: Words
    asks_descriptor: Words
    is_known: Words
    wide: Words
    frame_base: Words
    frame_offset: Words
    frame_size: Words
    is_store: Words
    first: Words
    second: Words
    moves_stack: Words
    second_at: Words
    compares: Words
    is_filler: Words
    is_end: Words

    def numbers(self, addresses: Words) -> Words:
        """The number of the word at each address; -1 where none begins there."""
        if not len(self.place):
            return np.full(len(addresses), -1, "<i8")
        at = np.minimum(np.searchsorted(self.place, addresses), len(self.place) - 1)
        found: Words = np.where(self.place[at] == addresses, at, -1)
        return found


def has_bits(words: Words, mask: int, value: int) -> Words:
    """Which words have the bits `value` under a mask."""
    found: Words = words & np.uint32(mask) == np.uint32(value)
    return found
