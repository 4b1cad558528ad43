"""Where the variables of a version live in a target: each in its home."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.functions import HOME, homes_of_functions
from liveso.plan.record import Homes, LoadedVersion, Stretch
from liveso.verdict import PairAnalysis

_BLOCK_BITS = 32


def own_homes(image: Image, base: int) -> Homes:
    """The homes of a version, loaded at `base`, that brought all its variables itself."""
    span = data_layout(image).span
    return (Stretch(0, len(span), base + span.start),) if span else ()


def own_thread_homes(image: Image, module: int) -> Homes:
    """The same for its thread-local variables; `module` is its module ID."""
    return (Stretch(0, image.block_size, block_start(module)),) if image.block_size else ()


def block_start(module: int) -> int:
    """The address, so to speak, of the start of a module's thread-local block: in any thread, `in_block` leads back."""
    return module << _BLOCK_BITS


def in_block(address: int) -> tuple[int, int]:
    """The module ID, and the place in its thread-local block in bytes, that an address in a block stands for."""
    return address >> _BLOCK_BITS, address & ((1 << _BLOCK_BITS) - 1)


def later_homes(correspondence: Correspondence, running: Homes, start: int, gaps: Sequence[range] = ()) -> Homes:
    """The homes of a new version's variables, which comes after the version that `running` is about.

    What has no counterpart lives in the new version's own data, which begin at the address `start`, and so does what
    is no variable, the places in `gaps`. Raises Refused where a counterpart has no home.
    """
    found: list[Stretch] = []
    for piece in _without(gaps, correspondence.pieces):
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


def _without(gaps: Sequence[range], pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, parted at the borders of gaps, inside of which nothing has a counterpart."""
    borders = sorted(it for gap in gaps for it in (gap.start, gap.stop))
    for piece in pieces:
        ends = [piece.start, *(it for it in borders if piece.start < it < piece.end), piece.end]
        for start, end in pairwise(ends):
            is_gap = any(start in gap for gap in gaps)
            yield Piece(start, end, None if piece.old is None or is_gap else piece.old + start - piece.start)


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


def agree(
    analysis: PairAnalysis,
    new: Image,
    variables: Correspondence,
    thread_locals: Correspondence,
    running: LoadedVersion,
    present: LoadedVersion,
) -> bool:
    """Whether a version `new` that is loaded already, `present`, leads to where the variables live for the one that
    runs."""
    span = data_layout(new).span
    words = new.relocations[new.relocations["type"] == new.machine.relative]
    rows = [*analysis.references.table[["place", "target"]].tolist(), *words[["offset", "addend"]].tolist()]
    own = [(place, target - span.start) for place, target in rows if target in span]
    each_thread = analysis.thread_references.table[["place", "target"]].tolist()
    return _agree(own, variables, running.homes, present.homes) and _agree(
        each_thread, thread_locals, running.thread_homes, present.thread_homes
    )


def _agree(references: list[tuple[int, int]], correspondence: Correspondence, running: Homes, present: Homes) -> bool:
    """The same for references from places in the image to places in its data span, or in its block."""
    for place, at in references:
        before = None if place in correspondence.elsewhere else correspondence.old(at)
        if before is not None and address_of(running, before) != address_of(present, at):
            return False
    return True


def later_tables(pieces: tuple[Piece, ...], running: LoadedVersion, whole: range) -> Homes:
    """Where the constants and tables of a version live that it has in common with the one before it, `running`: from
    `start` to `end` of its addresses relative to the load address. Those that start in `whole` are left out where they
    do not live in one piece; of others, padding may lie elsewhere."""
    found: list[Stretch] = []
    for piece in pieces:
        assert piece.old is not None
        size, together = piece.end - piece.start, _size_together(running, piece.old)
        if together < size and piece.start in whole:
            continue
        it = Stretch(piece.start, piece.start + min(size, together), object_address(running, piece.old))
        if found and found[-1].end == it.start and found[-1].distance == it.distance:
            before = found.pop()
            it = Stretch(before.start, it.end, before.address)
        found.append(it)
    return tuple(found)


def _size_together(loaded: LoadedVersion, at: int) -> int:
    """How many bytes from a constant on live together."""
    index = bisect_right(loaded.tables, at, key=lambda it: it.start)
    if index and at < loaded.tables[index - 1].end:
        return loaded.tables[index - 1].end - at
    return loaded.tables[index].start - at if index < len(loaded.tables) else 1 << _BLOCK_BITS


def later_functions(same: Sequence[SameFunction], running: LoadedVersion) -> Table:
    """Where the functions of a version are known that comes after `running`, as HOME rows: those that can be led on
    from there."""
    known = {at: (home, place) for at, home, place in homes_of_functions(running.functions).tolist()}
    found = []
    for it in same:
        if it.old in known:
            found.append((it.new, *known[it.old]))
        elif it.place is not None:
            found.append((it.new, running.base + it.old, running.base + it.place))
    return np.array(found, HOME)


def all_homes(known: Table, loaded: LoadedVersion) -> Table:
    """The HOME rows `known`, and those of a version that is loaded already for what the running one does not have."""
    rows = np.concatenate([known, homes_of_functions(loaded.functions)])
    found: Table = rows[np.unique(rows["place"], return_index=True)[1]]
    return found


def entries_by_home(homes: Table, loaded: LoadedVersion) -> dict[int, int]:
    """Where the functions of a version begin in the target, by their homes (HOME rows)."""
    return dict(zip(homes["home"].tolist(), (homes["at"].astype("<i8") + loaded.base).tolist(), strict=True))


def object_address(loaded: LoadedVersion, at: int) -> int:
    """Where the function or constant at `at`, relative to the load address, is known for a version."""
    home = loaded.function_homes.get(at)
    if home is not None:
        return home
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
