"""Changed initial values, merged three ways: base is what the running version started with, theirs what the new one
starts with, ours what the variable holds now."""

from collections.abc import Mapping
from dataclasses import dataclass

from liveso.compare.initial import ChangedWord, InitialWord, Kind
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.errors import Refused
from liveso.plan.address_map import AddressMap


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word whose initial value changed: where it lives in the target, and both values in it there."""

    address: int
    base: int
    theirs: int
    at: int
    is_code_or_constant: bool


def candidates(
    changes: list[ChangedWord],
    before: AddressMap,
    old_image: Image,
    new: AddressMap,
    copies: Mapping[str, int],
) -> list[Candidate]:
    """Where each changed word lives, when the version of `new` comes after that of `before`, whose image is
    `old_image`. `copies` are the addresses of variables that the program has a copy of (R_COPY), by name. Raises
    Refused where a word lies across variables that live apart."""
    start = data_layout(old_image).span.start
    copied = [
        (symbol.value - start, symbol, copies[symbol.name])
        for symbol in old_image.symbols
        if symbol.name in copies and symbol.is_defined and symbol.type == tables.STT_OBJECT
    ]
    found = []
    for change in changes:
        if Kind.SYMBOL in (change.old.kind, change.new.kind):
            continue
        address = before.home(start + change.at)
        if before.home(start + change.at + old_image.machine.word - 1) - address != old_image.machine.word - 1:
            raise Refused(
                f"the initial value at +{change.at:#x} of the writable data changes, across variables that live apart; "
                "restart the program to get the new version"
            )
        found.append(
            Candidate(
                address=_copied_address(change.at, copied) or address,
                base=_value(change.old, before, before),
                theirs=_value(change.new, new, new if change.new.kind is Kind.NEW_VARIABLE else before),
                at=change.at,
                is_code_or_constant=change.new.kind is Kind.OWN_CONSTANT is change.old.kind,
            )
        )
    return found


def _copied_address(at: int, copied: list[tuple[int, Symbol, int]]) -> int | None:
    return next((copy + at - start for start, symbol, copy in copied if start <= at < start + symbol.size), None)


def _value(word: InitialWord, loaded: AddressMap, counted: AddressMap) -> int:
    """What a word of the version of `loaded` holds. `counted` is about the version in whose data span its value
    counts."""
    match word.kind:
        case Kind.OWN_CONSTANT:
            return loaded.home(word.value)
        case Kind.OWN_VARIABLE | Kind.NEW_VARIABLE:
            return counted.home(counted.variables.start + word.value)
        case _:
            return word.value


def merge(found: list[Candidate], live: list[int]) -> list[tuple[int, int, int]]:
    """The words to store: address, expected, value. `live` are the present contents, in the same order.

    Raises Refused where both the program and the new version changed a value. An address of code or a constant that
    the program replaced by its own is the program's.
    """
    words = []
    for candidate, ours in zip(found, live, strict=True):
        if ours == candidate.base != candidate.theirs:
            words.append((candidate.address, ours, candidate.theirs))
        elif ours not in (candidate.base, candidate.theirs) and not candidate.is_code_or_constant:
            raise Refused(
                f"the initial value of the variable at +{candidate.at:#x} of the writable data changes from "
                f"{candidate.base:#x} to {candidate.theirs:#x}, but the program has set it to {ours:#x}; "
                "restart the program to get the new version"
            )
    return words
