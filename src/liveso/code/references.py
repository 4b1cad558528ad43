"""The references of an image's code to its variables: every place that relinking must change.

A reference is found in two steps. First all bytes of the code are tried, at once, as the displacement of an
instruction: few lead to a variable, and no reference can be missed. Then the functions around those few are
decoded, which tells the references from bytes that only look like one.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from liveso.code.functions import functions
from liveso.code.mask import displacements
from liveso.code.start_up import is_start_up, start_up_stubs
from liveso.code.syntax import decoder
from liveso.elf import Image, Section
from liveso.elf.data import CONSTANT_AFTER_RELOCATION, constant_span, data_layout, is_linker_owned
from liveso.elf.tables import Table

REFERENCE = np.dtype([("place", "<u8"), ("target", "<u8"), ("displacement", "<i4"), ("forms_address", "?")])

_BYTES_AFTER_DISPLACEMENT = (0, 1, 2, 4)  # an immediate operand can follow (AMD64 Manual 3, 1.1)


@dataclass(frozen=True, slots=True)
class References:
    """What the code of an image refers to.

    `table` has a row for each reference: the address of its displacement, the address it leads to, the displacement
    itself, and whether it forms the address for later use, where others access what lies there. `undecoded` are
    addresses inside functions where a reference may be that cannot be decoded, and `unclear` those of instructions that
    form an address in the linker's tables, which may be meant for a variable. `constants` are the references to
    constants that relocation writes, as `table` has those to variables. `outside` counts the references in code
    without unwind entry (hand-written assembly), which are in the table too, and `doubtful` the places there whose
    bytes would lead to a variable but that linear decoding took for none.
    """

    table: Table
    undecoded: tuple[int, ...]
    unclear: tuple[int, ...]
    outside: int
    doubtful: int
    constants: Table

    @property
    def may_be_incomplete(self) -> bool:
        """Whether code that cannot be decoded with certainty refers to variables."""
        return self.outside + self.doubtful > 0


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A piece of code that is decoded from its start: a function, or a gap between two."""

    start: int
    end: int
    is_function: bool


@dataclass(frozen=True, slots=True)
class _Instruction:
    address: int
    end: int
    text: str

    @property
    def forms_address(self) -> bool:
        return self.text.startswith("lea ")


def data_references(image: Image) -> References:
    """Find the references of `image`'s code to its own variables. Raises ImageError as `functions` does."""
    found = _references_to(image, data_layout(image).span)
    return replace(found, constants=_references_to(image, constant_span(image)).table)


def slot_references(image: Image, slots: frozenset[int]) -> References:
    """Find the references of `image`'s code to certain words of the linker's tables. Raises ImageError as `functions`
    does."""
    ordered = sorted(slots)
    span = range(ordered[0], ordered[-1] + 1) if ordered else range(0)
    return _references_to(image, span, slots)


def _references_to(image: Image, span: range, only: frozenset[int] | None = None) -> References:
    """The references to a span of addresses and to its end, or of these only to those in `only`."""
    known = functions(image)
    near = np.array(sorted({it - bytes_ for it in only or () for bytes_ in _BYTES_AFTER_DISPLACEMENT}), "<i8")
    stubs = start_up_stubs(image, known)
    rows: list[tuple[int, int, int, bool]] = []
    undecoded: list[int] = []
    unclear: list[int] = []
    outside = doubtful = 0
    for section in _code_sections(image):
        code = image.section_bytes(section)
        numbers = displacements(code)
        targets = _targets(numbers, section)
        candidates = _leading_to(targets, span.start, span.stop) if span else np.zeros(0, "<i8")
        if only is not None:
            candidates = candidates[np.isin(targets[candidates], near)]
        for stretch, places in _by_stretch((candidates + section.address).tolist(), known, section):
            places = [place for place in places if place not in stubs]
            instructions, stop = _decode(image, code, section, stretch, places)
            found = [row for row in (_reference(image, i, places, numbers, section) for i in instructions) if row]
            rows.extend(row for row in found if span.start <= row[1] <= span.stop and (only is None or row[1] in only))
            if stretch.is_function:
                undecoded.extend([place for place in places if place >= stop][:1])
            else:
                outside += len(found)
                doubtful += len(places) - len(found)
        if only is None:
            unclear.extend(_addresses_in_linker_tables(image, code, section, numbers, targets, known))
    return References(
        np.array(rows, REFERENCE), tuple(undecoded), tuple(unclear), outside, doubtful, np.zeros(0, REFERENCE)
    )


def _code_sections(image: Image) -> Iterator[Section]:
    """Sections with code that can refer to variables. PLT stubs refer to the GOT only; `.init` and `.fini` do not
    run in a prepared copy."""
    for section in image.sections:
        if section.is_code and section.has_bytes and not is_start_up(section):
            yield section


