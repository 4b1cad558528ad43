"""The update of libraries in one target, from the verdict to the last slot."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from liveso.elf import Image, tables
from liveso.elf.tables import Table
from liveso.errors import LivesoError, Refused, TargetError, TargetGone
from liveso.store import Store, Version
from liveso.target import LoadedObject, ObjectsChanged, TakenBack, WordChanged
from liveso.target.objects import Dynamic, Slots, imported_names, read_slots, read_words
from liveso.target.protocol import WORD
from liveso.update.homes import agree
from liveso.update.imports import Provider, later_imports
from liveso.update.merge import candidates, merge
from liveso.update.open import Opening, forget, learn_home, load
from liveso.update.own_data import values_of_the_moment
from liveso.update.permission import require_able
from liveso.update.record import LibraryState
from liveso.update.redirect import (
    Images,
    count_stale,
    function_moves,
    slot_words,
    symbol_table_words,
    table_values,
    versions_led_to,
)
from liveso.update.target import (
    ATTEMPTS,
    NO_WORDS,
    Target,
    commit_words,
    dynamics_of,
    in_use,
    list_objects,
    prepared_copies,
)
from liveso.verdict import PairAnalysis
from liveso.verdict.initial import changed_words


@dataclass(frozen=True, slots=True)
class Change:
    """A library of a target, as it is, the version that it is to run, and what is known of the pair."""

    state: LibraryState
    to: Version
    analysis: PairAnalysis


@dataclass(frozen=True, slots=True)
class Outcome:
    """An update that was made: the new state, how many slots still lead to old code, the time of each step in ms."""

    state: LibraryState
    stale: int
    steps: dict[str, float]


class _Watch:
    """Takes the time of each step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + (time.perf_counter() - start) * 1000


@dataclass(frozen=True, slots=True)
class _Step:
    """One library on its way to another version, which is loaded and relinked; `is_fresh`: for this update."""

    state: LibraryState
    to: Version
    analysis: PairAnalysis
    images: Images
    is_fresh: bool


class ImagesOf(Mapping[Version, Image]):
    """The images of a target's versions. Those that were named are ready; the others are read when they are needed."""

    def __init__(self, store: Store, ready: Sequence[Version]) -> None:
        self._store = store
        self._ready = {it: store.image(it) for it in ready}

    def __getitem__(self, version: Version) -> Image:
        found = self._ready.get(version)
        if found is None:
            found = self._ready[version] = self._store.image(version)
        return found

    def __iter__(self) -> Iterator[Version]:
        return iter(self._ready)

    def __len__(self) -> int:
        return len(self._ready)


async def update(target: Target, changes: Sequence[Change], store: Store) -> list[Outcome]:
    """Let each library run its new version, all of them or none: in one transaction, after all were opened.

    Raises Refused, TargetError or StoreError; then the target runs what it ran before. LibraryUnloaded among these says
    that what is known of the target's libraries is to be learned anew, TargetGone that nothing is known of it.
    """
    watch = _Watch()
    async with target.turn:
        await require_able(target)
        steps: list[_Step] = []
        try:
            for change in _in_order_of_need(changes, store):
                with _about(change.state.path):
                    steps.append(await _load(target, change, steps, store, watch))
            with watch.step("redirect"):
                found = await _redirect(target, steps)
        except (TargetGone, TakenBack):  # what a thread may have entered stays, and so does what nobody can be asked of
            raise
        except LivesoError:
            for it in reversed(steps):
                if it.is_fresh:
                    await forget(target, it.state, it.to)
            raise
        return [Outcome(*found[it.state.path], watch.steps) for it in changes]


@contextmanager
def _about(path: str) -> Iterator[None]:
    """A refusal inside names the library."""
    try:
        yield
    except Refused as error:
        error.library = error.library or path
        raise


