"""Redirect: what leads to a version's functions besides their homes, once the version is complete.

A slot that is only called through leads to the version that runs, without the way by the home, which is right, too. A
function whose home cannot hold a jump is led on by all its slots and by the symbol tables.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from liveso.code import function_names
from liveso.compare.correspondence import SameFunction
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import constant_span
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table
from liveso.plan.address_map import EACH_THREAD
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.process import LoadedObject
from liveso.process.objects import Dynamic, Slots
from liveso.process.protocol import WORD
from liveso.store import Version

Images = Mapping[Version, Image]

_VALUE_OFFSET = tables.SYMBOL.fields["value"][1] if tables.SYMBOL.fields else 8
_CALLED = frozenset({0, tables.STT_FUNC})


def not_led_on(same: Sequence[SameFunction], homes: Table) -> list[SameFunction]:
    """The functions whose homes, HOME rows, hold no jump."""
    led = set(homes["at"].tolist())
    return [it for it in same if it.new not in led]


def symbol_places(state: LibraryState, images: Images, functions: Sequence[SameFunction]) -> list[tuple[int, int, int]]:
    """The values in the in-memory `.dynsym` of the loaded versions that are those of `functions` of the running one:
    the address of each, the load address that it is relative to, and the function's address in the new version."""
    names = {
        symbol.key: it.new for it in functions for symbol in _called(images[state.current]) if symbol.value == it.old
    }
    if not names:
        return []
    found = []
    for loaded in state.versions:
        image = images[loaded.version]
        table = loaded.base + image.tag(tables.DT_SYMTAB)
        for symbol in _called(image):
            if symbol.key in names:
                place = table + symbol.index * tables.SYMBOL.itemsize + _VALUE_OFFSET
                found.append((place, loaded.base, names[symbol.key]))
    return found


def _called(image: Image) -> Iterable[Symbol]:
    return (
        it
        for it in image.symbols
        if it.is_defined and it.section != tables.SHN_ABS and it.type in _CALLED and it.value != 0
    )


def chosen_moves(versions: Sequence[LoadedVersion], to: LoadedVersion) -> dict[int, int]:
    """What resolvers (ifunc) chose in earlier versions, by its address, with what they chose by the same name in `to`;
    not what is another one by another name."""
    found: dict[int, set[int]] = {}
    for loaded in versions:
        for name in loaded.indirect.keys() & to.indirect.keys() if loaded.version != to.version else ():
            found.setdefault(loaded.indirect[name], set()).add(to.indirect[name])
    return {old: min(new) for old, new in found.items() if len(new) == 1}


def versions_led_to(slots: Slots, state: LibraryState) -> list[LoadedVersion]:
    """The versions that slots lead to."""
    ordered = sorted((it for it in state.versions if it.size), key=lambda it: it.base)
    bases, ends = np.array([(it.base, it.base + it.size) for it in ordered], "<u8").reshape(-1, 2).T
    index = np.searchsorted(bases, slots.value, side="right").astype("<i8") - 1
    inside = (index >= 0) & (slots.value < ends[np.maximum(index, 0)]) if len(ordered) else index >= 0
    return [ordered[it] for it in distinct(index[inside]).tolist()]


def call_slots(dynamics: Mapping[LoadedObject, Dynamic], kind: int) -> Table:
    """The addresses of the slots that are only called through: `kind` is their relocation type."""
    found = [
        it.relocations["offset"][it.relocations["type"] == kind] + np.uint64(owner.base)
        for owner, it in dynamics.items()
    ]
    return distinct(np.concatenate([*found, np.zeros(0, "<u8")]))


def moved_slots(slots: Slots, moves: Mapping[int, int]) -> Table:
    """Changes to the slots that hold one of the addresses in `moves`."""
    if not moves:
        return np.zeros(0, WORD)
    old = np.array(sorted(moves), "<u8")
    new = np.array([moves[address] for address in old.tolist()], "<u8")
    index = np.minimum(np.searchsorted(old, slots.value), len(old) - 1)
    hits = (old[index] == slots.value) & (new[index] != slots.value)
    words = np.zeros(int(hits.sum()), WORD)
    words["address"] = slots.address[hits]
    words["expected"] = slots.value[hits]
    words["value"] = new[index[hits]]
    return words


def table_values(state: LibraryState, images: Images, to: Version) -> tuple[Table, Table]:
    """The words of constant tables, by address, sorted, and what each is to hold while version `to` runs: a table that
    several versions have in common may have another content in each."""
    image, loaded = images[to], state.loaded(to)
    assert loaded is not None
    constants, rows = constant_span(image), image.relocations
    inside = rows[
        (rows["type"] == image.machine.relative)
        & (rows["offset"] >= constants.start)
        & (rows["offset"] < constants.stop)
        & (rows["offset"] % image.machine.word == 0)
    ]
    places, index = np.unique(loaded.map.homes(inside["offset"]), return_index=True)
    return places.astype("<u8"), loaded.map.homes(inside["addend"])[index].astype("<u8")


def stale_functions(slots: Slots, state: LibraryState, images: Images, to: Version, homes: Table) -> list[str]:
    """The functions of versions that do not run any more which slots still lead to, by name or address, though no jump
    at a home in `homes` (HOME rows) leads on from there.

    PLT stubs, which unbound slots lead to, are no such code. The lists of initialisers and finalisers are no slots, nor
    is the data of a version whose variables live elsewhere, nor are its tables that do.
    """
    left = ~among(slots.value, homes["home"])
    for it in state.versions:
        left &= ~_is_unused(slots.address, it, images[it.version])
    found: dict[int, str] = {}
    for loaded in versions_led_to(slots, state):
        if loaded.version == to:
            continue
        image, is_stale = images[loaded.version], np.zeros(len(slots.value), np.bool_)
        for section in image.sections:
            if section.is_code and not section.name.startswith(".plt"):
                low, high = loaded.base + section.address, loaded.base + section.end
                is_stale |= left & (slots.value >= low) & (slots.value < high)
        names = {address: name for name, address in function_names(image).items()} if is_stale.any() else {}
        for value in distinct(slots.value[is_stale]).tolist():
            at = value - loaded.base
            found[value] = names.get(at, f"the function at {at:#x}").partition("@")[0]
    return [found[value] for value in sorted(found)]


def _is_unused(places: Table, loaded: LoadedVersion, image: Image) -> Table:
    """Which of these addresses lie where a version has no slots that anything reads."""
    ranges = [
        (loaded.base + it.address, loaded.base + it.end)
        for it in image.sections
        if it.name in (".init_array", ".fini_array")
    ]
    rows = loaded.map.stretches
    elsewhere = rows[(rows["start"] < EACH_THREAD) & (rows["home"] != rows["start"] + np.uint64(loaded.base))]
    ranges += [(loaded.base + start, loaded.base + end) for start, end, _home in elsewhere.tolist()]
    starts, ends = np.array([(0, 0), *sorted(ranges)], "<u8").T
    unused: Table = places < ends[np.searchsorted(starts, places, side="right") - 1]
    return unused
