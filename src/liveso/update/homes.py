"""Where the variables of a version live in a target: each in its home."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.update.analysis import Analysis
from liveso.update.record import Homes, LoadedVersion, Stretch
from liveso.verdict.correspondence import Correspondence, Piece


def own_homes(image: Image, base: int) -> Homes:
    """The homes of a version, loaded at `base`, that brought all its variables itself."""
    span = data_layout(image).span
    return (Stretch(0, len(span), base + span.start),) if span else ()


def later_homes(correspondence: Correspondence, running: Homes, new: Image, base: int) -> Homes:
    """The homes of the variables of `new`, loaded at `base`, which comes after the version that `running` is about.

    What has no counterpart lives in the new version's own data. Raises Refused where a counterpart has no home.
    """
    start = base + data_layout(new).span.start
    found: list[Stretch] = []
    for piece in correspondence.pieces:
        if piece.old is None:
            _append(found, Stretch(piece.start, piece.end, start + piece.start))
            continue
        at = piece.start
        while at < piece.end:
            before = piece.old + at - piece.start
            home = _stretch(running, before)
            if not home.start <= before < home.end:
                raise Refused("its variables have no home in this process; restart the program to get it")
            end = min(piece.end, at + home.end - before)
            _append(found, Stretch(at, end, home.distance + before))
            at = end
    return tuple(found)


def _append(found: list[Stretch], it: Stretch) -> None:
    if found and found[-1].distance == it.distance:
        before = found.pop()
        it = Stretch(before.start, it.end, before.address)
    found.append(it)


def _stretch(homes: Homes, at: int) -> Stretch:
    """The stretch that holds the place `at` of a data span. The end of the span belongs to the last."""
    if not homes:
        raise Refused("its variables have no home in this process; restart the program to get it")
    return homes[max(0, bisect_right(homes, at, key=lambda it: it.start) - 1)]


def address_of(homes: Homes, at: int) -> int:
    """Where the variable at the place `at` of a version's data span lives."""
    return _stretch(homes, at).distance + at


def agree(analysis: Analysis, correspondence: Correspondence, running: Homes, present: Homes) -> bool:
    """Whether a version that is loaded already, with the homes `present`, leads to where the variables live for the
    one that runs."""
    new, span = analysis.new, data_layout(analysis.new).span
    words = new.relocations[new.relocations["type"] == new.machine.relative]
    code = analysis.references.table
    for place, target in [*code[["place", "target"]].tolist(), *words[["offset", "addend"]].tolist()]:
        if target in span and place not in correspondence.elsewhere:
            before = correspondence.old(target - span.start)
            if before is not None and address_of(running, before) != address_of(present, target - span.start):
                return False
    return True


def later_tables(pieces: tuple[Piece, ...], running: LoadedVersion) -> Homes:
    """Where the constant tables of a version live that it has in common with the one before it, `running`: from `start`
    to `end` of its addresses relative to the load address."""
    found = []
    for piece in pieces:
        assert piece.old is not None
        address = table_address(running, piece.old)
        if table_address(running, piece.old + piece.end - piece.start - 1) - address == piece.end - piece.start - 1:
            found.append(Stretch(piece.start, piece.end, address))
    return tuple(found)


def table_address(loaded: LoadedVersion, at: int) -> int:
    """Where the constant at `at`, relative to the load address, lives for a version."""
    index = bisect_right(loaded.tables, at, key=lambda it: it.start) - 1
    if index >= 0 and at < loaded.tables[index].end:
        return loaded.tables[index].distance + at
    return loaded.base + at


@dataclass(frozen=True)
class Placement:
    """Where the references of a version must lead: to the homes of its variables, and those of `elsewhere`, by the
    address of their displacement or word, to an address in the target."""

    homes: Homes
    elsewhere: dict[int, int]

    def led_to(self, place: int, at: int) -> int:
        """Where the reference at the address `place` of the image, which leads to the byte `at` of the data, must lead
        in the target."""
        found = self.elsewhere.get(place)
        return address_of(self.homes, at) if found is None else found

    def all_led_to(self, places: Table, ats: Table) -> Table:
        """The same for many references at once."""
        if not len(ats):
            return np.zeros(0, "<i8")
        starts = np.array([it.start for it in self.homes], "<i8")
        distances = np.array([it.distance for it in self.homes], "<i8")
        index = np.maximum(0, np.searchsorted(starts, ats, side="right") - 1)
        found: Table = ats + distances[index]
        for row in np.flatnonzero(np.isin(places, sorted(self.elsewhere))).tolist():
            found[row] = self.elsewhere[int(places[row])]
        return found


def placement(correspondence: Correspondence, running: Homes, homes: Homes) -> Placement:
    """Where the references of a new version, with the homes `homes`, must lead; `running` are those of the one before.

    Raises Refused where a reference leads to the end of a variable whose next is not the next of its home.
    """
    elsewhere = {}
    for place, before in correspondence.elsewhere.items():
        home = _stretch(running, before)
        if before == home.start and before and _stretch(running, before - 1).distance != home.distance:
            raise Refused("a reference leads to the border of variables that live apart; restart the program to get it")
        elsewhere[place] = home.distance + before
    return Placement(homes, elsewhere)
