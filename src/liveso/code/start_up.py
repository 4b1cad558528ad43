"""The linker's own code in a library: PLT stubs, and what crtbeginS.o and crti.o bring, which runs at start and end."""

from dataclasses import dataclass

import numpy as np

from liveso.code.decode import decode
from liveso.code.form import Operation
from liveso.code.functions import functions
from liveso.code.syntax import syntax
from liveso.elf import Image, Section, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table

_LONGEST_LOOK = 32  # bytes: the flag is the first thing that the finaliser asks about
_LONGEST = 128  # bytes
_LARGEST = 512  # bytes of all of them
_LONGEST_CALLED = 64  # bytes
_SECTIONS = frozenset({".init", ".fini"})
_FINALISERS = tables.DT_FINI_ARRAY, tables.DT_FINI_ARRAYSZ
_BOTH = (tables.DT_INIT_ARRAY, tables.DT_INIT_ARRAYSZ), _FINALISERS
_MOST_ENTRIES = 64  # of a table: what has a priority, before them


@dataclass(frozen=True, slots=True)
class _Start:
    """An initialiser or finaliser: where it begins and ends, and the addresses before it that it branches to."""

    entry: int
    end: int
    earlier: tuple[int, ...]

    @classmethod
    def of(cls, image: Image, entry: int) -> "_Start":
        end, earlier = entry, list[int]()
        code = image.bytes_at(entry, _LONGEST)
        instructions = decode(image.machine, code, entry)
        ends = {address: stop for _index, address, stop in instructions.places()}
        for address, form, target in syntax(image.machine).forms(code, instructions, frozenset()):
            end = ends.get(address, end)
            if form.operation in (Operation.CALL, Operation.JUMP) and target is not None and target < entry:
                earlier.append(target)
            if form.operation in (Operation.JUMP, Operation.RETURN):
                break
        return cls(entry, end, tuple(earlier))


def _entries(image: Image, start: int, size: int) -> list[int]:
    """The functions in a table of initialisers or finalisers, whose place and size the dynamic section has."""
    first, rows = image.tag(start), image.relocations
    inside = (rows["offset"] >= first) & (rows["offset"] < first + image.tag(size)) & (rows["type"] != 0)
    rows = np.sort(rows[inside], order="offset")[:_MOST_ENTRIES] if first else rows[:0]
    return [it for it in rows["addend"].tolist() if image.is_code(it)]


def is_start_up(section: Section) -> bool:
    """Whether a section of code has none of the library's own."""
    return section.name.startswith(".plt") or section.name in _SECTIONS


def has_own_code(image: Image) -> bool:
    """Whether there is any code besides the linker's. Raises ImageError as `functions` does."""
    known = functions(image)
    stubs = start_up_stubs(image, known)
    if ((known["start"] < stubs.start) | (known["start"] >= stubs.stop)).sum() > 1:
        return True
    return any(
        it.is_code and it.size and not is_start_up(it) and not (it.address >= stubs.start and it.end <= stubs.stop)
        for it in image.sections
    )


def finaliser_flag(image: Image) -> int | None:
    """The address of the variable in which the linker's own finaliser (crtstuff.c) remembers that it ran, if it has
    one."""
    stubs = start_up_stubs(image, functions(image))
    entry = next((it for it in _entries(image, *_FINALISERS) if it in stubs), None)
    if entry is None:
        return None
    span = data_layout(image).span
    code = image.bytes_at(entry, _LONGEST_LOOK)
    for _address, form, target in syntax(image.machine).forms(code, decode(image.machine, code, entry), frozenset()):
        if target is not None and target in span and form.operation is not Operation.ADDRESS:
            return target
    return None


def start_up_stubs(image: Image, known: Table) -> range:
    """Where the linker's own start-up functions (crtbeginS.o) lie, which never run in a prepared copy: from
    `deregister_tm_clones`, which the first finaliser calls, to the end of the first initialiser. They have no unwind
    entry; where they have, only functions that lie and lead as these do are taken for them."""
    entries = [_entries(image, *tags) for tags in _BOTH]
    if image.machine.start_up_is_described:
        found = _in_order(*([_Start.of(image, it) for it in one] for one in entries))
        return range(min(found.start, _called_at_start(image, found.start)), found.stop)
    own = [
        [_Start.of(image, it) for it in one if not ((known["start"] <= it) & (it < known["end"])).any()]
        for one in entries
    ]
    found = _in_order(*own)
    if found:
        return found
    starts, ends = [], []
    for one, them in zip(entries, own, strict=True):
        if them and them[0].entry == one[0]:
            starts += [them[0].entry, *them[0].earlier]
            ends.append(them[0].end)
    if not ends:
        return range(0)
    before = known["end"][known["end"] <= max(starts)].max(initial=0)  # calls through the PLT lead further away
    return range(min(start for start in starts if start >= before), max(ends))


def _called_at_start(image: Image, behind: int) -> int:
    """The address of the function that `_init` calls (crti.o: call_weak_fn), if it lies just before an address; else
    that address."""
    section = image.section(".init")
    if section is not None:
        for _address, _size, mnemonic, operands in decode(image.machine, image.section_bytes(section), section.address):
            target = operands.removeprefix("#")
            if mnemonic == "bl" and target.startswith("0x") and 0 < behind - int(target, 0) <= _LONGEST_CALLED:
                return int(target, 0)
    return behind


def _in_order(initialisers: list[_Start], finalisers: list[_Start]) -> range:
    """The range of the start-up functions: `deregister_tm_clones`, which the finaliser calls, `register_tm_clones`, to
    which the initialiser branches, the finaliser and the initialiser lie close together. The library's own, which are
    told to come first, and what the compiler's library brings lie before them in the tables."""
    for first in initialisers:
        for last in finalisers:
            if first.earlier and last.earlier:
                registers, deregisters = first.earlier[-1], last.earlier[-1]  # it calls through the PLT before
                if deregisters < registers < last.entry < first.entry < deregisters + _LARGEST:
                    return range(deregisters, max(first.end, last.end))
    return range(0)
