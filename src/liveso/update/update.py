"""The update of one library in one target, from the verdict to the last slot."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liveso.code import References
from liveso.elf import Machine, Symbol, read_image, tables
from liveso.elf.tables import Table
from liveso.errors import Refused, TargetError
from liveso.store import Store, Version
from liveso.target import Agent, Hello, LoadedObject, ObjectList, ObjectsChanged, Transaction, WordChanged, process
from liveso.target.objects import Dynamic, imported_names, read_dynamic, read_slots, read_words
from liveso.target.protocol import HALF, SPAN, WORD
from liveso.update.analysis import Analysis, Analyst
from liveso.update.dependencies import hidden_dependencies
from liveso.update.merge import candidates, merge
from liveso.update.own_data import values_of_the_moment
from liveso.update.record import LibraryState, LoadedVersion, encode_record
from liveso.update.redirect import Images, count_stale, function_moves, slot_words, symbol_table_words
from liveso.update.relink import Home, relink
from liveso.update.spans import spans_for_code, spans_for_words
from liveso.verdict import describe
from liveso.verdict.initial import changed_words

_LAZY, _NOW, _NOLOAD, _GLOBAL = 1, 2, 4, 0x100  # dlopen(3)
_ATTEMPTS = 25
_PROBES = 8

NO_WORDS = np.zeros(0, WORD)
NO_HALVES = np.zeros(0, HALF)
NO_SPANS = np.zeros(0, SPAN)


@dataclass
class Target:
    """A target that is being served. `libraries` are those that were updated, by path, as its record has them."""

    pid: int
    agent: Agent
    hello: Hello
    machine: Machine
    system_call_filters: int
    libraries: dict[str, LibraryState] = field(default_factory=dict)
    dynamics: dict[LoadedObject, Dynamic] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_own_malloc: bool | None = None


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


async def update(target: Target, state: LibraryState, to: Version, store: Store, analyst: Analyst) -> Outcome:
    """Let `to` take the place of the version that runs in `target`.

    Raises Refused, TargetError, ImageError or StoreError; then the target runs what it ran before.
    """
    watch = _Watch()
    async with target.turn:
        with watch.step("judge"):
            analysis = await asyncio.to_thread(analyst.analyse, state.current, to)
            await _require_permission(target, state, analysis)
        with watch.step("open"):
            state = await _learn_home(target, state, store)
            images = {it.version: await asyncio.to_thread(store.image, it.version) for it in state.versions}
            images[to] = analysis.new
            path = await asyncio.to_thread(store.prepared, to, os.path.basename(state.path))
        fresh = state.loaded(to) is None
        if fresh:
            state = await _load(target, state, to, path, images, analyst, watch)
        with watch.step("redirect"):
            try:
                state, stale = await _redirect(target, state, to, analysis, images)
            except (Refused, TargetError):
                if fresh:
                    await _forget(target, state, to)
                raise
        return Outcome(state, stale, watch.steps)


async def _require_permission(target: Target, state: LibraryState, analysis: Analysis) -> None:
    """Raise Refused where the verdict, or what the target is, stands against the update."""
    needed: frozenset[str] = frozenset()
    if analysis.verdict.may_depend_on_target:
        needed = await _needed_names(target, state)
    refusals = analysis.verdict.refusals(needed)
    if refusals:
        raise Refused(describe(refusals), tuple(f"{it.rule}: {it.text}" for it in refusals))
    await require_safe_allocator(target)
    if process.system_call_filters(target.pid, target.hello.thread) > target.system_call_filters:
        raise Refused("the program filters its system calls since it started (seccomp), the agent's could end it")


async def require_safe_allocator(target: Target) -> None:
    """Opening a library allocates in the agent's thread: a program with an allocator of its own and a single thread may
    have one that is not made for that. Raises Refused."""
    objects = (await target.agent.list_objects()).objects
    owner = _owner(await _dynamics(target, objects), target.hello.malloc)
    if owner is None or owner.name != "" or process.threads(target.pid).count > 2:
        return
    if target.has_own_malloc is None:
        target.has_own_malloc = await asyncio.to_thread(_program_defines_malloc, target)
    if target.has_own_malloc:
        raise Refused("the program has a malloc of its own, which may not be made for a second thread")


def _program_defines_malloc(target: Target) -> bool:
    """Whether it does; in a non-PIE program the address of libc's `malloc` can be that of its own PLT entry."""
    program = read_image(process.program(target.pid, target.hello.thread), may_be_program=True)
    return any(it.name == "malloc" and it.is_defined for it in program.symbols)


def _owner(dynamics: dict[LoadedObject, Dynamic], address: int) -> LoadedObject | None:
    below = [it for it in dynamics if it.base <= address]
    return max(below, key=lambda it: it.base) if below else None


