"""Relink the references of a version to its thread-local variables, which live in the blocks that threads have."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from liveso.code import ThreadLocalReferences
from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.address_map import EACH_THREAD, AddressMap, block_start, in_block
from liveso.plan.displacements import displacements
from liveso.plan.homes import Placement
from liveso.process.protocol import HALF
from liveso.store import own_descriptors, own_tls_relocations, room_for_modules

Words = list[tuple[int, int, int]]
"""Words to change: address, present value, new value."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A TLS descriptor as the dynamic linker made it for a variable of the version that is opened: the `function` in
    its first word, and its second, the address of a pair of module and place, which are here, too,
    with the `generation` of modules that glibc keeps behind them."""

    function: int
    pair: int
    module: int
    place: int
    generation: int


@dataclass(frozen=True, slots=True)
class ThreadBlocks:
    """The thread-local blocks of a target: `module` is the module ID of the version that the target loaded by itself;
    `static` are the distances from the thread pointer of the blocks that have a fixed one, in bytes, by module ID.
    `descriptors` are those of the version that is opened, by their offsets; `static_function` stands in the first word
    of descriptors for static blocks, whose second is the variable's distance from the thread pointer; 0 where it is not
    known.
    """

    module: int
    static: dict[int, int]
    descriptors: Mapping[int, Descriptor] = field(default_factory=dict)
    static_function: int = 0

    def distance(self, module: int, place: int, word: int) -> int | None:
        """From the thread pointer to a place in a module's block, as `word` bytes hold it; None where it has no fixed
        one."""
        return (self.static[module] + place) % (1 << 8 * word) if module in self.static else None

    def static_descriptor(self, module: int, place: int, word: int) -> tuple[int, int] | None:
        """The two words of a descriptor that leads to a place at a fixed distance, where there can be one."""
        distance = self.distance(module, place, word) if self.static_function else None
        return None if distance is None else (self.static_function, distance)


def relink_thread_locals(
    new: Image, references: ThreadLocalReferences, placement: Placement, blocks: ThreadBlocks
) -> tuple[Words, Table]:
    """The words and the displacements to change in `new`. Raises Refused where that cannot be done completely."""
    base, first = placement.map.base, block_start(blocks.module) - EACH_THREAD
    parts = placement.map.parts(EACH_THREAD, EACH_THREAD + new.block_size)
    is_moved = any(it.home != first + it.start for it in parts)
    if is_moved and references.unclear:
        raise Refused(
            f"its code at {references.unclear[0]:#x} may refer to a thread-local variable that moved; restart the "
            "program to get it"
        )
    words = _slot_words(new, references, placement.map, blocks)
    words += _descriptor_words(new, references, placement.map, blocks)
    if not is_moved:
        return words, np.zeros(0, HALF)
    led_to = {it.place: in_block(placement.led_to(it.place, EACH_THREAD + it.offset)) for it in references.accesses}
    rows = references.table[np.isin(references.table["place"], sorted(led_to))]
    places = np.array([led_to[place][1] for place in rows["place"].tolist()], "<i8")
    modules = _module_of_each_site(references, led_to, blocks)
    sites = references.sites[np.isin(references.sites["place"], sorted(modules))]
    wanted = [(modules[place], target in blocks.descriptors) for place, target in sites[["place", "target"]].tolist()]
    asked_by = _rooms(new, wanted)
    asked = np.array([asked_by[it] for it in wanted], "<i8")
    for (module, is_descriptor), room in asked_by.items():
        filling = _descriptor_of(module, base + room, blocks, new.machine.word) if is_descriptor else (module, 0)
        words += [(base + room + index * new.machine.word, 0, value) for index, value in enumerate(filling)]
    return words, np.concatenate([displacements(rows, base, places + base), displacements(sites, base, asked + base)])


def _slot_words(new: Image, references: ThreadLocalReferences, loaded: AddressMap, blocks: ThreadBlocks) -> Words:
    """The words of slots (ELF TLS, 3.4.6). The dynamic linker left them as they are in the file: the prepared copy has
    no relocations for them."""
    machine, words = new.machine, []
    for row in own_tls_relocations(new):
        offset, kind, index, _addend = new.relocations[row].item()
        if kind == machine.tls_descriptor:
            continue
        if offset in references.slots.modules:
            words.append((offset, blocks.module))
            continue
        pair = offset - machine.word if kind == machine.tls_offset else offset
        at = references.slots.variables.get(pair)
        if at is None:
            raise Refused(f"its slot at {offset:#x} leads to a thread-local variable that cannot be told")
        module, place = in_block(loaded.home(EACH_THREAD + at))
        stored = (place - machine.block_bias) % (1 << 8 * machine.word)
        if kind == machine.tls_module:
            words.append((offset, module))
            if index == 0:  # the second word has no relocation
                words.append((offset + machine.word, stored))
        elif kind == machine.tls_offset:
            words.append((offset, stored))
        elif (distance := blocks.distance(module, place, machine.word)) is not None:
            words.append((offset, distance))
        else:
            raise Refused("its thread-local variables have no fixed place in this process; restart the program")
    return [(loaded.base + offset, new.word_at(offset), value) for offset, value in words]


def _descriptor_words(new: Image, references: ThreadLocalReferences, loaded: AddressMap, blocks: ThreadBlocks) -> Words:
    """The words of descriptors, or of the pairs of module and place that they lead to."""
    words, word = [], new.machine.word
    for row in own_descriptors(new):
        offset = int(new.relocations["offset"][row])
        is_block = offset in references.slots.modules
        at = 0 if is_block else references.slots.variables.get(offset)
        made = blocks.descriptors.get(offset)
        if made is None or at is None:
            raise Refused(f"its TLS descriptor at {offset:#x} is none that liveso knows; restart the program to get it")
        module, place = (blocks.module, 0) if is_block else in_block(loaded.home(EACH_THREAD + at))
        start, before = loaded.base + offset, (made.function, made.pair)
        after = blocks.static_descriptor(module, place, word)
        if after is None:
            start, before, after = made.pair, (made.module, made.place), (module, place)
        words += [(start, before[0], after[0]), (start + word, before[1], after[1])]
    return words


def _module_of_each_site(
    references: ThreadLocalReferences, led_to: dict[int, tuple[int, int]], blocks: ThreadBlocks
) -> dict[int, int]:
    """The module whose block the code at each site must ask for, where that is not the home's."""
    found: dict[int, set[int]] = defaultdict(set)
    for it in references.accesses:
        for site in it.sites:
            found[site].add(led_to[it.place][0])
    for site, modules in found.items():
        if len(modules) > 1:
            raise Refused(
                f"its code at {site:#x} asks once for thread-local variables that live in several blocks; restart the "
                "program to get it"
            )
    return {site: module for site, (module,) in found.items() if module != blocks.module}


def _rooms(new: Image, wanted: list[tuple[int, bool]]) -> dict[tuple[int, bool], int]:
    """Room for each module that is asked for, and whether by a descriptor, by its address relative to the load
    address."""
    room, asked = room_for_modules(new), sorted(set(wanted))
    if len(asked) > len(room):
        raise Refused("its thread-local variables live in too many blocks; restart the program to get it")
    return dict(zip(asked, room, strict=False))


def _descriptor_of(module: int, room: int, blocks: ThreadBlocks, word: int) -> tuple[int, ...]:
    """The words of a descriptor for a module's block, at the address `room`."""
    made = next(iter(blocks.descriptors.values()))
    return blocks.static_descriptor(module, 0, word) or (made.function, room + 2 * word, module, 0, made.generation)