def _in_order_of_need(changes: Sequence[Change], store: Store) -> list[Change]:
    """What others need comes first; libraries that need each other come in any order."""
    found: list[Change] = []
    waiting = [(it, store.image(it.to)) for it in changes]
    while waiting:
        names = {image.soname for _change, image in waiting}
        ready = [it for it in waiting if names.isdisjoint(set(it[1].needed) - {it[1].soname})] or waiting[:1]
        found.extend(change for change, _image in ready)
        waiting = [it for it in waiting if it not in ready]
    return found


async def _load(target: Target, change: Change, earlier: list[_Step], store: Store, watch: _Watch) -> _Step:
    to, analysis, verdict = change.to, change.analysis, change.analysis.verdict
    with watch.step("open"):
        state = await learn_home(target, change.state, store)
        images = await asyncio.to_thread(ImagesOf, store, (state.home.version, state.current, to))
    if verdict.correspondence is None or verdict.thread_locals is None:
        raise Refused("its variables cannot be located")
    present = state.loaded(to)
    if present is not None:
        if not agree(analysis, images[to], verdict.correspondence, verdict.thread_locals, state.running, present):
            raise Refused(
                "it ran before in this process, when its variables lived elsewhere; restart the program to get it"
            )
        return _Step(state, to, analysis, images, is_fresh=False)
    with watch.step("open"):
        imports = await _addresses_of_later_imports(target, state, images[to], earlier, store)
    opening = Opening(to, analysis, verdict.correspondence, verdict.thread_locals, verdict.tables, imports)
    state = await load(target, state, opening, store, images, watch.step)
    return _Step(state, to, analysis, images, is_fresh=True)


async def _addresses_of_later_imports(
    target: Target, state: LibraryState, new: Image, earlier: list[_Step], store: Store
) -> dict[int, int]:
    """What the new version imports from later versions of other libraries, by the row of the relocation."""
    running = {it.path: it.current for it in target.libraries.values()} | {it.state.path: it.to for it in earlier}
    providers = []
    for path, version in running.items():
        loaded = target.libraries[path].loaded(version)
        home = target.libraries[path].home
        if path != state.path and loaded is not None and loaded != home:
            first, image = [await asyncio.to_thread(store.image, it.version) for it in (home, loaded)]
            providers.append(Provider(loaded, first, image))
    found = {}
    for it in later_imports(new, providers):
        is_indirect = it.symbol.type == tables.STT_GNU_IFUNC
        loaded = it.provider.loaded
        address = loaded.indirect[str(it.symbol)] if is_indirect else loaded.base + it.symbol.value
        found[it.row] = address + int(new.relocations["addend"][it.row])
    return found


async def _redirect(target: Target, steps: list[_Step]) -> dict[str, tuple[LibraryState, int]]:
    """Lead all calls to the new versions, and look again until no slot is left behind: lazy binding goes on meanwhile.
    Returns the states afterwards and how many slots still lead to old code, by path."""
    after = [it.state.redirected(it.to) for it in steps]
    coming = frozenset(it.to for it in steps)
    was_visible: TakenBack | None = None
    for attempt in range(ATTEMPTS):
        objects = await list_objects(target, may_be_old=attempt == 0)
        dynamics = await dynamics_of(target, in_use(target, objects.objects, coming))
        slots = await read_slots(target.agent, dynamics, prepared_copies(target))
        first, last = [], []
        for it in steps:
            first.append(await _merged_words(target, it, dynamics))
            first.append(symbol_table_words(it.state, it.images, it.to))
            first.append(await _table_words(target, it))
            last.append(await _own_data_words(target, it))
        words = np.concatenate([*first, _moved_slots(slots, steps), *last])
        words = words[np.sort(np.unique(words["address"], return_index=True)[1])]
        try:
            await commit_words(target, objects, words, after)
            break
        except TakenBack as error:
            was_visible = error
            if attempt == ATTEMPTS - 1:
                raise
        except (WordChanged, ObjectsChanged) as error:
            if attempt == ATTEMPTS - 1:
                raise was_visible or error from error
    slots = await _look_again(target, steps, slots)
    return {
        state.path: (state, count_stale(slots, state, it.images, it.to)) for state, it in zip(after, steps, strict=True)
    }