async def _needed_names(target: Target, state: LibraryState) -> frozenset[str]:
    """What the target's objects, other than the library itself, refer to by name."""
    own = {it.base for it in state.versions}
    dynamics = await _dynamics(target, (await target.agent.list_objects()).objects)
    names: set[str] = set()
    for owner, dynamic in dynamics.items():
        if owner.base not in own:
            names.update(name for name, _offset in await imported_names(target.agent, dynamic))
    return frozenset(names)


async def _dynamics(target: Target, objects: tuple[LoadedObject, ...]) -> dict[LoadedObject, Dynamic]:
    """The dynamic sections of `objects`, read once for each that is loaded."""
    kept = {it: target.dynamics[it] for it in objects if it in target.dynamics}
    missing = [it for it in objects if it not in kept]
    if missing:
        kept.update(zip(missing, await read_dynamic(target.agent, target.machine, missing), strict=True))
    target.dynamics = kept
    return kept


async def warm(target: Target, objects: tuple[LoadedObject, ...]) -> None:
    """Read ahead what every update of the target needs."""
    async with target.turn:
        await _dynamics(target, objects)


async def _learn_home(target: Target, state: LibraryState, store: Store) -> LibraryState:
    """Before the first update: find out what only the untouched library tells, and keep it from being unloaded, because
    the variables of all versions live there."""
    if len(state.versions) > 1:
        return state
    image = await asyncio.to_thread(store.image, state.home.version)
    objects = (await target.agent.list_objects()).objects
    name = next((it.name for it in objects if it.base == state.home.base), None)
    if name is None:
        raise Refused("the library was unloaded meanwhile")
    opened = await target.agent.open(name, _LAZY | _NOLOAD)
    if opened.base != state.home.base:
        await target.agent.close(opened.handle)
        raise Refused("two libraries of that name are loaded")
    resolvers = [it for it in image.symbols if it.is_defined and it.type == tables.STT_GNU_IFUNC]
    home = replace(state.home, indirect=await _resolve_all(target, opened.handle, resolvers))
    functions = [it for it in image.symbols if it.is_defined and it.type == tables.STT_FUNC and it.is_default]
    is_global = False
    for symbol in functions[:_PROBES]:
        try:
            address = await target.agent.resolve(0, symbol.name, symbol.version)
        except TargetError:
            continue
        if home.base <= address < home.base + image.size_in_memory:
            is_global = True
            break
    return replace(state, versions=(home,), is_global=is_global)


async def _resolve_all(target: Target, handle: int, resolvers: list[Symbol]) -> dict[str, int]:
    return {str(it): await target.agent.resolve(handle, it.name, it.version) for it in resolvers}


async def _load(
    target: Target, state: LibraryState, to: Version, path: Path, images: Images, analyst: Analyst, watch: _Watch
) -> LibraryState:
    """Open a version and relink it. Nothing of it runs yet."""
    references = await asyncio.to_thread(analyst.references, to)
    for through_proc in (False, True):
        with watch.step("open"):
            objects = await target.agent.list_objects()
            for dependency in hidden_dependencies(images[to], state.path, [it.name for it in objects.objects]):
                await target.agent.open(dependency, _NOW)
            opened = await target.agent.open(str(path), _NOW)
        loaded = LoadedVersion(to, opened.base, opened.handle)
        try:
            with watch.step("relink"):
                await _relink(target, state.with_version(loaded), loaded, images, references, through_proc)
            break
        except (Refused, WordChanged, ObjectsChanged):
            await target.agent.close(opened.handle)
            raise
        except TargetError:
            # pages that may not be made writable and executable again (MemoryDenyWriteExecute, SELinux)
            await target.agent.close(opened.handle)
            if through_proc:
                raise
    with watch.step("open"):
        if state.is_global:
            await target.agent.open(str(path), _NOW | _NOLOAD | _GLOBAL)
        resolvers = [it for it in images[to].symbols if it.is_defined and it.type == tables.STT_GNU_IFUNC]
        loaded = replace(loaded, indirect=await _resolve_all(target, loaded.handle, resolvers))
    return state.with_version(loaded)


async def _relink(
    target: Target,
    state: LibraryState,
    loaded: LoadedVersion,
    images: Images,
    references: References,
    through_proc: bool,
) -> None:
    image = images[loaded.version]
    by_name = image.relocations[
        (image.relocations["symbol"] != 0) & np.isin(image.relocations["type"], sorted(target.machine.slot_relocations))
    ]
    offsets = np.unique(by_name["offset"])
    for attempt in range(_ATTEMPTS):
        objects = await target.agent.list_objects()
        home = _home(target, state, images, objects)
        values = await read_words(target.agent, offsets + np.uint64(loaded.base))
        bound = dict(zip(offsets.tolist(), values.tolist(), strict=True))
        plan = relink(image, loaded.base, references, home, bound)
        mappings = process.mappings(target.pid, target.hello.thread)
        code = NO_SPANS if through_proc else spans_for_code(mappings, plan.halves["address"])
        transaction = Transaction(
            spans=np.concatenate([code, spans_for_words(mappings, plan.words["address"])]),
            words=plan.words,
            halves=plan.halves,
            record=encode_record(target.libraries | {state.path: state}),
            through_proc=through_proc,
        )
        try:
            await target.agent.commit(transaction, objects)
            return
        except ObjectsChanged:
            if attempt == _ATTEMPTS - 1:
                raise


