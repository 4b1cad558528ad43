"""A target that is being served, and what every step of an update does with it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.machine import Machine
from liveso.plan.islands import ISLAND_SIZE
from liveso.plan.jumps import led_to, version_at
from liveso.plan.record import LibraryState, LoadedVersion, encode_record
from liveso.plan.recorded import Spans, decode_record
from liveso.plan.spans import spans_for_words
from liveso.process import Agent, Hello, LoadedObject, ObjectList, Transaction
from liveso.process.objects import Dynamic, read_dynamic
from liveso.process.protocol import HALF, SPAN, WORD
from liveso.roots import root_of
from liveso.store import Version

ATTEMPTS = 25  # at a commit that objects or words which change meanwhile get in the way of

_MANY_VERSIONS = 16

NO_WORDS = np.zeros(0, WORD)
NO_HALVES = np.zeros(0, HALF)
NO_SPANS = np.zeros(0, SPAN)


@dataclass
class Target:
    """A target that is being served, on behalf of `user`. Its files are below `root` (liveso.roots). `libraries` are
    those whose versions are known, by path; `removed` is how many objects it had unloaded when its libraries were
    learned, and `listed` its objects when they were asked for last. `dynamics` is what is known of them, `copies` of
    prepared copies that were just opened, by load address."""

    pid: int
    user: int
    agent: Agent
    hello: Hello
    machine: Machine
    system_call_filters: int
    libraries: dict[str, LibraryState] = field(default_factory=dict)
    dynamics: dict[LoadedObject, Dynamic] = field(default_factory=dict)
    copies: dict[int, Dynamic] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_own_malloc: bool | None = None
    removed: int = 0
    listed: ObjectList | None = None
    root: str = ""


def record_of(target: Target, libraries: Mapping[str, LibraryState]) -> bytes:
    """The record that the target is to keep: by the paths that its processes know, as children of fork(2) have it."""
    return encode_record({it.path.removeprefix(target.root): it for it in libraries.values()})


def take_record(target: Target, content: bytes, spans: Spans) -> None:
    """Take in the record that the target kept. Raises TargetError where it is none."""
    found = decode_record(content, spans)
    if any(map(root_of, found)):
        raise TargetError("the target's record of its updates names files of another process")
    target.libraries = {target.root + path: replace(it, path=target.root + path) for path, it in found.items()}


async def dynamics_of(target: Target, objects: Sequence[LoadedObject]) -> dict[LoadedObject, Dynamic]:
    """The dynamic sections of `objects`, read once for each that is loaded."""
    known = target.dynamics
    kept = {it: known[it] for it in objects if it in known}
    kept |= {it: target.copies.pop(it.base) for it in objects if it not in kept and it.base in target.copies}
    missing = [it for it in objects if it not in kept]
    if missing:
        kept.update(zip(missing, await read_dynamic(target.agent, target.machine, missing), strict=True))
    known.update(kept)
    return kept


def take_over(target: Target, kin: Target, objects: Iterable[LoadedObject]) -> None:
    """What was read of the same files at the same addresses in `kin`, whose user is the same, is true of these objects
    of the target, too."""
    known = {_place(it): dynamic for it, dynamic in kin.dynamics.items()}
    for it in objects:
        if it not in target.dynamics and _place(it) in known:
            target.dynamics[it] = known[_place(it)]


def _place(it: LoadedObject) -> tuple[str, int, int, int]:
    """What is the same in kin: each agent's thread has a TLS block of its own."""
    return it.name, it.base, it.headers, it.header_count


def prepared_copies(target: Target) -> frozenset[int]:
    """The load addresses of all versions after the first."""
    return frozenset(it.base for state in target.libraries.values() for it in state.versions[1:])


def bound_copies(target: Target) -> frozenset[int]:
    """The load addresses of the versions that do not run, all of whose symbols were bound when they were opened."""
    states = target.libraries.values()
    return frozenset(it.base for state in states for it in state.versions[1:] if it.version != state.current)


def in_use(target: Target, objects: Iterable[LoadedObject], coming: frozenset[Version]) -> list[LoadedObject]:
    """The objects without those later versions of libraries with many that another one has followed: an update must
    not take longer with each one that was before it, and what still runs there gets on by the homes of functions."""
    states = [it for it in target.libraries.values() if len(it.versions) > _MANY_VERSIONS]
    followed = {it.base for state in states for it in state.versions[1:] if it.version not in {state.current, *coming}}
    return [it for it in objects if it.base not in followed]


async def warm(target: Target) -> None:
    """Read ahead what every update of the target needs."""
    async with target.turn:
        await dynamics_of(target, (await list_objects(target)).objects)


class LibraryUnloaded(TargetError):
    """The target unloaded objects since its libraries were learned: another one may lie at a library's address."""


async def list_objects(target: Target, *, may_be_old: bool = False) -> ObjectList:
    """The loaded objects, among which all of the target's libraries still are. Raises LibraryUnloaded.

    They `may_be_old` where nothing but a commit depends on them, which finds out (ObjectsChanged)."""
    objects = target.listed
    if not may_be_old or objects is None or objects.removed != target.removed:
        objects = target.listed = await target.agent.list_objects()
    if objects.removed != target.removed:
        raise LibraryUnloaded("a library was unloaded meanwhile")
    return objects


async def running_version(target: Target, state: LibraryState) -> LoadedVersion:
    """The version that runs, as the jumps at the homes of functions tell, whatever the record says: a daemon may have
    died before it wrote there what it had done."""
    by_record = state.running
    for it in (by_record, *(it for it in reversed(state.versions[1:]) if it != by_record)):
        rows = it.map.entries
        if len(rows):
            place = int(rows["place"][0])
            (content,) = await target.agent.read([(place, target.machine.jump_size)])
            if await _version_led_to(target, state, led_to(place, content, target.machine)) == it:
                return it
    return state.home if any(it.map.functions for it in state.versions) else by_record


async def _version_led_to(target: Target, state: LibraryState, address: int) -> LoadedVersion | None:
    """The version that a jump to `address` leads to, which may be that of an island."""
    found, jump = version_at(state, address), target.machine.jump
    if found is None and jump is not None and jump.led_on is not None:
        (content,) = await target.agent.read([(address, ISLAND_SIZE)])
        found = version_at(state, jump.led_on(np.frombuffer(content, "<u8").tolist()) or 0)
    return found


async def close(target: Target, *handles: int) -> None:
    """Close what the agent opened: what is unloaded with it is none of the target's libraries."""
    if not handles:
        return
    before = (await target.agent.list_objects()).removed
    for handle in handles:
        await target.agent.close(handle)
    target.removed += (await target.agent.list_objects()).removed - before
    target.listed, target.copies = None, {}


async def commit_words(
    target: Target,
    objects: ObjectList,
    words: Table,
    states: Iterable[LibraryState],
    coming: Iterable[LibraryState] = (),
) -> None:
    """Exchange words of the target, which from then on remembers `states`, or in their place those that are `coming`
    and may be in force when the record is read, or not."""
    protections = await target.agent.protections(words["address"])
    spans = spans_for_words(protections, words["address"])
    after = target.libraries | {it.path: it for it in states}
    record = record_of(target, after | {it.path: it for it in coming})
    transaction = Transaction(spans, words, NO_HALVES, record, is_used=True)
    await target.agent.commit(transaction, objects)
    target.libraries = after  # also where pages stayed writable that were not: it is in force