def _moved_slots(slots: Slots, steps: Sequence[_Step]) -> Table:
    moves: dict[int, int] = {}
    for it in steps:
        moves |= function_moves(it.state, it.images, it.to, versions_led_to(slots, it.state, it.to))
    return slot_words(slots, moves)


async def _look_again(target: Target, steps: Sequence[_Step], slots: Slots) -> Slots:
    """Lead on what was bound meanwhile. The update is in force by now: what goes wrong here is for the next look."""
    for _attempt in range(ATTEMPTS):
        try:
            objects = await list_objects(target)
            dynamics = await dynamics_of(target, in_use(target, objects.objects, frozenset()))
            slots = await read_slots(target.agent, dynamics, prepared_copies(target))
            words = _moved_slots(slots, steps)
            if not len(words):
                break
            await commit_words(target, objects, words, ())
        except (WordChanged, TakenBack, ObjectsChanged):
            continue
        except TargetGone:
            raise
        except TargetError:
            break
    return slots


async def _table_words(target: Target, it: _Step) -> Table:
    places, values = table_values(it.state, it.images, it.to)
    live = await read_words(target.agent, places)
    differing = np.flatnonzero(live != values)
    words = np.zeros(len(differing), WORD)
    words["address"], words["expected"], words["value"] = places[differing], live[differing], values[differing]
    return words


async def _own_data_words(target: Target, it: _Step) -> Table:
    loaded = it.state.loaded(it.to)
    assert loaded is not None
    if loaded == it.state.home or not it.analysis.references.may_be_incomplete:
        return NO_WORDS
    return await values_of_the_moment(target.agent, it.images[it.to], loaded.base, loaded.homes)


async def _merged_words(target: Target, it: _Step, dynamics: dict[LoadedObject, Dynamic]) -> Table:
    """The changes to variables whose initial value is another one in the new version."""
    copies: dict[str, int] = {}
    for owner, dynamic in ((owner, it) for owner, it in dynamics.items() if it.has_copies):
        found = await imported_names(target.agent, dynamic, frozenset({target.machine.copy}))
        copies.update((name, owner.base + offset) for name, offset in found)
    loaded, correspondence = it.state.loaded(it.to), it.analysis.verdict.correspondence
    assert loaded is not None and correspondence is not None
    with _about(it.state.path):
        old = it.images[it.state.current]
        changes = changed_words(old, it.images[it.to], correspondence)
        places = candidates(changes, it.state.running, old, loaded, copies)
    addresses = np.array([place.address for place in places], "<u8")
    order = np.argsort(addresses, kind="stable")
    live = np.zeros(len(places), "<u8")
    live[order] = await read_words(target.agent, addresses[order])
    with _about(it.state.path):
        return np.array(merge(places, live.tolist()), WORD)


async def sweep(target: Target, store: Store) -> int:
    """Look once more for slots that lead to versions that do not run any more; the number that was found and led on.

    Raises LibraryUnloaded as `update` does.
    """
    async with target.turn:
        states = [it for it in target.libraries.values() if len(it.versions) > 1]
        objects = await list_objects(target)
        dynamics = await dynamics_of(target, objects.objects)
        slots = await read_slots(target.agent, dynamics, prepared_copies(target))
        moves: dict[int, int] = {}
        for state in states:
            images = await asyncio.to_thread(ImagesOf, store, (state.home.version, state.current))
            leaving = versions_led_to(slots, state, state.current)
            moves |= await asyncio.to_thread(function_moves, state, images, state.current, leaving)
        words = slot_words(slots, moves)
        if len(words):
            await commit_words(target, objects, words, states)
        return len(words)
