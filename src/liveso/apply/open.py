"""Open a version in a target and relink it: nothing of it runs yet."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liveso.apply.descriptors import read_descriptors, static_function
from liveso.apply.target import (
    ATTEMPTS,
    NO_SPANS,
    NO_WORDS,
    Target,
    close,
    commit_words,
    dynamics_of,
    list_objects,
    record_of,
)
from liveso.code import panic_mark
from liveso.elf import Image, Symbol, tables
from liveso.elf.sets import among, distinct
from liveso.errors import Refused, TargetError
from liveso.plan.address_map import first_map
from liveso.plan.dependencies import hidden_dependencies
from liveso.plan.homes import InCommon, later_map, placement, shape_of
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.plan.redirect import Images, versions_led_to
from liveso.plan.relink import LeftOut, Surroundings, relink
from liveso.plan.spans import spans_for_code, spans_for_words
from liveso.plan.thread_locals import ThreadBlocks
from liveso.process import LoadedObject, ObjectList, ObjectsChanged, Opened, Transaction, WordChanged
from liveso.process.objects import Dynamic, Slots, dynamic_of_copy, imported_names, read_words, started_with
from liveso.store import Store, Version, own_tls_relocations
from liveso.verdict import PairAnalysis

_NOW, _NOLOAD, _GLOBAL = 2, 4, 0x100  # dlopen(3)
_AGENT_STACK = 256 * 1024  # bytes, live.c's STACK_SIZE: glibc puts a thread's static blocks at the end of its stack
_NO_MODULE = 0  # module IDs start at 1 (ELF TLS, 3.2)

Step = Callable[[str], AbstractContextManager[None]]
"""Takes the time of a step, by its name."""


async def learn_home(target: Target, state: LibraryState, store: Store) -> LibraryState:
    """Before the first update: find out what only the untouched library tells.

    No handle is taken: the program may unload the library, and then its finalisers must run in the program's thread. A
    library that can be unloaded does not offer the symbols of later versions to the whole process, because these stay
    for a moment when it goes.
    """
    if len(state.versions) > 1:
        return await asyncio.to_thread(_with_sizes, state, store)
    image = await asyncio.to_thread(store.image, state.home.version)
    dynamics = await dynamics_of(target, (await list_objects(target)).objects)
    owner = next((it for it in dynamics if it.base == state.home.base), None)
    if owner is None:
        raise Refused("the library was unloaded meanwhile")
    chosen = await _chosen_functions(target, state.home, image, dynamics)
    home = replace(
        state.home,
        map=first_map(image, state.home.base, owner.tls_module),
        indirect=chosen,
        size=image.size_in_memory,
    )
    started = await started_with(target.agent, dynamics)
    return replace(state, versions=(home,), is_global=owner in started)


def _with_sizes(state: LibraryState, store: Store) -> LibraryState:
    """The record of an earlier liveso does not have the sizes."""
    versions = (it if it.size else replace(it, size=store.image(it.version).size_in_memory) for it in state.versions)
    return replace(state, versions=tuple(versions))


async def _chosen_functions(
    target: Target, home: LoadedVersion, image: Image, dynamics: dict[LoadedObject, Dynamic]
) -> dict[str, int]:
    """The functions that the home's resolvers (ifunc) chose, as the slots tell that were bound to them: resolving them
    anew would take a reference to a library that the program may want to unload."""
    names: dict[str, list[Symbol]] = {}
    for symbol in _resolvers(image):
        names.setdefault(symbol.name, []).append(symbol)
    found: dict[str, int] = {}
    code = [range(it.address, it.end) for it in image.sections if it.is_code and not it.name.startswith(".plt")]
    for owner, dynamic in dynamics.items() if names else ():
        bound = await imported_names(target.agent, dynamic, target.machine.slot_relocations)
        places = sorted((offset + owner.base, name) for name, offset in bound if len(names.get(name, ())) == 1)
        values = await read_words(target.agent, np.array([place for place, _name in places], "<u8"))
        for (_place, name), value in zip(places, values.tolist(), strict=True):
            if any(value - home.base in it for it in code):
                found[str(names[name][0])] = value
    return found


def _resolvers(image: Image) -> list[Symbol]:
    return [it for it in image.symbols if it.is_defined and it.type == tables.STT_GNU_IFUNC]


@dataclass(frozen=True, slots=True)
class Opening:
    """A version that is to be opened: what is known of its code, and what it has in common with the version that runs.
    `imports` are addresses that the dynamic linker does not find, by the rows of their relocations."""

    to: Version
    analysis: PairAnalysis
    common: InCommon
    imports: dict[int, int]

    @property
    def has_new_thread_locals(self) -> bool:
        return self.common.has_new_thread_locals(self.analysis)


async def load(
    target: Target, state: LibraryState, opening: Opening, store: Store, images: Images, step: Step
) -> LibraryState:
    """Open the prepared copy of a version, and relink it."""
    to, running = opening.to, state.running
    left_out = LeftOut(opening.imports)
    for through_proc in (False, True):
        with step("open"):
            path, opened = await _open(target, state, opening, store, images[to], left_out)
            own = await _rows_bound_to_home(target, state, images, to, opened)
            if own and not state.is_global:
                await close(target, opened.handle)
                left_out = LeftOut(opening.imports, own)
                path, opened = await _open(target, state, opening, store, images[to], left_out)
        target.copies[opened.base] = dynamic_of_copy(
            images[to], opened.base, left_out.rows.union(own_tls_relocations(images[to]))
        )
        try:
            with step("relink"):
                module = await _module_of(target, opened) if opening.has_new_thread_locals else _NO_MODULE
                addresses = later_map(shape_of(images[to]), opened.base, module, opening.common, running.map)
                loaded = LoadedVersion(to, addresses, opened.handle, size=images[to].size_in_memory)
                await _relink(target, state.with_version(loaded), running, opening, images, left_out, through_proc)
            break
        except (Refused, WordChanged, ObjectsChanged):
            await close(target, opened.handle)
            raise
        except TargetError:
            # pages that may not be made writable and executable again (MemoryDenyWriteExecute, SELinux)
            await close(target, opened.handle)
            if through_proc:
                raise
    with step("open"):
        if state.is_global:
            await target.agent.open(str(path), _NOW | _NOLOAD | _GLOBAL)
        resolvers = _resolvers(images[to])
        indirect = {str(it): await target.agent.resolve(loaded.handle, it.name, it.version) for it in resolvers}
    after = state.with_version(replace(loaded, indirect=indirect))
    target.libraries = target.libraries | {state.path: after}
    return after


async def _module_of(target: Target, opened: Opened) -> int:
    """The module ID of a version that has a thread-local block of its own."""
    return _module_at(opened.base, await target.agent.list_objects())


def _module_at(base: int, objects: ObjectList) -> int:
    return next((it.tls_module for it in objects.objects if it.base == base), _NO_MODULE)


async def _rows_bound_to_home(
    target: Target, state: LibraryState, images: Images, to: Version, opened: Opened
) -> frozenset[int]:
    """The relocations of a version by its own symbols that the dynamic linker took from the home's symbol table, which
    may lead to any version: it would keep the home loaded as long as the version is, however often the program unloads
    it."""
    image = images[to]
    kinds = [target.machine.absolute, target.machine.glob_dat, target.machine.jump_slot]
    rows = np.flatnonzero((image.relocations["symbol"] != 0) & np.isin(image.relocations["type"], kinds))
    offsets = image.relocations["offset"][rows]
    order = np.argsort(offsets, kind="stable")
    values = await read_words(target.agent, offsets[order] + np.uint64(opened.base))
    found = Slots(offsets[order] + np.uint64(opened.base), values)
    earlier = [(it.base, it.base + it.size) for it in versions_led_to(found, state)]
    return frozenset(
        row
        for row, value in zip(rows[order].tolist(), values.tolist(), strict=True)
        if any(low <= value < high for low, high in earlier)
        and _is_plain(image.symbols[int(image.relocations["symbol"][row])])
    )


def _is_plain(symbol: Symbol) -> bool:
    return symbol.is_defined and symbol.type != tables.STT_GNU_IFUNC and symbol.binding != tables.STB_GNU_UNIQUE


async def _open(
    target: Target, state: LibraryState, opening: Opening, store: Store, image: Image, left_out: LeftOut
) -> tuple[Path, Opened]:
    """Open the prepared copy. Dependencies that only the library's own folder leads to are opened first."""
    path = await asyncio.to_thread(
        store.prepared,
        opening.to,
        os.path.basename(state.path),
        left_out.rows,
        keeps_block=opening.has_new_thread_locals,
    )
    objects = await list_objects(target, may_be_old=True)
    hidden = hidden_dependencies(image, state.path, [it.name for it in objects.objects])
    found = [await target.agent.open(dependency, _NOW) for dependency in hidden]
    try:
        return path, await target.agent.open_copy(str(path), _NOW)
    finally:
        target.listed = None
        await close(target, *(it.handle for it in found))


