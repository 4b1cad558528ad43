"""What one transaction writes into a target: words and the jumps at the homes of functions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from liveso.apply.own_data import values_of_the_moment
from liveso.apply.target import NO_WORDS, Target, dynamics_of, in_use, list_objects, prepared_copies
from liveso.compare.correspondence import SameFunction
from liveso.compare.initial import changed_words
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.functions import overwritten_bytes
from liveso.plan.homes import all_homes, entries_by_home, later_functions
from liveso.plan.jumps import CODE, PAGE, pages_of, patches, present_code, wanted_code, with_overwritten
from liveso.plan.merge import candidates, merge
from liveso.plan.record import LibraryState
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
from liveso.process import LoadedObject, proc
from liveso.process.freeze import MemoryChanged
from liveso.process.objects import Dynamic, Slots, imported_names, read_slots, read_words
from liveso.process.protocol import WORD, Piece
from liveso.store import Version
from liveso.verdict import PairAnalysis


@dataclass(frozen=True, slots=True)
class Step:
    """One library on its way to another version, which is loaded and relinked; `is_fresh`: for this update."""

    state: LibraryState
    to: Version
    analysis: PairAnalysis
    images: Images
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one attempt writes: `pieces`, of which `places` are those of jumps. `before` are the states that do not know
    yet what will be overwritten, as they will know it, and `after` those that follow, with the functions that are not
    led on."""

    pieces: list[Piece]
    places: Table
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


async def make_plan(target: Target, steps: Sequence[Step]) -> Plan:
    """Raises Refused where one of the versions cannot go in."""
    coming = frozenset(it.to for it in steps)
    objects = await list_objects(target)
    dynamics = await dynamics_of(target, in_use(target, objects.objects, coming))
    slots = await read_slots(target.agent, dynamics, prepared_copies(target))
    calls = np.isin(slots.address, call_slots(dynamics, target.machine.jump_slot))
    words, pieces, places, after = [NO_WORDS], [], [], {}
    before: list[LibraryState] = []
    for it in steps:
        state, to, same = it.state, it.state.loaded(it.to), it.analysis.verdict.functions
        assert to is not None
        homes = all_homes(later_functions(same, state.running), to)
        unled = not_led_on(same, homes)
        words += [await _merged_words(target, it, dynamics), await _symbol_words(target, it, unled)]
        words += [await _table_words(target, it), await _own_data_words(target, it)]
        addresses = entries_by_home(homes, to)
        running = state.running.base
        addresses |= {running + one.old: to.base + one.new for one in same}
        chosen = {old: new for old, new in chosen_moves(state.versions, to).items() if old not in addresses}
        addresses |= chosen
        moves = chosen | {running + one.old: to.base + one.new for one in unled}
        called = Slots(slots.address[calls], slots.value[calls])
        changes = moved_slots(called, addresses), moved_slots(Slots(slots.address[~calls], slots.value[~calls]), moves)
        words += changes
        code = wanted_code(to, homes, target.machine)
        runs = pages_of(code, target.machine.jump_size)
        contents = await target.agent.read(runs)
        present = present_code(code, runs, contents, target.machine.jump_size)
        _require_own(it, present)
        pieces += patches(code, runs, contents, target.machine.jump_size)
        places.append(code["place"])
        stale = stale_functions(_changed(slots, changes), state, it.images, it.to, homes)
        knowing = with_overwritten(state, present, target.machine.jump_size)
        before += [knowing] if knowing != state else []
        after[state.path] = knowing.redirected(it.to), tuple(stale)
    together = np.concatenate(words)
    together = together[np.sort(np.unique(together["address"], return_index=True)[1])]
    pieces += await _word_pieces(target, together, np.concatenate(places))
    return Plan(pieces, np.concatenate(places), before, after)


