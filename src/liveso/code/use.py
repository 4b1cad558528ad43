"""What code does with one place in memory."""

from dataclasses import dataclass
from enum import StrEnum

from liveso.code.values import Spot


class How(StrEnum):
    """What code does with a place in memory."""

    READ = "read"
    STORE = "store"
    EQUAL = "equal"
    """Compares it for equality with a constant."""
    ORDER = "order"
    """Compares it with a constant as larger or smaller."""
    MASK = "mask"
    ENCODE = "encode"
    """Computes another form of what lies there: negates it, or exchanges its bytes."""
    SHIFT = "shift"
    ADD = "add"
    FACTOR = "factor"
    DIVIDE = "divide"
    """Divides by it."""
    FREE = "free"
    CALL = "call"
    """Calls the function whose address lies there."""
    FOLLOW = "follow"
    """Accesses memory at the address that lies there."""
    EXTEND = "extend"
    """Makes a wider number of what was loaded from there."""
    LOCK = "lock"
    """Hands its address to a function that makes, takes or gives a lock there; `what` is the kind of lock."""
    HAND = "hand"
    """Hands it, or its address, to another function."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the instruction at `address` does with `spot`. `constant` is the one it does it with, with sign. `what`
    describes what it stores there (Value.described, or the last operation with a constant), or the arguments of a call.
    `is_float`: as a floating-point number; False where as a whole number, None where that is not told. `is_fresh`: in
    an object that a function just returned. `changes`: it leaves another value there. `is_element`: in an array,
    with an index. `is_signed`: as a number that may be below zero; False where as one that may not, None where that is
    not told."""

    address: int
    spot: Spot
    how: How
    constant: int | None = None
    what: tuple[object, ...] = ()
    is_float: bool | None = None
    is_fresh: bool = False
    changes: bool = False
    is_element: bool = False
    is_signed: bool | None = None

    @property
    def clears_new(self) -> bool:
        """Whether it stores zero in a new object: all of it may be cleared, and of what is there that says nothing."""
        return self.is_fresh and self.how is How.STORE and self.constant == 0
