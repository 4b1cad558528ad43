"""References of code whose instructions hold whole displacements, relative to themselves (x86-64).

A reference is found in two steps. First all bytes of the code are tried, at once, as the displacement of an
instruction: few lead to a variable, and no reference can be missed. Then the functions around those few are
decoded, which tells the references from bytes that only look like one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from liveso.code.code_model import has_large_model
from liveso.code.decode import Listing, decode
from liveso.code.first_use import first_use
from liveso.code.functions import LARGE_MODEL, functions, holders
from liveso.code.mask import displacements
from liveso.code.reference import REFERENCE, References, Row, function_starts
from liveso.code.start_up import is_start_up, start_up_stubs
from liveso.elf import Image, Section
from liveso.elf.data import CONSTANT_AFTER_RELOCATION, constant_span, data_layout, is_linker_owned
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.errors import ImageError
from liveso.side_by_side import side_by_side

_LONGEST_INSTRUCTION = 15  # bytes
_AT_ONCE = 1 << 16  # instructions
_BYTES_AFTER_DISPLACEMENT = (0, 1, 2, 4)  # an immediate operand can follow (AMD64 Manual 3, 1.1)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A piece of code that is decoded from its start: a function, or a gap between two."""

    start: int
    end: int
    is_function: bool


@dataclass(frozen=True, slots=True)
class _Code:
    """A section of code. `numbers` are the four bytes at each of its offsets, and `targets` where it would lead to from
    there, if a displacement stood there and ended its instruction."""

    image: Image
    section: Section
    content: bytes
    bytes: Table
    numbers: Table
    targets: Table

    @property
    def start(self) -> int:
        return self.section.address

    def may_lead_to(self, span: range, places: Table | None = None) -> Table:
        """Whether what lies at each place, or at some, may lead into `span`, or to its end, the address past an array.
        An immediate operand can follow a displacement: decoding tells."""
        targets = self.targets if places is None else self.targets[places - self.start]
        if not span:
            return np.zeros(len(targets), np.bool_)
        found: Table = (targets >= span.start - max(_BYTES_AFTER_DISPLACEMENT)) & (targets <= span.stop)
        return found

    def may_form(self, addresses: frozenset[int]) -> Table:
        """The offsets at which what lies there may be the displacement of an instruction that forms one of some
        addresses."""
        mask, value = self.image.machine.relative_operand
        opcode, operand = self.bytes[: max(0, len(self.targets) - 2)], self.bytes[1 : max(1, len(self.targets) - 1)]
        places = np.flatnonzero((opcode == self.image.machine.address_opcode) & (operand & mask == value)) + 2
        found: Table = places[among(self.targets[places], np.array(sorted(addresses), "<i8"))]
        return found

    def follows_operand(self, places: Table) -> Table:
        """Whether the byte before each place may say that a displacement relative to the instruction follows."""
        mask, value = self.image.machine.relative_operand
        found: Table = self.bytes[places - 1 - self.start] & mask == value
        return found


def data_references(image: Image) -> References:
    """Find the references of `image`'s code to its own variables. Raises ImageError as `functions` does, and for code
    that has none which could be followed."""
    if has_large_model(image):
        raise ImageError(LARGE_MODEL)
    variables, constants = data_layout(image).span, constant_span(image)
    known = functions(image)
    stubs = start_up_stubs(image, known)
    rows: list[Row] = []
    constant_rows: list[Row] = []
    function_rows: list[Row] = []
    undecoded: list[int] = []
    unclear: list[int] = []
    outside = doubtful = 0
    starts = function_starts(image, known)
    for code in _code_sections(image):
        is_candidate = code.may_lead_to(variables) | code.may_lead_to(constants)
        is_candidate[code.may_form(starts)] = True
        candidates = np.flatnonzero(is_candidate) + code.start
        stretches = list(_by_stretch(candidates, known, code.section, stubs))
        read = side_by_side(partial(_references, code), stretches)
        for (stretch, places), (found, stop) in zip(stretches, read, strict=True):
            function_rows.extend(row for row in found.values() if row[3] and row[1] in starts)
            rows.extend(row for row in found.values() if variables.start <= row[1] <= variables.stop)
            constant_rows.extend(row for row in found.values() if constants.start <= row[1] <= constants.stop)
            if stretch.is_function:
                undecoded.extend(places[places >= stop][:1].tolist())
            elif not _is_padding(code, stretch):
                places = places[code.may_lead_to(variables, places)]
                here = set(places.tolist()).intersection(row[0] for row in found.values())
                outside += len(here)
                doubtful += len(places) - len(here)
        for row, address in _addresses_in_linker_tables(code, known):
            behind = _with_object(code, known, row, address)
            if behind and behind[1] in variables:
                rows.append(behind)
            elif behind and behind[1] in constants:
                constant_rows.append(behind)
            else:
                unclear.append(address)
    to_variables, to_constants, to_functions = (np.array(it, REFERENCE) for it in (rows, constant_rows, function_rows))
    return References(to_variables, tuple(undecoded), tuple(unclear), outside, doubtful, to_constants, to_functions)