def _targets(numbers: Table, section: Section) -> Table:
    """Where the code would lead from every offset of a section, if a displacement stood there and ended its
    instruction. An address that is too large for four bytes wraps around, which makes a candidate too many at most."""
    size = "<i4" if section.end < 1 << 31 else "<i8"
    found: Table = np.arange(section.address + 4, section.address + 4 + len(numbers), dtype=size)
    found += numbers
    return found


def _leading_to(targets: Table, low: int, high: int) -> Table:
    """The indexes of `targets` that may lead to `low` … `high`; an end is the address past an array. An immediate
    operand can follow a displacement: decoding tells."""
    return np.flatnonzero((targets >= low - max(_BYTES_AFTER_DISPLACEMENT)) & (targets <= high))


def _by_stretch(places: list[int], known: Table, section: Section) -> Iterator[tuple[_Stretch, list[int]]]:
    starts: list[int] = known["start"].tolist()
    ends: list[int] = known["end"].tolist()
    grouped: dict[_Stretch, list[int]] = {}
    for place in places:
        before = bisect_right(starts, place) - 1
        if before >= 0 and place < ends[before]:
            stretch = _Stretch(starts[before], ends[before], True)
        else:
            start = max(ends[before] if before >= 0 else 0, section.address)
            end = min(starts[before + 1] if before + 1 < len(starts) else section.end, section.end)
            stretch = _Stretch(start, end, False)
        grouped.setdefault(stretch, []).append(place)
    yield from grouped.items()


def _decode(
    image: Image, code: bytes, section: Section, stretch: _Stretch, places: list[int]
) -> tuple[list[_Instruction], int]:
    """The instructions of `stretch` that contain one of `places`, and the address up to which it could be decoded."""
    found: list[_Instruction] = []
    position, waiting = stretch.start, iter(places)
    place: int | None = next(waiting, None)
    while position < stretch.end and place is not None:
        begin = position
        for address, size, mnemonic, operands in decoder(image.machine).disasm_lite(
            code[position - section.address : stretch.end - section.address], position
        ):
            position = address + size
            if place < position:
                found.append(_Instruction(address, position, f"{mnemonic} {operands}"))
                while place is not None and place < position:
                    place = next(waiting, None)
                if place is None:
                    break
        if stretch.is_function or place is None:
            break
        if position == begin or position < stretch.end:
            position += 1  # constants between hand-written functions: look for the next instruction
    return found, position


def _reference(
    image: Image, instruction: _Instruction, places: list[int], numbers: Table, section: Section
) -> tuple[int, int, int, bool] | None:
    """The reference that `instruction` makes, if it refers to memory relative to itself and a place in it fits."""
    match = re.search(rf"\[{image.machine.program_counter} ([+-]) (0x[0-9a-f]+|\d+)\]", instruction.text)
    if match is None:
        return None
    displacement = int(match[2], 0) * (-1 if match[1] == "-" else 1)
    for place in places:
        if (
            instruction.address < place
            and place + image.machine.displacement_size <= instruction.end
            and int(numbers[place - section.address]) == displacement
            and instruction.end - place - image.machine.displacement_size in _BYTES_AFTER_DISPLACEMENT
        ):
            return place, instruction.end + displacement, displacement, instruction.forms_address
    return None


def _addresses_in_linker_tables(
    image: Image, code: bytes, section: Section, numbers: Table, targets: Table, known: Table
) -> Iterator[int]:
    """Instructions in functions that form, not load from, an address in the GOT or its like: a compiler may have meant
    a variable behind it, with the index of an array that starts below zero. The argument of `__tls_get_addr` is such an
    address and clear, and so is the end of the constants before."""
    clear = {it.end for it in image.sections if it.name.startswith(CONSTANT_AFTER_RELOCATION)}
    clear |= set(image.relocations["offset"][np.isin(image.relocations["type"], _tls_types(image))].tolist())
    content = np.frombuffer(code, np.uint8)
    after_opcode = np.flatnonzero(content[: max(0, len(targets) - 2)] == image.machine.address_opcode) + 2
    for owned in image.sections:
        if not (is_linker_owned(owned) and owned.size):
            continue
        fitting = after_opcode[_leading_to(targets[after_opcode], owned.address, owned.end - 1)]
        for stretch, places in _by_stretch((fitting + section.address).tolist(), known, section):
            if stretch.is_function:
                instructions, _stop = _decode(image, code, section, stretch, places)
                for instruction in instructions:
                    row = _reference(image, instruction, places, numbers, section)
                    if row and instruction.forms_address and row[1] not in clear:
                        yield instruction.address


def _tls_types(image: Image) -> list[int]:
    return sorted(image.machine.tls_relocations)
