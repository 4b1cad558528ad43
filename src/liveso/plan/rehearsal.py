"""The plan of an update in a process that exists only on paper: it has the two versions loaded and nothing else, as the
dynamic linker leaves them, and its program has set nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liveso.code import panic_mark
from liveso.elf import Image, Symbol, tables
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.address_map import first_map
from liveso.plan.homes import in_common, later_map, placement, shape_of
from liveso.plan.record import LibraryState, LoadedVersion, encode_record
from liveso.plan.relink import LeftOut, Relinking, Surroundings, relink
from liveso.plan.thread_locals import Descriptor, ThreadBlocks
from liveso.plan.transaction import Plan, Step, make_plan, prepare
from liveso.process import LoadedObject
from liveso.process.memory_map import Protections
from liveso.process.objects import dynamic_of_copy, slot_addresses
from liveso.process.pages import PAGE, Pages
from liveso.store import Version, own_descriptors, own_tls_relocations
from liveso.verdict import PairAnalysis

OLD_BASE = 0x7F00_0000_0000
_SPACE = 1 << 24  # bytes between the versions
_LARGEST = 1 << 30  # bytes
_READ, _WRITE, _EXECUTE = 1, 2, 4  # mmap(2)
_FIRST_MODULE, _LATER_MODULE = 1, 2
_BLOCK_ABOVE = 16  # bytes, of the thread control block (ELF TLS, 3)
_STATIC_FUNCTION = OLD_BASE - _SPACE  # the dynamic linker lies somewhere else
_PAIRS, _PAIR_SIZE = OLD_BASE + (1 << 40), 24


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an update would do: both versions as they are loaded, what relinking the new one changes in it, what the
    transaction writes, and the size of what the process remembers of it, in bytes."""

    old: LoadedVersion
    new: LoadedVersion
    relinking: Relinking
    plan: Plan
    unled: tuple[str, ...]
    record_size: int