async def _relink(
    target: Target,
    state: LibraryState,
    running: LoadedVersion,
    opening: Opening,
    images: Images,
    left_out: LeftOut,
    through_proc: bool,
) -> None:
    loaded, image = state.loaded(opening.to), images[opening.to]
    assert loaded is not None
    places = placement(opening.common, running.map, loaded.map)
    by_name = image.relocations[
        (image.relocations["symbol"] != 0) & np.isin(image.relocations["type"], sorted(target.machine.slot_relocations))
    ]
    offsets = distinct(by_name["offset"])
    offsets = offsets[~among(offsets, image.relocations["offset"][sorted(left_out.rows)])]
    analysis = opening.analysis
    first_mark = await asyncio.to_thread(_first_panic_mark, state, loaded, images) if analysis.panic_mark else None
    for attempt in range(ATTEMPTS):
        objects = await list_objects(target, may_be_old=attempt == 0)
        around = replace(await _surroundings(target, state, objects, loaded, images), panic_mark=first_mark)
        values = await read_words(target.agent, offsets + np.uint64(loaded.base))
        bound = dict(zip(offsets.tolist(), values.tolist(), strict=True))
        plan = relink(image, analysis, places, around, bound, left_out)
        changed = np.concatenate([plan.halves["address"], plan.words["address"]])
        protections = await target.agent.protections(changed)
        code = NO_SPANS if through_proc else spans_for_code(protections, plan.halves["address"])
        transaction = Transaction(
            spans=np.concatenate([code, spans_for_words(protections, plan.words["address"])]),
            words=plan.words,
            halves=plan.halves,
            record=record_of(target, target.libraries | {state.path: state}),
            through_proc=through_proc,
        )
        try:
            await target.agent.commit(transaction, objects)
            return
        except ObjectsChanged:
            if attempt == ATTEMPTS - 1:
                raise