def slot_references(image: Image, slots: frozenset[int]) -> tuple[Table, tuple[int, ...]]:
    """The references of `image`'s code to certain words of the linker's tables, or constants, and the addresses inside
    functions where one may be that cannot be decoded. Raises ImageError as `functions` does."""
    known = functions(image)
    near = np.array(sorted({it - bytes_ for it in slots for bytes_ in _BYTES_AFTER_DISPLACEMENT}), "<i8")
    rows: list[Row] = []
    undecoded: list[int] = []
    for code in _code_sections(image) if slots else ():
        candidates = np.flatnonzero(among(code.targets, near)) + code.start
        stretches = list(_by_stretch(candidates, known, code.section))
        read = side_by_side(partial(_references, code), stretches)
        for (stretch, places), (found, stop) in zip(stretches, read, strict=True):
            rows.extend(row for row in found.values() if row[1] in slots)
            if stretch.is_function:
                undecoded.extend(places[places >= stop][:1].tolist())
    return np.array(rows, REFERENCE), tuple(undecoded)


def _code_sections(image: Image) -> Iterator[_Code]:
    """Sections with code that can refer to variables. PLT stubs refer to the GOT only; `.init` and `.fini` do not
    run in a prepared copy."""
    for section in image.sections:
        if section.is_code and section.has_bytes and not is_start_up(section):
            content = image.section_bytes(section)
            numbers = displacements(content)
            yield _Code(image, section, content, np.frombuffer(content, np.uint8), numbers, _targets(numbers, section))


def _targets(numbers: Table, section: Section) -> Table:
    """Where the code would lead from every offset of a section. An address that is too large for four bytes wraps
    around, which makes a candidate too many at most."""
    size = "<i4" if section.end < 1 << 31 else "<i8"
    found: Table = np.arange(section.address + 4, section.address + 4 + len(numbers), dtype=size)
    found += numbers
    return found


def _by_stretch(
    places: Table, known: Table, section: Section, left_out: range = range(0)
) -> Iterator[tuple[_Stretch, Table]]:
    """The stretches that hold the sorted addresses `places`, with those without what is `left_out`."""
    if not len(places):
        return
    starts, ends = (known[name].astype("<i8") for name in ("start", "end"))
    before, inside = holders(known, places)
    borders = np.flatnonzero(np.diff(before * 2 + inside)) + 1
    for group in np.split(np.arange(len(places)), borders):
        index = int(before[group[0]])
        if inside[group[0]]:
            stretch = _Stretch(int(starts[index]), int(ends[index]), True)
        else:
            start = max(int(ends[index]) if index >= 0 else 0, section.address)
            end = min(int(starts[index + 1]) if index + 1 < len(starts) else section.end, section.end)
            stretch = _Stretch(start, end, False)
        found = places[group]
        yield stretch, found[(found < left_out.start) | (found >= left_out.stop)]


def _references(code: _Code, some: tuple[_Stretch, Table]) -> tuple[dict[int, Row], int]:
    """The references of a stretch whose displacements are at some places, by the addresses of the instructions, and the
    address up to which it could be decoded."""
    stretch, places = some
    found: dict[int, Row] = {}
    fitting = places[code.follows_operand(places)]
    stop = stretch.start
    for listing in _listings(code, stretch, int(places[-1])) if len(places) else ():
        indexes = np.searchsorted(listing.ends, fitting, side="right")
        for index in dict.fromkeys(indexes[indexes < len(listing)].tolist()):
            row = _reference(code, listing, index, fitting)
            if row:
                found[int(listing.addresses[index])] = row
        stop = int(listing.ends[-1])
    return found, stop


