"""What one transaction writes into a target, so that versions which are loaded and relinked run: words, and the jumps
at the homes of functions.

`prepare` says which memory must be known for it, and `make_plan` what follows from that.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from liveso.compare.correspondence import SameFunction
from liveso.compare.initial import changed_words
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import Machine
from liveso.plan.homes import InCommon, all_entries, entries_by_home, later_entries
from liveso.plan.islands import Rooms, islands_for
from liveso.plan.jumps import CODE, by_islands, patches, present_code, wanted_code, with_overwritten
from liveso.plan.merge import Candidate, candidates, merge
from liveso.plan.own_data import copied_ranges, values_of_the_moment
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.plan.redirect import (
    Images,
    call_slots,
    chosen_moves,
    moved_slots,
    not_led_on,
    stale_functions,
    symbol_places,
    table_values,
)
from liveso.plan.spans import is_writable
from liveso.process import LoadedObject
from liveso.process.holding import MemoryChanged
from liveso.process.memory_map import Protections
from liveso.process.objects import Dynamic, Slots
from liveso.process.pages import PAGE, Pages, pages_between, pages_of
from liveso.process.protocol import WORD, Piece
from liveso.store import Version
from liveso.verdict import PairAnalysis

INITIAL, ISLAND, SYMBOL, TABLE, COPIED, SLOT = KINDS = (
    "initial values",
    "islands",
    "values of symbols",
    "words of tables",
    "words of its own copy of the data",
    "slots",
)
"""What the words are that a plan changes. Where two are the same word, the first counts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One library on its way to another version, which is loaded and relinked; `is_fresh`: for this update."""

    state: LibraryState
    to: Version
    analysis: PairAnalysis
    common: InCommon
    images: Images
    is_fresh: bool

    @property
    def loaded(self) -> LoadedVersion:
        """The version that is to run."""
        found = self.state.loaded(self.to)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Preparation:
    """What one step is about, apart from what memory holds: the functions' `entries` (HOME rows) and those of them that
    no jump leads on, what `code` is to be where, initial values that may change, the values of the symbol tables, the
    words of constant tables with what they are to hold, and data to copy. The jumps that are `far` from what they are
    to lead to, which they have by their places, get there by way of islands in `rooms`."""

    step: Step
    entries: Table
    unled: list[SameFunction]
    code: Table
    far: dict[int, int]
    rooms: Rooms
    initial: list[Candidate]
    symbols: list[tuple[int, int, int]]
    table_places: Table
    table_values: Table
    copied: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one attempt writes: `words`, by what they are, and `code`, CODE rows, as `pieces` of memory. `before` are
    the states that do not know yet what will be overwritten, as they will know it, and `after` those that follow, with
    the functions that are not led on."""

    words: dict[str, Table]
    code: Table
    pieces: list[Piece]
    before: list[LibraryState]
    after: dict[str, tuple[LibraryState, tuple[str, ...]]]


@contextmanager
def about(path: str) -> Iterator[None]:
    """A refusal inside names the library."""
    try:
        yield
    except Refused as error:
        error.library = error.library or path
        raise


def prepare(it: Step, copies: Mapping[str, int]) -> Preparation:
    """`copies` are the addresses of variables that the program has a copy of, by name. Raises Refused where the version
    cannot go in."""
    state, to, running = it.state, it.loaded, it.state.running
    old, new = it.images[state.current], it.images[it.to]
    entries = all_entries(later_entries(it.common.functions, running.map), to.map)
    unled = not_led_on(it.common.functions, entries)
    with about(state.path):
        changes = changed_words(old, new, it.common.variables)
        initial = candidates(changes, running.map, old, to.map, copies)
        code, far = wanted_code(to, entries, new.machine)
    keeps_copy = to != state.home and it.analysis.references.may_be_incomplete
    return Preparation(
        it,
        entries,
        unled,
        code,
        far,
        tuple(room for loaded in state.versions for room in loaded.rooms) if far else (),
        initial,
        symbol_places(state, it.images, unled),
        *table_values(state, it.images, it.to),
        copied_ranges(to.map, new.machine.word) if keeps_copy else [],
    )


def pages_wanted(prepared: Sequence[Preparation], slots: Table, machine: Machine) -> Table:
    """The numbers of the pages that `make_plan` must know. `slots` are the addresses of those of all objects."""
    found = [pages_of(slots)]
    for it in prepared:
        words = [one.address for one in it.initial] + [place for place, _base, _at in it.symbols]
        found += [pages_of(np.array(words, "<u8"), machine.word), pages_of(it.table_places, machine.word)]
        found.append(pages_of(it.code["place"], machine.jump_size))
        found.append(pages_between((start, start + size) for start, size in it.rooms))
        found.append(pages_between((at, at + size) for own, home, size in it.copied for at in (own, home)))
    every: Table = distinct(np.concatenate(found))
    return every