def _first_panic_mark(state: LibraryState, loaded: LoadedVersion, images: Images) -> int | None:
    """The mark that all versions before `loaded` know their panics by."""
    for it in state.versions:
        found = panic_mark(images[it.version]) if it.version != loaded.version else None
        if found:
            return it.base + found.address
    return None


async def _surroundings(
    target: Target, state: LibraryState, objects: ObjectList, loaded: LoadedVersion, images: Images
) -> Surroundings:
    owner = next((it for it in objects.objects if it.base == state.home.base), None)
    if owner is None:
        raise Refused("the library was unloaded meanwhile")
    distances = {it.tls_module: it.tls_block - target.hello.thread_pointer for it in objects.objects if it.tls_block}
    # of the agent's own mapping, static blocks are the only ones; others are allocated anew for each thread
    side = 1 if target.machine.has_blocks_above else -1
    # where the thread pointer is the end of what glibc has there of its own, the first one begins at it (RISC-V)
    static = {module: it for module, it in distances.items() if 0 <= side * it < _AGENT_STACK}
    versions = tuple((it.base, it.base + it.size) for it in state.versions)
    agent, module, function = target.agent, _module_at(loaded.base, objects), 0
    descriptors = await read_descriptors(agent, images[loaded.version], loaded.base, module)
    if descriptors and owner.tls_module in static:
        function = await static_function(agent, state.home, images[state.home.version], static[owner.tls_module])
    return Surroundings(versions, ThreadBlocks(owner.tls_module, static, descriptors, function))


async def forget(target: Target, state: LibraryState, version: Version) -> None:
    """Close a version that was opened and never ran."""
    loaded = state.loaded(version)
    assert loaded is not None
    before = replace(state, versions=tuple(it for it in state.versions if it.version != version))
    await commit_words(target, await target.agent.list_objects(), NO_WORDS, [before])
    await give_back(target, state, [loaded])


async def give_back(target: Target, state: LibraryState, versions: Sequence[LoadedVersion]) -> None:
    """Close versions that `load` has opened: one that was made global is opened twice."""
    await close(target, *(it.handle for it in versions for _time in range(2 if state.is_global else 1)))
