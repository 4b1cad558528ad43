"""The update of libraries in one target, from the verdict to the last slot."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from liveso.elf import tables
from liveso.elf.tables import Table
from liveso.errors import ImageError, LivesoError, Refused
from liveso.store import Store, Version
from liveso.target import LoadedObject, ObjectsChanged, WordChanged
from liveso.target.objects import Dynamic, imported_names, read_slots, read_words
from liveso.target.protocol import WORD
from liveso.update.analysis import Analysis, Analyst
from liveso.update.homes import agree
from liveso.update.imports import Provider, later_imports
from liveso.update.merge import candidates, merge
from liveso.update.open import Opening, forget, learn_home, load
from liveso.update.own_data import values_of_the_moment
from liveso.update.permission import require_permission
from liveso.update.record import LibraryState
from liveso.update.redirect import Images, count_stale, function_moves, slot_words, symbol_table_words, table_values
from liveso.update.target import (
    ATTEMPTS,
    NO_WORDS,
    Target,
    commit_words,
    dynamics_of,
    list_objects,
    prepared_copies,
)
from liveso.verdict.initial import changed_words


@dataclass(frozen=True, slots=True)
class Change:
    """A library of a target, as it is, and the version that it is to run."""

    state: LibraryState
    to: Version


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
    analysis: Analysis
    images: Images
    is_fresh: bool


async def update(target: Target, changes: Sequence[Change], store: Store, analyst: Analyst) -> list[Outcome]:
    """Let each library run its new version, all of them or none: in one transaction, after all were opened.

    Raises Refused, TargetError or StoreError; then the target runs what it ran before. LibraryUnloaded among these says
    that what is known of the target's libraries is to be learned anew.
    """
    watch = _Watch()
    async with target.turn:
        with watch.step("judge"):
            analyses = [await asyncio.to_thread(_analyse, analyst, it) for it in changes]
            pairs = list(zip(changes, analyses, strict=True))
            await require_permission(target, [(it.state, analysis) for it, analysis in pairs])
        steps: list[_Step] = []
        try:
            for change, analysis in _in_order_of_need(pairs):
                with _about(change.state.path):
                    steps.append(await _load(target, change, analysis, steps, store, watch))
            with watch.step("redirect"):
                found = await _redirect(target, steps)
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


def _analyse(analyst: Analyst, change: Change) -> Analysis:
    try:
        return analyst.analyse(change.state.current, change.to)
    except ImageError as error:
        raise Refused(str(error), (), change.state.path) from error


def _in_order_of_need(pairs: list[tuple[Change, Analysis]]) -> list[tuple[Change, Analysis]]:
    """What others need comes first; libraries that need each other come in any order."""
    found: list[tuple[Change, Analysis]] = []
    waiting = pairs
    while waiting:
        names = {analysis.new.soname for _change, analysis in waiting}
        ready = [it for it in waiting if names.isdisjoint(set(it[1].new.needed) - {it[1].new.soname})] or waiting[:1]
        found.extend(ready)
        waiting = [it for it in waiting if it not in ready]
    return found


async def _load(
    target: Target,
    change: Change,
    analysis: Analysis,
    earlier: list[_Step],
    store: Store,
    watch: _Watch,
) -> _Step:
    to = change.to
    with watch.step("open"):
        state = await learn_home(target, change.state, store)
        images = {it.version: await asyncio.to_thread(store.image, it.version) for it in state.versions}
        images[to] = analysis.new
    verdict = analysis.verdict
    if verdict.correspondence is None or verdict.thread_locals is None:
        raise Refused("its variables cannot be located")
    present = state.loaded(to)
    if present is not None:
        if not agree(analysis, verdict.correspondence, verdict.thread_locals, state.running, present):
            raise Refused(
                "it ran before in this process, when its variables lived elsewhere; restart the program to get it"
            )
        return _Step(state, to, analysis, images, is_fresh=False)
    with watch.step("open"):
        imports = await _addresses_of_later_imports(target, state, analysis, earlier, store)
    opening = Opening(
        to,
        analysis.references,
        analysis.thread_references,
        verdict.correspondence,
        verdict.thread_locals,
        verdict.tables,
        imports,
    )
    state = await load(target, state, opening, store, images, watch.step)
    return _Step(state, to, analysis, images, is_fresh=True)


async def _addresses_of_later_imports(
    target: Target, state: LibraryState, analysis: Analysis, earlier: list[_Step], store: Store
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
    for it in later_imports(analysis.new, providers):
        is_indirect = it.symbol.type == tables.STT_GNU_IFUNC
        loaded = it.provider.loaded
        address = loaded.indirect[str(it.symbol)] if is_indirect else loaded.base + it.symbol.value
        found[it.row] = address + int(analysis.new.relocations["addend"][it.row])
    return found


async def _redirect(target: Target, steps: list[_Step]) -> dict[str, tuple[LibraryState, int]]:
    """Lead all calls to the new versions, and look again until no slot is left behind: lazy binding goes on meanwhile.
    Returns the states afterwards and how many slots still lead to old code, by path."""
    after = [it.state.redirected(it.to) for it in steps]
    moves = {old: new for it in steps for old, new in function_moves(it.state, it.images, it.to).items()}
    switched = False
    for attempt in range(ATTEMPTS):
        objects = await list_objects(target)
        dynamics = await dynamics_of(target, objects.objects)
        slots = await read_slots(target.agent, target.machine, dynamics, prepared_copies(target))
        words = slot_words(slots, moves)
        if not switched:
            first, last = [], []
            for it in steps:
                first.append(await _merged_words(target, it, dynamics))
                first.append(symbol_table_words(it.state, it.images, it.to))
                first.append(await _table_words(target, it))
                last.append(await _own_data_words(target, it))
            words = np.concatenate([*first, words, *last])
            words = words[np.sort(np.unique(words["address"], return_index=True)[1])]
        elif not len(words):
            break
        try:
            await commit_words(target, objects, words, after)
            switched = True
        except (WordChanged, ObjectsChanged):
            if attempt == ATTEMPTS - 1:
                if switched:
                    break
                raise
    return {
        state.path: (state, count_stale(slots, state, it.images, it.to)) for state, it in zip(after, steps, strict=True)
    }


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
    return await values_of_the_moment(target.agent, it.analysis.new, loaded.base, loaded.homes)


async def _merged_words(target: Target, it: _Step, dynamics: dict[LoadedObject, Dynamic]) -> Table:
    """The changes to variables whose initial value is another one in the new version."""
    copies: dict[str, int] = {}
    for owner, dynamic in dynamics.items():
        found = await imported_names(target.agent, dynamic, frozenset({target.machine.copy}))
        copies.update((name, owner.base + offset) for name, offset in found)
    loaded, correspondence = it.state.loaded(it.to), it.analysis.verdict.correspondence
    assert loaded is not None and correspondence is not None
    with _about(it.state.path):
        changes = changed_words(it.analysis.old, it.analysis.new, correspondence)
        places = candidates(changes, it.state.running, it.analysis.old, loaded, copies)
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
        moves: dict[int, int] = {}
        for state in states:
            images = {it.version: await asyncio.to_thread(store.image, it.version) for it in state.versions}
            moves |= function_moves(state, images, state.current)
        objects = await list_objects(target)
        dynamics = await dynamics_of(target, objects.objects)
        slots = await read_slots(target.agent, target.machine, dynamics, prepared_copies(target))
        words = slot_words(slots, moves)
        if len(words):
            await commit_words(target, objects, words, states)
        return len(words)