def make_plan(
    prepared: Sequence[Preparation],
    slots: Table,
    dynamics: Mapping[LoadedObject, Dynamic],
    pages: Pages,
    protections: Protections,
    machine: Machine,
) -> Plan:
    """`slots` are the addresses of those of all objects, `dynamics`. Raises Refused where one of the versions cannot go
    in, MemoryChanged where what holds for one of them does not for another, NoRoom."""
    live = Slots(slots, pages.words(slots))
    calls = among(slots, call_slots(dynamics, machine.jump_slot))
    words: dict[str, list[Table]] = {it: [] for it in KINDS}
    code = [np.zeros(0, CODE)]
    before: list[LibraryState] = []
    after = {}
    for it in prepared:
        state, to = it.step.state, it.step.to
        with about(state.path):
            words[INITIAL].append(_merged_words(it, pages))
            present = present_code(it.code, pages, machine.jump_size)
            _require_own(it.step, present)
        islands: dict[int, int] = {}
        if it.far and machine.jump:
            islands, island_words = islands_for(it.far, it.rooms, pages, machine.jump)
            words[ISLAND].append(island_words)
        words[SYMBOL].append(_symbol_words(it, pages))
        words[TABLE].append(_differing(it.table_places, pages.words(it.table_places), it.table_values))
        words[COPIED].append(values_of_the_moment(it.copied, pages, machine.word))
        changes = _slot_words(it, live, calls)
        words[SLOT] += changes
        code.append(by_islands(it.code, islands, machine))
        stale = stale_functions(_changed(live, changes), state, it.step.images, to, it.entries)
        knowing = with_overwritten(state, present, machine.jump_size)
        before += [knowing] if knowing != state else []
        after[state.path] = knowing.redirected(to), tuple(stale)
    by_kind = {kind: np.concatenate([*found, np.zeros(0, WORD)]) for kind, found in words.items()}
    together, jumps = np.concatenate([*by_kind.values()]), np.concatenate(code)
    together = together[np.unique(together["address"], return_index=True)[1]]
    jumps = jumps[np.unique(jumps["place"], return_index=True)[1]]
    pieces = patches(jumps, pages, machine.jump_size) + _word_pieces(together, jumps, pages, protections, machine)
    return Plan(by_kind, jumps, pieces, before, after)


def _word_pieces(words: Table, jumps: Table, pages: Pages, protections: Protections, machine: Machine) -> list[Piece]:
    """Words on pages that the program may not write change with all that lies between them, which is much faster; not
    on those where a jump changes, too."""
    size, word = machine.word, f"<u{machine.word}"
    is_closed = ~is_writable(protections, words["address"])
    is_closed &= ~among(words["address"] // PAGE, pages_of(jumps["place"], machine.jump_size))
    closed = np.sort(words[is_closed], order="address")
    rows = np.zeros(len(closed), CODE)
    rows["place"] = closed["address"]
    rows["content"][:, :size] = closed["value"].astype(word).view("u1").reshape(-1, size)
    if (pages.words(closed["address"]) != closed["expected"]).any():
        raise MemoryChanged("memory changed meanwhile")
    return patches(rows, pages, size) + [
        Piece(address, expected.to_bytes(size, "little"), value.to_bytes(size, "little"))
        for address, expected, value in words[~is_closed].tolist()
    ]


def _slot_words(it: Preparation, live: Slots, calls: Table) -> list[Table]:
    """Slots that are only called through, those at `calls`, lead to the version that runs; others only where no jump
    at the home does."""
    to, running = it.step.loaded, it.step.state.running
    addresses = entries_by_home(it.entries, to.base)
    addresses |= {running.base + one.old: to.base + one.new for one in it.step.common.functions}
    chosen = {old: new for old, new in chosen_moves(it.step.state.versions, to).items() if old not in addresses}
    addresses |= chosen
    moves = chosen | {running.base + one.old: to.base + one.new for one in it.unled}
    parts = Slots(live.address[calls], live.value[calls]), Slots(live.address[~calls], live.value[~calls])
    return [moved_slots(part, led_to) for part, led_to in zip(parts, (addresses, moves), strict=True)]


def _changed(slots: Slots, changes: Sequence[Table]) -> Slots:
    """The slots as they will be."""
    value = slots.value.copy()
    for words in changes:
        value[np.searchsorted(slots.address, words["address"])] = words["value"]
    return Slots(slots.address, value)


def _require_own(it: Step, present: Table) -> None:
    """Raise Refused where something else has changed the beginning of a function: a debugger, or a probe (uprobe)."""
    first, image = it.state.home, it.images[it.state.home.version]
    size = image.machine.jump_size
    offsets = present["place"].astype("<i8") - first.base
    is_untouched = (offsets >= 0) & (offsets < first.size)
    is_untouched &= ~among(offsets, first.overwritten["place"])
    contents = present["content"][is_untouched][:, :size]
    for at, content in zip(offsets[is_untouched].tolist(), contents, strict=True):
        if content.tobytes() != image.bytes_at(at, size):
            raise Refused(
                f"the code at +{at:#x} is not what the file has: a debugger or a probe stands there; end it to get "
                "the new version"
            )


def _symbol_words(it: Preparation, pages: Pages) -> Table:
    base = it.step.loaded.base
    places = np.array([place for place, _base, _at in it.symbols], "<u8")
    values = np.array([(base + at - own) % (1 << 64) for _place, own, at in it.symbols], "<u8")
    return _differing(places, pages.words(places), values)


def _differing(places: Table, live: Table, values: Table) -> Table:
    index = np.flatnonzero(live != values)
    words = np.zeros(len(index), WORD)
    words["address"], words["expected"], words["value"] = places[index], live[index], values[index]
    return words


def _merged_words(it: Preparation, pages: Pages) -> Table:
    """The changes to variables whose initial value is another one in the new version."""
    addresses = np.array([one.address for one in it.initial], "<u8")
    return np.array(merge(it.initial, pages.words(addresses).tolist()), WORD)
