"""The entries of functions: where a jump can be written that leads whoever calls a function to another version of it.

The jump takes the place of the first instructions. Nothing but the function's own beginning may lie there, and no
branch may lead into it; one that goes back to the entry from inside is a loop, which would be left half-way.
"""

import struct
from collections import defaultdict

import numpy as np

from liveso.code.decode import decode
from liveso.code.functions import functions
from liveso.code.mask import displacements
from liveso.elf import Image, Section, tables
from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.machine import CodeWords

ENTRY = np.dtype([("function", "<u8"), ("place", "<u8")])
"""The address of a function, and that at which the jump can be written."""

BRANCH = np.dtype([("end", "<i8"), ("target", "<i8"), ("is_call", "?")])
"""Where a branch ends and leads to, and whether it is a call."""

_FAR = 4  # bytes of a displacement
_PROPERTY = 4  # bytes
_LONGEST_INSTRUCTION = 15  # bytes


def entries(image: Image, addresses: Table) -> Table:
    """The functions among `addresses` at whose entry a jump can be written, as ENTRY rows in the order of addresses.
    Raises ImageError as `functions` does."""
    machine, known = image.machine, functions(image)
    if not machine.jump_size:
        return np.zeros(0, ENTRY)
    borders = _Borders(image, known)
    has_marks = not machine.guard_property or _is_guarded(image)
    found: dict[int, tuple[int, int]] = {}
    for address in distinct(addresses).astype("<i8").tolist():
        place = address + len(mark_at(image, address)) * has_marks
        end = borders.end_of(address)
        if end is not None and borders.is_free(end, place + machine.jump_size):
            found[address] = place, end
    rows = np.array([(address, place, end) for address, (place, end) in found.items()], "<i8").reshape(-1, 3)
    led_into = _led_into(image, known, rows)
    kept = [(address, place) for address, place, _end in rows.tolist() if address not in led_into]
    return np.array(kept, ENTRY)


def _is_guarded(image: Image) -> bool:
    """Whether indirect branches may only lead to marks in this image (Linux gABI extensions, "Program Property")."""
    property_of = struct.pack("<II", image.machine.guard_property, _PROPERTY)
    for section in image.sections:
        if section.name == ".note.gnu.property" and image.machine.guard_property:
            _before, found, value = image.section_bytes(section).partition(property_of)
            return bool(found and value[:1] and value[0] & 1)
    return False


def mark_at(image: Image, address: int) -> bytes:
    """The mark that a function begins with, to which indirect branches may lead; nothing where it has none."""
    marks = (image.machine.entry_mark, image.machine.guarded_entry)
    return next((it for it in marks if it and image.bytes_at(address, len(it)) == it), b"")


class _Borders:
    """Where functions start and end, as the unwind table and the symbols say."""

    def __init__(self, image: Image, known: Table) -> None:
        self._image = image
        self._starts, self._ends = known["start"].astype("<i8"), known["end"].astype("<i8")
        sizes = {it.value: it.size for it in image.symbols if it.is_defined and it.type == tables.STT_FUNC}
        self._sizes = sizes
        self._all = distinct(np.concatenate([self._starts, np.array(sorted(sizes), "<i8")]))
        following = sorted(it.address for it in image.sections if it.is_allocated and it.size)
        self._sections = [
            range(it.address, next((start for start in following if start >= it.end), it.end))
            for it in image.sections
            if it.is_code and it.has_bytes
        ]

    def end_of(self, address: int) -> int | None:
        """Where the function at `address` ends; None where none starts there."""
        index = int(np.searchsorted(self._starts, address, side="right")) - 1
        if index >= 0 and address < self._ends[index]:
            return int(self._ends[index]) if self._starts[index] == address else None
        return address + self._sizes[address] if address in self._sizes else None

    def is_free(self, end: int, until: int) -> bool:
        """Whether nothing but padding lies from the `end` of a function to the address `until`."""
        if end >= until:
            return True
        following = int(np.searchsorted(self._all, end))
        if following < len(self._all) and self._all[following] < until:
            return False
        inside = any(it.start < end and until <= it.stop for it in self._sections)
        return (
            inside
            and self._image.are_filled(end, until)
            and self._image.machine.padding.issuperset(self._image.bytes_at(end, until - end))
        )