def _home(target: Target, state: LibraryState, images: Images, objects: ObjectList) -> Home:
    owner = next((it for it in objects.objects if it.base == state.home.base), None)
    if owner is None:
        raise Refused("the library was unloaded meanwhile")
    offset = owner.tls_block - target.hello.thread_pointer if owner.tls_block else None
    return Home(images[state.home.version], state.home.base, owner.tls_module, offset)


async def _redirect(
    target: Target, state: LibraryState, to: Version, analysis: Analysis, images: Images
) -> tuple[LibraryState, int]:
    """Lead all calls to `to`, and look again until no slot is left behind: lazy binding goes on meanwhile."""
    after = state.redirected(to)
    switched = False
    moves = function_moves(state, images, to)
    for attempt in range(_ATTEMPTS):
        objects = await target.agent.list_objects()
        dynamics = await _dynamics(target, objects.objects)
        slots = await read_slots(target.agent, target.machine, list(dynamics), list(dynamics.values()))
        words = slot_words(slots, moves)
        if not switched:
            merged = await _merged_words(target, state, to, analysis, images, dynamics)
            own = await _own_data_words(target, state, to, analysis, images)
            words = np.concatenate([merged, symbol_table_words(state, images, to), words, own])
            words = words[np.sort(np.unique(words["address"], return_index=True)[1])]
        elif not len(words):
            return after, count_stale(slots, after, images, to)
        try:
            await _commit_words(target, objects, words, after)
            switched = True
            target.libraries[state.path] = after
        except (WordChanged, ObjectsChanged):
            if attempt == _ATTEMPTS - 1:
                if switched:
                    break
                raise
    return after, count_stale(slots, after, images, to)


async def _commit_words(target: Target, objects: ObjectList, words: Table, state: LibraryState) -> None:
    spans = spans_for_words(process.mappings(target.pid, target.hello.thread), words["address"])
    record = encode_record(target.libraries | {state.path: state})
    await target.agent.commit(Transaction(spans, words, NO_HALVES, record), objects)


async def _own_data_words(
    target: Target, state: LibraryState, to: Version, analysis: Analysis, images: Images
) -> Table:
    loaded, home = state.loaded(to), state.home
    assert loaded is not None
    if loaded == home or not analysis.references.may_be_incomplete:
        return NO_WORDS
    return await values_of_the_moment(target.agent, analysis.new, loaded.base, images[home.version], home.base)


async def _merged_words(
    target: Target,
    state: LibraryState,
    to: Version,
    analysis: Analysis,
    images: Images,
    dynamics: dict[LoadedObject, Dynamic],
) -> Table:
    """The changes to variables whose initial value is another one in the new version."""
    copies: dict[str, int] = {}
    for owner, dynamic in dynamics.items():
        found = await imported_names(target.agent, dynamic, frozenset({target.machine.copy}))
        copies.update((name, owner.base + offset) for name, offset in found)
    running, loaded = state.running, state.loaded(to)
    assert loaded is not None
    places = candidates(
        changed_words(analysis.old, analysis.new),
        (images[state.home.version], state.home.base),
        (analysis.old, running.base),
        (analysis.new, loaded.base),
        copies,
    )
    addresses = np.array([it.address for it in places], "<u8")
    order = np.argsort(addresses, kind="stable")
    live = np.zeros(len(places), "<u8")
    live[order] = await read_words(target.agent, addresses[order])
    return np.array(merge(places, live.tolist()), WORD)


async def _forget(target: Target, state: LibraryState, version: Version) -> None:
    """Close a version that was opened and never ran."""
    loaded = state.loaded(version)
    before = replace(state, versions=tuple(it for it in state.versions if it.version != version))
    assert loaded is not None
    target.libraries[state.path] = before
    objects = await target.agent.list_objects()
    await _commit_words(target, objects, NO_WORDS, before)
    await target.agent.close(loaded.handle)
    if state.is_global:
        await target.agent.close(loaded.handle)  # it was opened once more to make it global


async def sweep(target: Target, store: Store) -> int:
    """Look once more for slots that lead to versions that do not run any more; the number that was found and led on."""
    found = 0
    async with target.turn:
        for state in list(target.libraries.values()):
            if len(state.versions) < 2:
                continue
            images = {it.version: await asyncio.to_thread(store.image, it.version) for it in state.versions}
            objects = await target.agent.list_objects()
            dynamics = await _dynamics(target, objects.objects)
            slots = await read_slots(target.agent, target.machine, list(dynamics), list(dynamics.values()))
            words = slot_words(slots, function_moves(state, images, state.current))
            if len(words):
                await _commit_words(target, objects, words, state)
                found += len(words)
    return found
