"""The jump that is written at the entry of a function, to lead whoever calls it to another version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liveso.machine.words import Words


@dataclass(frozen=True, slots=True)
class EntryJump:
    """A jump takes `size` bytes and leads as far as `reach`, in bytes from where it stands. `encode` makes those for
    some distances, a row of bytes for each, and `decode` tells the distance of one, None where the bytes are none.
    Where that is not everywhere, an island within its reach leads on: `island` makes the words of one for each of some
    addresses, and `led_on` tells the address of one, None where the words are none."""

    size: int
    reach: range
    encode: Callable[[Words], Words]
    decode: Callable[[bytes], int | None]
    island: Callable[[Words], Words] | None = None
    led_on: Callable[[Sequence[int]], int | None] | None = None
