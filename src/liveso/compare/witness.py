"""What one function says about the layout of data."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What it is that a witness saw change."""

    MEMBER = "member"
    ADDRESS = "address"
    WIDTH = "width"
    SIZE = "size"
    ROOM = "room"
    """The constant in a sum: of an allocator, for an object with an array behind it, or, without callee, another."""
    ELEMENT = "element"
    BITS = "bits"
    SHIFT = "shift"
    BIT_FIELD = "bit field"
    VARIABLE = "variable"
    NEW_VARIABLE = "new variable"
    THREAD_LOCAL = "thread-local variable"
    SLOT = "slot"
    REPLACED = "replaced"


CLASS_SIZES = {"_Znwm": 0, "_ZdlPvm": 1}
"""Which argument is the size of a class (Itanium C++ ABI: operator new(size_t), operator delete(void*, size_t))."""
KINDS = {"data": Kind.VARIABLE, "tls": Kind.THREAD_LOCAL}
"""Which witness a place of each kind gives."""
OFFSETS = (Kind.MEMBER, Kind.ADDRESS)
IN_WORDS = (Kind.BITS, Kind.SHIFT)


@dataclass(frozen=True, slots=True)
class Witness:
    """One function that saw `old` become `new` (bytes, or offsets in bytes), at these addresses of the two files.

    `is_isolated`: the instructions around it do the same in both versions; `is_alone`: all others of the function do.
    `is_input`: about bytes that the function only reads, as those of a text.
    """

    kind: Kind
    old: int
    new: int
    function: str
    old_address: int
    new_address: int
    callee: str = ""
    is_isolated: bool = True
    is_alone: bool = True
    is_input: bool = False
