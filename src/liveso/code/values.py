"""What registers and words of the stack hold, as far as it says something about an object's members."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Source(StrEnum):
    """Where a value comes from."""

    CONSTANT = "constant"
    ARGUMENT = "argument"
    RESULT = "result"
    """What a function returned: an object that was just made, most often."""
    COMPUTED = "computed"
    ADDRESS = "address"
    """Of something in the image."""
    MEMORY = "memory"
    """Loaded from a member of an object, or from a variable."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in memory that code accesses: `kind` is "object" (behind a pointer, `offset` from it), "element" (the
    same with an index, or through a pointer that goes on byte by byte), "data" or "tls" (as Place has it), or the name
    of a variable of another object. `offset` and `width` are in bytes."""

    kind: str
    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value: `number` is the constant, the argument's number, or the address; `name` is the callee
    whose result it is, or the kind of place whose address it is; `spot` is where it was loaded from. `last` is the last
    operation on it that had a constant, with that, at the address `at`. `advances`: a pointer that goes on byte by
    byte. `lanes` are those of a vector: the size of each, in bytes, and what they hold."""

    source: Source
    number: int = 0
    name: str = ""
    spot: Spot | None = None
    last: tuple[str, int] | None = None
    at: int = 0
    advances: bool = False
    lanes: "tuple[int, tuple[Value | None, ...]] | None" = None

    def after(self, operation: str, constant: int, at: int) -> "Value":
        """The value that an operation with a constant makes of it; what was made of a constant is no constant."""
        return replace(self, last=(operation, constant), at=at)

    @property
    def constant(self) -> int | None:
        return self.number if self.source is Source.CONSTANT and self.last is None else None

    @property
    def described(self) -> tuple[str, int]:
        """What it is, in terms that two versions share."""
        if self.spot is not None:
            return self.spot.kind, self.spot.offset
        return str(self.source), self.number if self.source is Source.ARGUMENT else 0


def signed(number: int, width: int) -> int:
    """A constant of `width` bytes as a number with sign; of the width 0, which is not known, as it is."""
    if not width or width > 8:
        return number
    bits = 8 * width
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number


def pieces(spot: Spot, constant: int) -> list[tuple[Spot, int]]:
    """A stored constant in pieces of four bytes: compilers store small members together."""
    if spot.width <= 4:
        return [(spot, signed(constant, spot.width))]
    return [(Spot(spot.kind, spot.offset + at, 4), signed(constant >> (8 * at), 4)) for at in range(0, spot.width, 4)]


def either(one: Value | None, other: Value | None) -> Value | None:
    """What is known of a value that is one of two: of a constant and something else, that, for it tells more."""
    if one is None or other is None or one == other:
        return one or other
    if one.constant is not None and other.constant is not None:
        return None
    return other if one.constant is not None else one


def joined(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    """What is known where two ways meet."""
    found = one | other
    for place, value in one.items():
        if found[place] is not value:
            kept = either(value, found[place])
            if kept is None:
                del found[place]
            else:
                found[place] = kept
    return found
