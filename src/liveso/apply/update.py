"""The update of libraries in one target, from the verdict to the last slot."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from liveso.apply.open import Opening, forget, learn_home, load
from liveso.apply.outside import wait_until_outside
from liveso.apply.permission import require_able
from liveso.apply.room import make_room
from liveso.apply.standstill import undo, write_still
from liveso.apply.survey import survey
from liveso.apply.target import ATTEMPTS, NO_WORDS, Target, commit_words
from liveso.elf import Image, tables
from liveso.errors import LivesoError, Refused, TargetError, TargetGone
from liveso.plan.homes import agree, in_common
from liveso.plan.imports import Provider, later_imports
from liveso.plan.islands import NoRoom
from liveso.plan.record import LibraryState
from liveso.plan.transaction import Step, about
from liveso.process import ObjectsChanged, TakenBack
from liveso.process.holding import MemoryChanged
from liveso.store import Store, Version
from liveso.verdict import PairAnalysis


@dataclass(frozen=True, slots=True)
class Change:
    """A library of a target, as it is, the version that it is to run, and what is known of the pair. `is_atomic` says
    whether no thread may be inside the library when it changes."""

    state: LibraryState
    to: Version
    analysis: PairAnalysis
    is_atomic: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """An update that was made: the new state, the functions whose old code slots still lead to, the time of each step
    in ms."""

    state: LibraryState
    stale: tuple[str, ...]
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
        atomic = [it.state for it in changes if it.is_atomic]
        avoided: list[range] = []
        if atomic:
            with watch.step("wait"):
                avoided = await wait_until_outside(target, atomic, store)
        steps: list[Step] = []
        try:
            for change in _in_order_of_need(changes, store):
                with about(change.state.path):
                    steps.append(await _load(target, change, steps, store, watch))
            with watch.step("redirect"):
                found = await _redirect(target, steps, avoided, watch)
        except (TargetGone, TakenBack):  # what a thread may have entered stays, and so does what nobody can be asked of
            raise
        except LivesoError:
            for it in reversed(steps):
                if it.is_fresh:
                    await forget(target, it.state, it.to)
            raise
        return [Outcome(*found[it.state.path], watch.steps) for it in changes]


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


async def _load(target: Target, change: Change, earlier: list[Step], store: Store, watch: _Watch) -> Step:
    to, analysis = change.to, change.analysis
    common = in_common(analysis)
    with watch.step("open"):
        state = await learn_home(target, change.state, store)
        images = await asyncio.to_thread(ImagesOf, store, (state.home.version, state.current, to))
    present = state.loaded(to)
    if present is not None:
        if not agree(analysis, images[to], common, state.running.map, present.map):
            raise Refused(
                "it ran before in this process, when its variables lived elsewhere; restart the program to get it"
            )
        return Step(state, to, analysis, common, images, is_fresh=False)
    with watch.step("open"):
        imports = await _addresses_of_later_imports(target, state, images[to], earlier, store)
    state = await load(target, state, Opening(to, analysis, common, imports), store, images, watch.step)
    return Step(state, to, analysis, common, images, is_fresh=True)


async def _addresses_of_later_imports(
    target: Target, state: LibraryState, new: Image, earlier: list[Step], store: Store
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


async def _redirect(
    target: Target, steps: list[Step], avoided: Sequence[range], watch: _Watch
) -> dict[str, tuple[LibraryState, tuple[str, ...]]]:
    """Lead everything to the new versions, at once, while no thread runs, and none is inside the code that is
    `avoided`."""
    size = target.machine.jump_size
    for attempt in range(ATTEMPTS):
        try:
            it = await survey(target, steps)
            # whoever finds the jumps must know what they took the place of; who finds none, that this is right
            await _remember(target, it.before, [it.after[step.state.path][0] for step in steps if _goes_home(step)])
            await write_still(target, it.pieces, it.code["place"], size, avoided, partial(watch.step, "still"))
            break
        except NoRoom as error:
            steps = await make_room(target, steps, error.places)
        except (MemoryChanged, ObjectsChanged):
            if attempt == ATTEMPTS - 1:
                raise
    try:
        await _remember(target, [state for state, _stale in it.after.values()])
    except TargetGone:
        raise
    except TargetError as error:
        if not await undo(target, it.pieces, it.code["place"], size):
            raise TakenBack(str(error)) from error
        raise
    return it.after


def _goes_home(step: Step) -> bool:
    return step.to == step.state.home.version


async def _remember(target: Target, states: Sequence[LibraryState], coming: Sequence[LibraryState] = ()) -> None:
    if not states and not coming:
        return
    for attempt in range(ATTEMPTS):
        try:
            await commit_words(target, await target.agent.list_objects(), NO_WORDS, states, coming)
            return
        except ObjectsChanged:
            if attempt == ATTEMPTS - 1:
                raise