async def _word_pieces(target: Target, words: Table, jumps: Table) -> list[Piece]:
    """Words on pages that the program may not write change with all that lies between them, which is much faster.
    Raises MemoryChanged where one is not as expected."""
    size, word = target.machine.word, f"<u{target.machine.word}"
    protections = proc.protections(target.pid, target.hello.thread, words["address"])
    is_closed = ~is_writable(protections, words["address"])
    is_closed &= ~np.isin(words["address"] // PAGE, np.r_[jumps, jumps + np.uint64(target.machine.jump_size)] // PAGE)
    closed = np.sort(words[is_closed], order="address")
    rows = np.zeros(len(closed), CODE)
    rows["place"] = closed["address"]
    rows["content"][:, :size] = closed["value"].astype(word).view("u1").reshape(-1, size)
    runs = pages_of(rows, size)
    contents = await target.agent.read(runs)
    present = present_code(rows, runs, contents, size)["content"][:, :size]
    if (np.ascontiguousarray(present).view(word).ravel() != closed["expected"]).any():
        raise MemoryChanged("memory changed meanwhile")
    return patches(rows, runs, contents, size) + [
        Piece(address, expected.to_bytes(size, "little"), value.to_bytes(size, "little"))
        for address, expected, value in words[~is_closed].tolist()
    ]


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
    is_untouched &= ~np.isin(offsets, overwritten_bytes(first.overwritten)["place"])
    contents = present["content"][is_untouched][:, :size]
    for at, content in zip(offsets[is_untouched].tolist(), contents, strict=True):
        if content.tobytes() != image.bytes_at(at, size):
            raise Refused(
                f"the code at +{at:#x} is not what the file has: a debugger or a probe stands there; end it to get "
                "the new version"
            )


async def _symbol_words(target: Target, it: Step, unled: Sequence[SameFunction]) -> Table:
    to = it.state.loaded(it.to)
    assert to is not None
    found = symbol_places(it.state, it.images, unled)
    if not found:
        return NO_WORDS
    live = await target.agent.read([(place, target.machine.word) for place, _base, _at in found])
    rows = [
        (place, int.from_bytes(now, "little"), (to.base + at - base) % (1 << 64))
        for (place, base, at), now in zip(found, live, strict=True)
    ]
    return np.array([row for row in rows if row[1] != row[2]], WORD)


async def _table_words(target: Target, it: Step) -> Table:
    places, values = table_values(it.state, it.images, it.to)
    live = await read_words(target.agent, places)
    differing = np.flatnonzero(live != values)
    words = np.zeros(len(differing), WORD)
    words["address"], words["expected"], words["value"] = places[differing], live[differing], values[differing]
    return words


async def _own_data_words(target: Target, it: Step) -> Table:
    loaded = it.state.loaded(it.to)
    assert loaded is not None
    if loaded == it.state.home or not it.analysis.references.may_be_incomplete:
        return NO_WORDS
    return await values_of_the_moment(target.agent, it.images[it.to], loaded.base, loaded.homes)


async def _merged_words(target: Target, it: Step, dynamics: dict[LoadedObject, Dynamic]) -> Table:
    """The changes to variables whose initial value is another one in the new version."""
    copies: dict[str, int] = {}
    for owner, dynamic in ((owner, it) for owner, it in dynamics.items() if it.has_copies):
        found = await imported_names(target.agent, dynamic, frozenset({target.machine.copy}))
        copies.update((name, owner.base + offset) for name, offset in found)
    loaded, correspondence = it.state.loaded(it.to), it.analysis.verdict.correspondence
    assert loaded is not None and correspondence is not None
    with about(it.state.path):
        old = it.images[it.state.current]
        changes = changed_words(old, it.images[it.to], correspondence)
        places = candidates(changes, it.state.running, old, loaded, copies)
    addresses = np.array([place.address for place in places], "<u8")
    order = np.argsort(addresses, kind="stable")
    live = np.zeros(len(places), "<u8")
    live[order] = await read_words(target.agent, addresses[order])
    with about(it.state.path):
        return np.array(merge(places, live.tolist()), WORD)
