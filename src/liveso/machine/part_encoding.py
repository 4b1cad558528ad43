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
class PartEncoding:
    """Each function takes words of code, and numbers in bytes, one for each.

    `page` lets instructions leave an address that is the multiple of `page_size` at a distance from the page of the
    instruction; `low` lets others add a number to that, or access what lies there; `whole` lets those lead to a
    distance from themselves that hold all of an address. `step` lets them add a number to any address in a register, or
    access what lies there, also in other ways than linkers fill addresses in.
    `detour` makes code that does what one word does whose register for addresses holds `value`, with another address
    than it would come to; it stands at some address and goes on at another. None where it cannot do that. It takes
    `detour_size` bytes at most. `leave` is the word that leads from one address to another.
    """

    page_size: int
    page: Callable[[Words, Words], Encoded]
    low: Callable[[Words, Words], Encoded]
    whole: Callable[[Words, Words], Encoded]
    step: Callable[[Words, Words], Encoded]
    detour: Callable[[Detour], tuple[int, ...] | None]
    detour_size: int
    leave: Callable[[int, int], int | None]