def _led_into(image: Image, known: Table, rows: Table) -> set[int]:
    """The functions, of those in `rows` with place and end, whose beginning some branch leads into or back to."""
    if not len(rows):
        return set()
    address, place, end = rows.T
    suspects: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    found: set[int] = set()
    starts, ends = known["start"].astype("<i8"), known["end"].astype("<i8")
    functions_at = frozenset(starts.tolist())
    for section in image.sections:
        if not (section.is_code and section.has_bytes and section.size):
            continue
        seen = _branches(image, section)
        index = np.searchsorted(address, seen["target"], side="right") - 1
        at, target = index.clip(0), seen["target"]
        is_hit = (index >= 0) & (target < place[at] + image.machine.jump_size)
        is_entry = (target == address[at]) | (target == place[at])
        is_own = (seen["end"] > address[at]) & (seen["end"] <= end[at])
        is_hit &= ~is_entry | (is_own & ~seen["is_call"])
        hits = np.stack([address[at], seen["end"], target])[:, is_hit]
        for function, branch_end, leads_to in hits.T.tolist():
            source = int(np.searchsorted(starts, branch_end - 1, side="right")) - 1
            start = int(starts[source]) if source >= 0 else section.address
            if source >= 0 and branch_end > ends[source]:  # hand-written, and constants lie between
                start = max(int(ends[source]), section.address)
            suspects[start].append((function, branch_end, leads_to))
    if image.machine.code_words is not None:  # what looks like a branch is one
        return {function for hits_of in suspects.values() for function, _end, _target in hits_of}
    for start, hits_of in suspects.items():
        stop = max(branch_end for _function, branch_end, _target in hits_of) + _LONGEST_INSTRUCTION
        content = image.bytes_at(start, min(stop, _end_of_section(image, start)) - start)
        listing = decode(image.machine, content, start, skips_data=start not in functions_at)
        indexes = {branch_end: index for index, branch_end in enumerate(listing.ends.tolist())}
        for function, branch_end, leads_to in hits_of:
            if branch_end in indexes and listing.text(indexes[branch_end])[1] == f"{leads_to:#x}":
                found.add(function)
    return found


def branches(image: Image) -> Table:
    """What looks like branches in an image's code, as BRANCH rows, in the order of places for each kind of branch."""
    sections = (it for it in image.sections if it.is_code and it.has_bytes and it.size)
    return np.concatenate([np.zeros(0, BRANCH), *(_branches(image, it) for it in sections)])


def _end_of_section(image: Image, address: int) -> int:
    return next(it.end for it in image.sections if it.is_code and it.has_bytes and it.address <= address < it.end)


def _branches(image: Image, section: Section) -> Table:
    """What looks like branches in a section: where each ends and leads to, by its bytes. Few of these are none; no
    branch is missing."""
    machine, code = image.machine, image.section_bytes(section)
    if machine.code_words is not None:
        return _branch_words(machine.code_words(code, section.address))
    content, numbers = np.frombuffer(code, np.uint8), displacements(code)
    found = []
    for opcode in machine.branch_opcodes:
        size = len(opcode)
        matches = np.ones(max(0, len(content) - size - _FAR + 1), np.bool_)
        for at, byte in enumerate(opcode):
            matches &= content[at : at + len(matches)] == byte
        places = np.flatnonzero(matches) + size
        found.append(_rows(places, _FAR, numbers[places], section, is_call=opcode == machine.call_opcode))
    places = np.flatnonzero(np.isin(content[:-1], sorted(machine.near_branch_opcodes))) + 1
    found.append(_rows(places, 1, content.view(np.int8)[places], section, is_call=False))
    return np.concatenate(found)


def _branch_words(words: CodeWords) -> Table:
    leading = np.flatnonzero(words.target >= 0)
    rows = np.zeros(len(leading), BRANCH)
    rows["end"] = words.place[leading] + words.size[leading]
    rows["target"], rows["is_call"] = words.target[leading], words.calls[leading]
    return rows


def _rows(places: Table, size: int, numbers: Table, section: Section, *, is_call: bool) -> Table:
    rows = np.zeros(len(places), BRANCH)
    rows["end"] = places + size + section.address
    rows["target"] = rows["end"] + numbers
    rows["is_call"] = is_call
    return rows
