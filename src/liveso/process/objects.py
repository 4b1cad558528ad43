"""The slots of the loaded objects, found in the target's own memory: what ld.so relocated, whatever is on disk now."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

import numpy as np

from liveso.elf import Image, tables
from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.machine import Machine
from liveso.process.agent import Agent, LoadedObject
from liveso.process.pages import pages_of, read_pages

_LARGEST_TABLE = 1 << 28  # bytes


@dataclass(frozen=True)
class Dynamic:
    """What an object's dynamic section says. `relocations` has relative offsets; `tags` absolute addresses. `needed`
    are the names of the libraries that it depends on (DT_NEEDED), as offsets into its strings. `slots` are the offsets
    of its slots, and `blank_slots` those of relocations without a type; `has_copies` says whether variables of other
    objects were copied into it."""

    tags: dict[int, int]
    needed: tuple[int, ...]
    relocations: Table
    slots: Table
    blank_slots: Table
    has_copies: bool


async def read_dynamic(agent: Agent, machine: Machine, objects: list[LoadedObject]) -> list[Dynamic]:
    """The dynamic sections and relocation tables of `objects`, in three rounds of reading for all of them."""
    heads = await agent.read((it.headers, it.header_count * tables.SEGMENT.itemsize) for it in objects)
    places = []
    for it, head in zip(objects, heads, strict=True):
        segments = np.frombuffer(head, tables.SEGMENT)
        dynamic = segments[segments["type"] == tables.PT_DYNAMIC]
        size = int(dynamic[0]["memory_size"]) if len(dynamic) else 0
        places.append((it.base + int(dynamic[0]["address"]) if size else it.headers, size))
    sections = [_tags(content, it.base) for it, content in zip(objects, await agent.read(places), strict=True)]
    wanted = [
        (tags.get(address, 0), tags.get(size, 0))
        for tags, _needed in sections
        for address, size in (
            (tables.DT_RELA, tables.DT_RELASZ),
            (tables.DT_JMPREL, tables.DT_PLTRELSZ),
            (tables.DT_RELR, tables.DT_RELRSZ),
        )
    ]
    if any(size > _LARGEST_TABLE for _address, size in wanted):
        raise TargetError("a relocation table is larger than any library's")
    content = iter(await agent.read((address, size) for address, size in wanted if size))
    parts = [next(content) if size else b"" for _address, size in wanted]
    found = []
    for index, (tags, needed) in enumerate(sections):
        found.append(_dynamic(tags, needed, _relocations(machine, *parts[3 * index : 3 * index + 3]), machine))
    return found


def dynamic_of_copy(image: Image, base: int, blank: Collection[int]) -> Dynamic:
    """What `read_dynamic` reads of the prepared copy of `image` that is loaded at `base`. Its relocations in the rows
    `blank` of the image's table have no type."""
    tags, needed = _tags(image.dynamic[image.dynamic["tag"] != tables.DT_SONAME].tobytes(), base)
    relocations = image.relocations.copy()
    relocations["type"][sorted(blank)] = image.machine.none
    return _dynamic(tags, needed, relocations, image.machine)


def _dynamic(tags: dict[int, int], needed: tuple[int, ...], relocations: Table, machine: Machine) -> Dynamic:
    kinds, offsets = relocations["type"], relocations["offset"]
    is_word = offsets % machine.word == 0
    slots = offsets[np.isin(kinds, sorted(machine.slot_relocations)) & is_word]
    has_copies = bool((kinds == machine.copy).any())
    return Dynamic(tags, needed, relocations, slots, offsets[(kinds == machine.none) & is_word], has_copies)


_ADDRESSES = frozenset({tables.DT_RELA, tables.DT_JMPREL, tables.DT_RELR, tables.DT_SYMTAB, tables.DT_STRTAB})


def _tags(content: bytes, base: int) -> tuple[dict[int, int], tuple[int, ...]]:
    """Dynamic entries; ld.so has made some of the addresses absolute already, in place (not where it may not write)."""
    found: dict[int, int] = {}
    needed = []
    for tag, value in np.frombuffer(content, tables.DYNAMIC).tolist():
        if tag == tables.DT_NULL:
            break
        if tag == tables.DT_NEEDED:
            needed.append(value)
        found.setdefault(tag, value + base if tag in _ADDRESSES and value < base else value)
    return found, tuple(needed)


