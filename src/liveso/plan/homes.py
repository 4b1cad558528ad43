"""The homes of what a new version has: composed from what it has in common with the version that runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.elf import Image
from liveso.elf.data import constant_span, data_layout
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.address_map import EACH_THREAD, AddressMap, Stretch
from liveso.plan.packed import HOME, pack, pack_stretches
from liveso.verdict import PairAnalysis


@dataclass(frozen=True, slots=True)
class InCommon:
    """What a version has in common with the one before it: its variables, those of each thread, its constants and
    tables, and its functions."""

    variables: Correspondence
    thread_locals: Correspondence
    tables: tuple[Piece, ...]
    functions: tuple[SameFunction, ...]

    def has_new_thread_locals(self, analysis: PairAnalysis) -> bool:
        found = analysis.thread_references
        places = {*found.table["target"].tolist(), *found.slots.variables.values()}
        return any(self.thread_locals.old(at) is None for at in places)


def in_common(analysis: PairAnalysis) -> InCommon:
    """Raises Refused where the verdict does not say where the variables are."""
    it = analysis.verdict
    if it.correspondence is None or it.thread_locals is None:
        raise Refused("its variables cannot be located")
    return InCommon(it.correspondence, it.thread_locals, it.tables, it.functions)


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an image has its variables, without what lies in `gaps` between them, and its tables of pointers; and the
    size of its thread-local block in bytes."""

    variables: range
    gaps: tuple[range, ...] = ()
    tables: range = range(0)
    block: int = 0


def shape_of(image: Image) -> Shape:
    layout = data_layout(image)
    return Shape(layout.span, layout.gaps, constant_span(image), image.block_size)


def later_map(new: Shape, base: int, module: int, common: InCommon, running: AddressMap) -> AddressMap:
    """The map of a version loaded at `base`, whose own thread-local variables are of `module`: what it has in common
    with the version that `running` is about lives where that has it, all else in the version itself. Raises Refused
    where a variable of the running version has no home."""
    found = [
        *_moved(common.variables.pieces, new.variables.start, running.variables, running, new.gaps),
        *_moved(common.thread_locals.pieces, EACH_THREAD, _block(running), running),
        *_objects(common.tables, new.tables, running),
    ]
    entries = pack(later_entries(common.functions, running))
    return AddressMap(base, new.variables, new.block, module, pack_stretches(found), entries)


def _block(it: AddressMap) -> range:
    return range(EACH_THREAD, EACH_THREAD + it.block)


def _moved(
    pieces: Sequence[Piece], start: int, old: range, running: AddressMap, gaps: Sequence[range] = ()
) -> Iterator[Stretch]:
    """The pieces of data that begin at `start`, where those of the running version lie in `old`; not what is no
    variable, in `gaps`."""
    for piece in pieces:
        if piece.old is None:
            continue
        before = old.start + piece.old
        if not (before in old and before + piece.end - piece.start <= old.stop):
            raise Refused("its variables have no home in this process; restart the program to get it")
        distance = start + piece.start - before
        for it in running.parts(before, before + piece.end - piece.start):
            yield from _without(gaps, Stretch(it.start + distance, it.end + distance, it.home))


def _without(gaps: Sequence[range], whole: Stretch) -> Iterator[Stretch]:
    at = whole.start
    for gap in sorted(gaps, key=lambda it: it.start):
        if gap.stop > at and gap.start < whole.end:
            if at < gap.start:
                yield Stretch(at, gap.start, whole.home + at - whole.start)
            at = gap.stop
    if at < whole.end:
        yield Stretch(at, whole.end, whole.home + at - whole.start)


def _objects(pieces: Sequence[Piece], whole: range, running: AddressMap) -> Iterator[Stretch]:
    """Constants and tables. Those that start in `whole` are left out where they do not live in one piece; of others,
    padding may lie elsewhere."""
    for piece in pieces:
        assert piece.old is not None
        size = piece.end - piece.start
        first = next(running.parts(piece.old, piece.old + size), None)
        if first is None or (first.end - first.start < size and piece.start in whole):
            continue
        yield Stretch(piece.start, piece.start + first.end - first.start, first.home)


def later_entries(same: Sequence[SameFunction], running: AddressMap) -> Table:
    """Where the functions of a version are known that comes after the one that `running` is about, as HOME rows: those
    that can be led on from there."""
    known = {at: (home, place) for at, home, place in running.entries.tolist()}
    found = []
    for it in same:
        if it.old in known:
            found.append((it.new, *known[it.old]))
        elif it.place is not None:
            found.append((it.new, running.base + it.old, running.base + it.place))
    return np.array(found, HOME)


def all_entries(known: Table, loaded: AddressMap) -> Table:
    """The HOME rows `known`, and those of a version that is loaded already for what the running one does not have."""
    rows = np.concatenate([known, loaded.entries])
    found: Table = rows[np.unique(rows["place"], return_index=True)[1]]
    return found


def entries_by_home(homes: Table, base: int) -> dict[int, int]:
    """Where the functions of a version loaded at `base` begin in the target, by their homes (HOME rows)."""
    return dict(zip(homes["home"].tolist(), (homes["at"].astype("<i8") + base).tolist(), strict=True))


def agree(analysis: PairAnalysis, new: Image, common: InCommon, running: AddressMap, present: AddressMap) -> bool:
    """Whether a version `new` that is loaded already, which `present` is about, leads to where the variables live for
    the one that runs."""
    span = data_layout(new).span
    words = new.relocations[new.relocations["type"] == new.machine.relative]
    rows = [*analysis.references.table[["place", "target"]].tolist(), *words[["offset", "addend"]].tolist()]
    for place, target in rows:
        if target in span and place not in common.variables.elsewhere:
            old = common.variables.old(target - span.start)
            if old is not None and running.home(running.variables.start + old) != present.home(target):
                return False
    for place, target in analysis.thread_references.table[["place", "target"]].tolist():
        old = None if place in common.thread_locals.elsewhere else common.thread_locals.old(target)
        if old is not None and running.home(EACH_THREAD + old) != present.home(EACH_THREAD + target):
            return False
    return True


@dataclass(frozen=True)
class Placement:
    """Where the references of a version must lead: to the homes of `map`, and those of `elsewhere`, by the address of
    their displacement or word, to an address in the target."""

    map: AddressMap
    elsewhere: dict[int, int]

    def led_to(self, place: int, at: int) -> int:
        """Where the reference at the address `place` of the image, which leads to the address `at` of it, must lead in
        the target."""
        found = self.elsewhere.get(place)
        return self.map.home(at) if found is None else found

    def all_led_to(self, places: Table, ats: Table) -> Table:
        """The same for many references at once."""
        found = self.map.homes(ats)
        for row in np.flatnonzero(among(places, np.array(sorted(self.elsewhere), places.dtype))).tolist():
            found[row] = self.elsewhere[int(places[row])]
        return found


def placement(common: InCommon, running: AddressMap, later: AddressMap) -> Placement:
    """Where the references of a new version, which `later` is about, must lead; `running` is about the one before.

    Raises Refused where a reference leads to the end of a variable whose next is not the next of its home.
    """
    elsewhere = {}
    for pieces, old in ((common.variables, running.variables), (common.thread_locals, _block(running))):
        for place, before in pieces.elsewhere.items():
            at = old.start + before
            if before and running.home(at - 1) + 1 != running.home(at):
                raise Refused(
                    "a reference leads to the border of variables that live apart; restart the program to get it"
                )
            elsewhere[place] = running.home(at)
    return Placement(later, elsewhere)