def _listings(code: _Code, stretch: _Stretch, last: int) -> Iterator[Listing]:
    """The instructions of `stretch` up to that at the address `last`, in parts."""
    position, end = stretch.start, min(stretch.end, last + _LONGEST_INSTRUCTION)
    while position <= last:
        part = min(end, position + _AT_ONCE * _LONGEST_INSTRUCTION)
        content = code.content[position - code.start : part - code.start]
        # constants lie between hand-written functions
        listing = decode(code.image.machine, content, position, most=_AT_ONCE, skips_data=not stretch.is_function)
        if not len(listing):
            return
        yield listing
        position = int(listing.ends[-1])


def _reference(code: _Code, listing: Listing, index: int, places: Table) -> Row | None:
    """The reference that an instruction makes, if it refers to memory relative to itself and a place in it fits."""
    machine = code.image.machine
    mnemonic, operands = listing.text(index)
    match = _relative_to(machine.program_counter).search(operands)
    if match is None:
        return None
    displacement = int(match[2], 0) * (-1 if match[1] == "-" else 1)
    address, end = int(listing.addresses[index]), int(listing.ends[index])
    low, high = np.searchsorted(places, (address + 1, end - machine.displacement_size + 1))
    for place in places[low:high].tolist():
        if (
            int(code.numbers[place - code.start]) == displacement
            and end - place - machine.displacement_size in _BYTES_AFTER_DISPLACEMENT
        ):
            return place, end + displacement, displacement, mnemonic == "lea"
    return None


def _is_padding(code: _Code, stretch: _Stretch) -> bool:
    """Whether there are only bytes that linkers and compilers put between functions."""
    return code.image.machine.padding.issuperset(code.content[stretch.start - code.start : stretch.end - code.start])


@cache
def _relative_to(register: str) -> re.Pattern[str]:
    return re.compile(rf"\[{register} ([+-]) (0x[0-9a-f]+|\d+)\]")


def _with_object(code: _Code, known: Table, row: Row, address: int) -> Row | None:
    """A reference that an instruction makes, as one to the object behind the address that it forms; None where the
    function does not show at which offset it uses that first."""
    index = int(holders(known, np.array([address]))[0][0])
    start, end = (int(known[name][index]) for name in ("start", "end"))
    listing = decode(code.image.machine, code.content[start - code.start : end - code.start], start)
    offset = first_use(code.image.machine, listing, address)
    place, target, displacement, forms_address = row
    return None if offset is None else (place, target + offset, displacement, forms_address)


def _addresses_in_linker_tables(code: _Code, known: Table) -> Iterator[tuple[Row, int]]:
    """References of functions that form, not load from, an address in the GOT or its like, with the addresses of the
    instructions: a compiler may have meant a variable behind it, with the index of an array that starts above zero. The
    argument of `__tls_get_addr` is such an address and clear, and so is the end of the constants before."""
    image, section = code.image, code.section
    clear = {it.end for it in image.sections if it.name.startswith(CONSTANT_AFTER_RELOCATION)}
    clear |= set(image.relocations["offset"][np.isin(image.relocations["type"], _tls_types(image))].tolist())
    after_opcode = np.flatnonzero(code.bytes[: max(0, len(code.targets) - 2)] == image.machine.address_opcode) + 2
    targets = code.targets[after_opcode]
    for owned in image.sections:
        if not (is_linker_owned(owned) and owned.size):
            continue
        fitting = after_opcode[(targets >= owned.address - max(_BYTES_AFTER_DISPLACEMENT)) & (targets < owned.end)]
        for it in _by_stretch(fitting + section.address, known, section):
            if it[0].is_function:
                found, _stop = _references(code, it)
                for address, row in found.items():
                    if row[3] and row[1] not in clear:
                        yield row, address


def _tls_types(image: Image) -> list[int]:
    return sorted(image.machine.tls_relocations)