def _relocations(machine: Machine, rela: bytes, plt: bytes, relr: bytes) -> Table:
    # `-z combreloc` lets DT_RELASZ include the PLT's part on some machines: the same slot twice does no harm
    places = tables.decode_relr(np.frombuffer(relr, "<u8"))
    packed = tables.relative_relocations(places, np.zeros(len(places), "<i8"), machine.relative)
    return np.concatenate(
        [
            np.frombuffer(rela, tables.RELOCATION),
            np.frombuffer(plt, tables.RELOCATION),
            packed.astype(tables.RELOCATION),
        ]
    )


@dataclass(frozen=True)
class Slots:
    """Words in the target that hold addresses of functions or variables: `address` and `value`, absolute."""

    address: Table
    value: Table


def slot_addresses(dynamics: Mapping[LoadedObject, Dynamic], prepared: Container[int]) -> Table:
    """The sorted addresses of all slots of the objects in `dynamics`.

    `prepared` are the load addresses of prepared copies. These have relocations without a type for the slots that
    relinking filled in place of the dynamic linker.
    """
    addresses = [it.slots + np.uint64(owner.base) for owner, it in dynamics.items()]
    addresses += [it.blank_slots + np.uint64(owner.base) for owner, it in dynamics.items() if owner.base in prepared]
    every: Table = distinct(np.concatenate([*addresses, np.zeros(0, "<u8")]))
    return every


async def read_words(agent: Agent, addresses: Table) -> Table:
    """The aligned words at some addresses, read page by page."""
    return (await read_pages(agent, pages_of(addresses))).words(addresses)


async def imported_names(agent: Agent, it: Dynamic, kinds: frozenset[int] | None = None) -> list[tuple[str, int]]:
    """The names that an object's relocations refer to, with the relocation's offset; of the types `kinds` if given."""
    rows = it.relocations[it.relocations["symbol"] != 0]
    if kinds is not None:
        rows = rows[np.isin(rows["type"], sorted(kinds))]
    if not len(rows) or tables.DT_SYMTAB not in it.tags or tables.DT_STRTAB not in it.tags:
        return []
    count, size = int(rows["symbol"].max()) + 1, _strings_size(it)
    if count * tables.SYMBOL.itemsize > _LARGEST_TABLE:
        raise TargetError("a symbol table is larger than any library's")
    symbols, strings = await agent.read(
        [(it.tags[tables.DT_SYMTAB], count * tables.SYMBOL.itemsize), (it.tags[tables.DT_STRTAB], size)]
    )
    names = np.frombuffer(symbols, tables.SYMBOL)["name"]
    return [
        (_string(strings, int(names[index])), offset)
        for offset, index in zip(rows["offset"].tolist(), rows["symbol"].tolist(), strict=True)
    ]


async def started_with(agent: Agent, dynamics: dict[LoadedObject, Dynamic]) -> frozenset[LoadedObject]:
    """The objects that the program needs, directly or by way of others: these are never unloaded."""
    places = ((it.tags.get(tables.DT_STRTAB, 0), _strings_size(it)) for it in dynamics.values())
    strings = dict(zip(dynamics, await agent.read(places), strict=True))
    by_name: dict[str, LoadedObject] = {}
    for it, dynamic in dynamics.items():
        names = [it.name.rpartition("/")[2]]
        if tables.DT_SONAME in dynamic.tags:
            names.append(_string(strings[it], dynamic.tags[tables.DT_SONAME]))
        for name in names:
            by_name.setdefault(name, it)
    found: set[LoadedObject] = set()
    waiting = [it for it in dynamics if not it.name][:1]
    while waiting:
        it = waiting.pop()
        if it not in found:
            found.add(it)
            names = [_string(strings[it], offset).rpartition("/")[2] for offset in dynamics[it].needed]
            waiting.extend(by_name[name] for name in names if name in by_name)
    return frozenset(found)


def _strings_size(it: Dynamic) -> int:
    size = it.tags.get(tables.DT_STRSZ, 0) if tables.DT_STRTAB in it.tags else 0
    if size > _LARGEST_TABLE:
        raise TargetError("a symbol table is larger than any library's")
    return size


def _string(strings: bytes, start: int) -> str:
    return strings[start : strings.find(b"\0", start)].decode("utf-8", "replace")
