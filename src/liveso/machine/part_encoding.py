"""How instructions that hold parts of an address are given another one."""

from collections.abc import Callable
from dataclasses import dataclass

from liveso.machine.words import Words

Encoded = tuple[Words, Words]
"""Words of code, and which of them can hold what they were to hold; the others are as they were."""


@dataclass(frozen=True, slots=True)
class Detour:
    """Code at `start` in the place of the instruction `word`, whose register for addresses holds `value`, None where it
    has no such. It shall lead to `address`, and go on at `end`."""

    word: int
    value: int | None
    address: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Detours:
    """`code` does what one word does whose register for addresses holds `Detour.value`, with another address than it
    would come to; it stands at some address and goes on at another. None where that cannot be. It takes `size` bytes at
    most. `leave` is the word that leads from one address to another."""

    size: int
    code: Callable[[Detour], tuple[int, ...] | None]
    leave: Callable[[int, int], int | None]


@dataclass(frozen=True, slots=True)
class PartEncoding:
    """Each function takes words of code, and numbers in bytes, one for each.

    `page` lets instructions leave an address that is so many multiples of `page_size` from the one which `from_page`
    tells of their place. From there others get to what is within `reach`: `low` lets them add a number to it, or access
    what lies there; `whole` lets those lead to a distance from themselves that hold all of an address. `step` lets
    others add a number to any address in a register, or access what lies there, also in other ways than linkers fill
    addresses in. `detours` are for what cannot be held so, where there are such.
    """

    page_size: int
    from_page: Callable[[int], int]
    reach: range
    page: Callable[[Words, Words], Encoded]
    low: Callable[[Words, Words], Encoded]
    whole: Callable[[Words, Words], Encoded]
    step: Callable[[Words, Words], Encoded]
    detours: Detours | None = None

    def page_for(self, place: int, address: int) -> int:
        """What an instruction at `place` is to leave, so that others get from there to an address."""
        first = self.from_page(place)
        return first + (address - self.reach.start - first) // self.page_size * self.page_size
