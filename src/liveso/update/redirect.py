"""Redirect: lead all calls to the version that shall run, once it is complete."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from liveso.elf import Image, Symbol, tables
from liveso.elf.data import constant_span, data_layout
from liveso.elf.tables import Table
from liveso.store import Version
from liveso.target.objects import Slots
from liveso.target.protocol import WORD
from liveso.update.homes import address_of, table_address
from liveso.update.record import MANY_VERSIONS, LibraryState, LoadedVersion

Images = Mapping[Version, Image]

_VALUE_OFFSET = tables.SYMBOL.fields["value"][1] if tables.SYMBOL.fields else 8
_CALLED = frozenset({0, tables.STT_FUNC, tables.STT_GNU_IFUNC})


def symbol_table_words(state: LibraryState, images: Images, to: Version) -> Table:
    """Changes to the in-memory `.dynsym` of the loaded versions, so that ld.so itself resolves to version `to`: it
    finds each symbol in the first version that has it.

    `st_value` becomes the new address less the old load address, modulo the word (gABI, "Symbol Values").
    """
    return np.array(list(symbol_table_changes(state, images, to)), WORD)


def symbol_table_changes(state: LibraryState, images: Images, to: Version) -> Iterator[tuple[int, int, int]]:
    """The same one by one: address, value as it is and as it will be."""
    for loaded in state.versions:
        if loaded.introduces == ():
            continue
        image = images[loaded.version]
        table = loaded.base + image.tag(tables.DT_SYMTAB)
        introduced = None if loaded.introduces is None else frozenset(loaded.introduces)
        for symbol in image.symbols:
            if _is_called(symbol) and (introduced is None or str(symbol) in introduced):
                now = symbol.value
                if loaded.is_joined:
                    now = _symbol_value(state, images, loaded, symbol, state.current)
                value = _symbol_value(state, images, loaded, symbol, to)
                if now != value:
                    yield table + symbol.index * tables.SYMBOL.itemsize + _VALUE_OFFSET, now, value


def _is_called(symbol: Symbol) -> bool:
    return symbol.is_defined and symbol.section != tables.SHN_ABS and symbol.type in _CALLED and symbol.value != 0


def _symbol_value(state: LibraryState, images: Images, loaded: LoadedVersion, symbol: Symbol, current: Version) -> int:
    """What `symbol`, of the version `loaded`, holds while `current` runs. A function that is gone stays."""
    running = state.loaded(current)
    assert running is not None
    target = images[current].defined.get(symbol.key)
    if loaded.version == current or target is None:
        return symbol.value
    return (running.base + target.value - loaded.base) % (1 << 8 * images[current].machine.word)


def introduced_symbols(earlier: Iterable[LoadedVersion], image: Image, images: Images) -> tuple[str, ...]:
    """The symbols of a version that none of the versions `earlier`, of which the first one introduces all that it has,
    offers."""
    known: set[str] = set()
    for it in earlier:
        if it.introduces is None:
            known.update(str(symbol) for symbol in images[it.version].defined.values())
        known.update(it.introduces or ())
    return tuple(sorted({str(symbol) for symbol in image.defined.values()} - known))


def function_moves(
    state: LibraryState, images: Images, to: Version, leaving: Iterable[LoadedVersion]
) -> dict[int, int]:
    """Addresses of functions in the versions `leaving`, with the same function's address in version `to`.

    An address that two functions share, which are apart in `to`, is left out: only its name would tell.
    """
    moves: dict[int, int] = {}
    unclear: set[int] = set()
    target = state.loaded(to)
    assert target is not None
    for loaded in leaving:
        for old, new in _same_functions(loaded, target, images):
            if moves.setdefault(old, new) != new:
                unclear.add(old)
    return {old: new for old, new in moves.items() if old not in unclear}


def versions_led_to(slots: Slots, state: LibraryState, to: Version | None = None) -> list[LoadedVersion]:
    """The versions other than `to` that slots lead to: however many are loaded, these are few.

    What lies in a version that was left earlier and leads to that version itself does not count where there are many:
    all of it that has a counterpart was led on then.
    """
    ordered = sorted((it for it in state.versions if it.size), key=lambda it: it.base)
    bases = np.array([it.base for it in ordered], "<u8")
    ends = np.array([it.base + it.size for it in ordered], "<u8")
    leads_to, lies_in = _index_of(slots.value, bases, ends), _index_of(slots.address, bases, ends)
    counts = (leads_to != lies_in) if len(ordered) > MANY_VERSIONS else True
    hit = set(np.unique(leads_to[(leads_to >= 0) & counts]).tolist())
    present = set(np.unique(leads_to).tolist())
    always = {state.home.version, state.current}
    return [
        it
        for index, it in enumerate(ordered)
        if it.version != to and (index in hit or (it.version in always and index in present))
    ]


def _index_of(addresses: Table, starts: Table, ends: Table) -> Table:
    """Which of the ranges each address lies in; -1 for none."""
    if not len(starts):
        return np.full(len(addresses), -1, "<i8")
    index = np.searchsorted(starts, addresses, side="right").astype("<i8") - 1
    outside = (index < 0) | (addresses >= ends[np.maximum(index, 0)])
    index[outside] = -1
    return index


def _same_functions(old: LoadedVersion, new: LoadedVersion, images: Images) -> Iterator[tuple[int, int]]:
    offered = images[new.version].defined
    for key, symbol in images[old.version].defined.items():
        other = offered.get(key)
        if other is None or not _is_called(symbol) or not _is_called(other):
            continue
        if symbol.type == tables.STT_GNU_IFUNC:
            name = str(symbol)
            if name in old.indirect and name in new.indirect:
                yield old.indirect[name], new.indirect[name]
        else:
            yield old.base + symbol.value, new.base + other.value


def slot_words(slots: Slots, moves: dict[int, int]) -> Table:
    """Changes to the slots that hold one of the addresses in `moves`."""
    if not moves:
        return np.zeros(0, WORD)
    old = np.array(sorted(moves), "<u8")
    new = np.array([moves[address] for address in old.tolist()], "<u8")
    index = np.minimum(np.searchsorted(old, slots.value), len(old) - 1)
    hits = old[index] == slots.value
    words = np.zeros(int(hits.sum()), WORD)
    words["address"] = slots.address[hits]
    words["expected"] = slots.value[hits]
    words["value"] = new[index[hits]]
    return words


def table_values(state: LibraryState, images: Images, to: Version) -> tuple[Table, Table]:
    """The words of constant tables, by address, sorted, and what each is to hold while version `to` runs: a table
    that several versions have in common leads to the code of the one that runs."""
    image, loaded = images[to], state.loaded(to)
    assert loaded is not None
    constants, variables = constant_span(image), data_layout(image).span
    rows = image.relocations
    inside = rows[
        (rows["type"] == image.machine.relative)
        & (rows["offset"] >= constants.start)
        & (rows["offset"] < constants.stop)
        & (rows["offset"] % image.machine.word == 0)
    ]
    found = {}
    for offset, _type, _symbol, addend in inside.tolist():
        is_variable = variables and variables.start <= addend <= variables.stop
        value = address_of(loaded.homes, addend - variables.start) if is_variable else table_address(loaded, addend)
        found[table_address(loaded, offset)] = value
    places = sorted(found)
    return np.array(places, "<u8"), np.array([found[it] for it in places], "<u8")


def count_stale(slots: Slots, state: LibraryState, images: Images, to: Version) -> int:
    """How many slots still hold an address in the code of a version that does not run any more.

    PLT stubs, which unbound slots lead to, are no such code. The lists of initialisers and finalisers are no slots, nor
    is the data of a version whose variables live elsewhere, nor are its tables that do.
    """
    stale = np.zeros(len(slots.value), np.bool_)
    for loaded in versions_led_to(slots, state, to):
        for section in images[loaded.version].sections:
            if section.is_code and not section.name.startswith(".plt"):
                low, high = loaded.base + section.address, loaded.base + section.end
                stale |= (slots.value >= low) & (slots.value < high)
    places = slots.address[stale]
    owners = [it for it in state.versions if ((places >= it.base) & (places < it.base + it.size)).any()]
    return len(places) - sum(int(_is_unused(places, it, images).sum()) for it in owners)


def _is_unused(places: Table, loaded: LoadedVersion, images: Images) -> Table:
    """Which of these addresses lie where a version has no slots that anything reads."""
    image = images[loaded.version]
    unused = np.zeros(len(places), np.bool_)
    ranges = [
        (loaded.base + it.address, loaded.base + it.end)
        for it in image.sections
        if it.name in (".init_array", ".fini_array")
    ]
    ranges += [(loaded.base + it.start, loaded.base + it.end) for it in loaded.tables]
    start = loaded.base + data_layout(image).span.start
    ranges += [(start + it.start, start + it.end) for it in loaded.homes if it.address != start + it.start]
    for low, high in ranges:
        unused |= (places >= low) & (places < high)
    return unused