def rehearse(old: Image, new: Image, versions: tuple[Version, Version], analysis: PairAnalysis) -> Rehearsal:
    """Raises Refused where the update could not be made."""
    if max(old.size_in_memory, new.size_in_memory) > _LARGEST:
        raise Refused("it asks for more memory than its code can reach")
    common = in_common(analysis)
    addresses = first_map(old, OLD_BASE, _FIRST_MODULE)
    base = OLD_BASE + -(-(old.size_in_memory + _SPACE) // PAGE) * PAGE
    module = _LATER_MODULE if common.has_new_thread_locals(analysis) else 0
    later = later_map(shape_of(new), base, module, common, addresses)
    first, second = (
        LoadedVersion(version, where, size=image.size_in_memory)
        for version, where, image in zip(versions, (addresses, later), (old, new), strict=True)
    )
    memory, bound = _loaded(old, OLD_BASE, _addresses_by_name(old, OLD_BASE))
    copy, bound = _loaded(new, base, _addresses_by_name(new, base) | _addresses_by_name(old, OLD_BASE))
    mark = panic_mark(old)
    around = Surroundings(
        tuple((it.base, it.base + it.size) for it in (first, second)),
        _thread_blocks(old, new),
        OLD_BASE + mark.address if mark else None,
    )
    relinking = relink(new, analysis, placement(common, addresses, later), around, bound, LeftOut({}))
    _put(copy, base, relinking.words, 8)
    _put(copy, base, relinking.halves, 4)
    library = f"/{old.soname or 'library'}"
    state = LibraryState(library, (first, second), first.version)
    step = Step(state, second.version, analysis, common, dict(zip(versions, (old, new), strict=True)), is_fresh=True)
    dynamics = {
        LoadedObject(library, OLD_BASE, 0, 0, 0, 0): dynamic_of_copy(old, OLD_BASE, ()),
        LoadedObject(f"{library} (new)", base, 0, 0, 0, 0): dynamic_of_copy(new, base, own_tls_relocations(new)),
    }
    slots = slot_addresses(dynamics, frozenset({base}))
    pages = _pages([(OLD_BASE, memory), (base, copy)])
    protections = _protections([(OLD_BASE, old), (base, new)])
    plan = make_plan([prepare(step, {})], slots, dynamics, pages, protections, old.machine)
    after, unled = plan.after[library]
    return Rehearsal(first, second, relinking, plan, unled, len(encode_record({library: after})))


def _thread_blocks(old: Image, new: Image) -> ThreadBlocks:
    """Those of a process that started with the old version; pairs that descriptors lead to are behind all else."""
    places = own_descriptors(new)
    descriptors = {
        int(new.relocations["offset"][row]): Descriptor(0, _PAIRS + place * _PAIR_SIZE, _LATER_MODULE, place, 0)
        for row, place in places.items()
    }
    static = {_FIRST_MODULE: _BLOCK_ABOVE if old.machine.has_blocks_above else -max(old.block_size, 1)}
    return ThreadBlocks(_FIRST_MODULE, static, descriptors, _STATIC_FUNCTION)


def _addresses_by_name(image: Image, base: int) -> dict[str, int]:
    return {it.name: base + it.value for it in image.symbols if _is_plain(it)}


def _is_plain(it: Symbol) -> bool:
    return it.is_defined and it.type in (0, tables.STT_FUNC, tables.STT_OBJECT) and it.section != tables.SHN_ABS


def _loaded(image: Image, base: int, by_name: dict[str, int]) -> tuple[bytearray, dict[int, int]]:
    """The memory of an image, relocated, whole pages; and what its relocations by name leave, by their offsets."""
    memory = bytearray(-(-image.size_in_memory // PAGE) * PAGE)
    for it in image.segments[image.segments["type"] == tables.PT_LOAD].tolist():
        row = dict(zip(image.segments.dtype.names or (), it, strict=True))
        content = image.content[row["offset"] : row["offset"] + row["file_size"]]
        memory[row["address"] : row["address"] + len(content)] = content
    bound: dict[int, int] = {}
    machine = image.machine
    for offset, kind, index, addend in image.relocations.tolist():
        if kind == machine.relative:
            value = base + addend
        elif index and kind in machine.slot_relocations:
            value = bound[offset] = by_name.get(image.symbols[index].name, -addend) + addend
        else:
            continue
        memory[offset : offset + 8] = (value % (1 << 64)).to_bytes(8, "little")
    return memory, bound


def _put(memory: bytearray, base: int, changes: Table, size: int) -> None:
    for address, _expected, value in changes.tolist():
        if address in range(base, base + len(memory)):
            memory[address - base : address - base + size] = value.to_bytes(size, "little")


def _pages(parts: Sequence[tuple[int, bytearray]]) -> Pages:
    numbers = [np.arange(base // PAGE, (base + len(memory)) // PAGE, dtype="<u8") for base, memory in parts]
    return Pages(np.concatenate(numbers), np.frombuffer(b"".join(memory for _base, memory in parts), np.uint8))


def _protections(parts: Sequence[tuple[int, Image]]) -> Protections:
    """Those of segments; what RELRO protects is read only."""
    starts, every = [], []
    for base, image in parts:
        bits = np.full(-(-image.size_in_memory // PAGE), _READ, "<u4")
        for row in image.segments[image.segments["type"] == tables.PT_LOAD]:
            first, end = int(row["address"]) // PAGE, int(row["address"]) + int(row["memory_size"])
            flags = int(row["flags"])
            may_write, may_execute = flags & tables.PF_W, flags & tables.PF_X
            bits[first : -(-end // PAGE)] = _READ | (_WRITE if may_write else 0) | (_EXECUTE if may_execute else 0)
        bits[image.relro.start // PAGE : image.relro.stop // PAGE] &= ~np.uint32(_WRITE)
        starts.append(base + np.arange(len(bits), dtype="<u8") * np.uint64(PAGE))
        every.append(bits)
    start = np.concatenate(starts)
    return Protections(start, start + np.uint64(PAGE), np.concatenate(every))
