"""Changed initial values, merged three ways: base is what the running version started with, theirs what the new one
starts with, ours what the variable holds now."""

from dataclasses import dataclass

from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.errors import Refused
from liveso.verdict.initial import ChangedWord, InitialWord, Kind


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
    home: tuple[Image, int],
    old: tuple[Image, int],
    new: tuple[Image, int],
    copies: dict[str, int],
) -> list[Candidate]:
    """Where each changed word lives. `home`, `old` and `new` are image and load address; `copies` are the addresses
    of variables that the program has a copy of (R_COPY), by name."""
    start = data_layout(home[0]).span.start
    copied = [
        (symbol.value - start, symbol, copies[symbol.name])
        for symbol in home[0].symbols
        if symbol.name in copies and symbol.is_defined and symbol.type == tables.STT_OBJECT
    ]
    found = []
    for change in changes:
        if Kind.SYMBOL in (change.old.kind, change.new.kind):
            continue
        found.append(
            Candidate(
                address=_copied_address(change.at, copied) or home[1] + start + change.at,
                base=_value(change.old, old[1], home[1] + start),
                theirs=_value(change.new, new[1], home[1] + start),
                at=change.at,
                is_code_or_constant=change.new.kind is Kind.OWN_CONSTANT is change.old.kind,
            )
        )
    return found


def _copied_address(at: int, copied: list[tuple[int, Symbol, int]]) -> int | None:
    return next((copy + at - start for start, symbol, copy in copied if start <= at < start + symbol.size), None)


def _value(word: InitialWord, base: int, variables: int) -> int:
    match word.kind:
        case Kind.OWN_CONSTANT:
            return base + word.value
        case Kind.OWN_VARIABLE:
            return variables + word.value
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
