"""Where the constants of an image begin, as far as anything says so."""

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.form import Operation
from liveso.code.functions import functions
from liveso.code.instructions import Code
from liveso.code.mask import displacements
from liveso.code.operations import parts
from liveso.code.reference import REFERENCE, Row
from liveso.code.start_up import is_start_up
from liveso.elf import Image, Section, once_per_image
from liveso.elf.data import constant_sections
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table

FORMING = 7  # bytes of an instruction that forms an address
_DISPLACEMENT = 3  # where its displacement begins
_HALF = 4  # bytes of a word that counts from the table's address
_MOST_CASES = 4096
_AROUND_BRANCH = 8  # instructions
_AS_FAR = 512  # bytes from where an address is formed to where a word is loaded


@dataclass(frozen=True, slots=True)
class Formed:
    """What look like instructions of the code that form addresses, by their own `places` and the `targets`: each is
    to be decoded before it is changed. Where addresses are formed in parts, those that add the last."""

    places: Table
    targets: Table


@once_per_image
def formed_constants(image: Image) -> Formed:
    """Those that form the address of a constant, or the one behind the last constant of a section."""
    spans = [range(it.address, it.end + 1) for it in constant_sections(image)]
    if image.machine.code_words is not None:
        return _formed_in_parts(image, spans)
    places, targets = [np.zeros(0, "<i8")], [np.zeros(0, "<i8")]
    for section in image.sections:
        if section.is_code and section.has_bytes and not is_start_up(section):
            at, to = _formed(image, section)
            inside = np.zeros(len(at), np.bool_)
            for span in spans:
                inside |= (to >= span.start) & (to < span.stop)
            places.append(at[inside])
            targets.append(to[inside])
    return Formed(np.concatenate(places), np.concatenate(targets))


def _formed_in_parts(image: Image, spans: list[range]) -> Formed:
    rows = np.concatenate([address_parts(image).rows, address_parts(image).reached.rows])
    rows = distinct(rows[rows["forms_address"]][["place", "target"]])
    inside = np.zeros(len(rows), np.bool_)
    for span in spans:
        inside |= (rows["target"] >= span.start) & (rows["target"] < span.stop)
    return Formed(rows["place"][inside].astype("<i8"), rows["target"][inside].astype("<i8"))


def _formed(image: Image, section: Section) -> tuple[Table, Table]:
    machine, code = image.machine, image.section_bytes(section)
    content, numbers = np.frombuffer(code, np.uint8), displacements(code)
    if len(content) < FORMING:
        return np.zeros(0, "<i8"), np.zeros(0, "<i8")
    whole, wide = machine.whole_word
    relative, direct = machine.relative_operand
    at = np.flatnonzero(
        (content[:-6] & whole == wide)
        & (content[1:-5] == machine.address_opcode)
        & (content[2:-4] & relative == direct)
    )
    return at + section.address, numbers[at + _DISPLACEMENT].astype("<i8") + at + section.address + FORMING


@once_per_image
def constant_starts(image: Image) -> Table:
    """The addresses in constants that code may form or reach by a distance, that words hold, or that symbols name:
    sorted, each once. Raises ImageError as `functions` does."""
    return distinct(np.concatenate([_formed_or_named(image), distances(image)["target"].astype("<i8")]))


@once_per_image
def _formed_or_named(image: Image) -> Table:
    relocations = image.relocations
    pointed = relocations["addend"][relocations["type"] == image.machine.relative]
    named = np.array([it.value for it in image.symbols if it.is_defined], "<i8")
    found = distinct(np.concatenate([formed_constants(image).targets, pointed.astype("<i8"), named]))
    starts: Table = found[_are_constant(image, found)]
    return starts


def constant_end(image: Image, at: int, section: Section) -> int:
    """Where a constant of a section ends at the latest: at the next of the `constant_starts`."""
    return _end(constant_starts(image), at, section)


def _end(starts: Table, at: int, section: Section) -> int:
    index = int(np.searchsorted(starts, at, side="right"))
    return min(section.end, int(starts[index])) if index < len(starts) else section.end


@once_per_image
def relative_tables(image: Image) -> frozenset[int]:
    """The constants whose words count from their own address: jump tables of a `switch`, and tables of the distances to
    texts (R_X86_64_PC32 or R_AARCH64_PREL32 in constants). The same bytes at another address lead elsewhere.

    Where it is in doubt, a constant is one of them. The first word of a jump table leads to code. The first two of
    another lead to constants, which small numbers do, too, so that code which forms the address of it must extend such
    words to whole ones.
    """
    starts = _formed_or_named(image)
    first, second = _halves(image, starts), _halves(image, starts + _HALF)
    leads_to_code = image.are_code(starts + first)
    lead_to_constants = _are_constant(image, starts + first) & _are_constant(image, starts + second)
    lead_to_constants &= (first < 0) | (first >= 2 * _HALF)
    extended = _formed_where_words_are_extended(image)
    return frozenset(starts[leads_to_code | (lead_to_constants & among(starts, extended))].tolist())


@once_per_image
def distances(image: Image) -> Table:
    """The words by which code reaches constants without forming their addresses: REFERENCE rows. Each word of a table
    of distances leads from the table's address to a constant of the version that the table is of."""
    rows: list[Row] = []
    for start in sorted(set(_tables_of_distances(image))):
        section = next(it for it in constant_sections(image) if it.address <= start < it.end)
        end = _end(_formed_or_named(image), start, section)
        content = image.bytes_at(start, (end - start) // _HALF * _HALF)
        words = np.frombuffer(content, "<i4").astype("<i8")
        inside = _are_constant(image, words + start)
        # what follows a table without a border holds something else
        words = words[: len(inside) if inside.all() else int(inside.argmin())]
        rows += [(start + _HALF * index, start + word, word, True) for index, word in enumerate(words.tolist())]
    found = np.array(rows, REFERENCE)
    return found[np.unique(found["place"], return_index=True)[1]]


@once_per_image
def relative_targets(image: Image) -> frozenset[int]:
    """The constants that the `distances` lead to."""
    return frozenset(distances(image)["target"].tolist())


def switch_cases(image: Image, code: Code, function: range) -> dict[int, frozenset[int]]:
    """The addresses in a function to which its branches through registers lead, by the branch's own, as its jump tables
    say: by that whose address is formed just before, or by any of them. None where a branch takes its address from
    elsewhere, or has no table."""
    branches = [at for at, it in enumerate(code.forms) if it.operation is Operation.JUMP and not it.leads_to_code]
    if not branches or any("[" in code.forms[at].outline for at in branches):
        return {}
    tables = relative_tables(image)
    formed = {
        at: _cases(image, target, function)
        for at, target in enumerate(code.targets)
        if target in tables and code.forms[at].operation is Operation.ADDRESS
    }
    every = frozenset[int]().union(*formed.values())
    return {code.addresses[at]: formed.get(_table_of(code, at, formed), every) for at in branches} if every else {}


def _cases(image: Image, table: int, function: range) -> frozenset[int]:
    section = next(it for it in constant_sections(image) if it.address <= table < it.end)
    content = image.bytes_at(table, min(section.end - table, _MOST_CASES * _HALF) // _HALF * _HALF)
    found = set[int]()
    for (distance,) in struct.iter_unpack("<i", content):
        if not image.is_code(table + distance):
            break
        if table + distance in function:  # else in the part of it that seldom runs
            found.add(table + distance)
    return frozenset(found)


def _table_of(code: Code, branch: int, formed: Container[int]) -> int:
    """The index of the instruction that forms the address of the table that a branch is led by, if it runs just before:
    `lea T, table; movsxd R, [T + I*4]; add R, T; jmp R`. -1 where it may be another."""
    register = code.forms[branch].outline.split()[-1]
    added: frozenset[str] | None = None
    for index in range(branch - 1, max(-1, branch - _AROUND_BRANCH), -1):
        form = code.forms[index]
        if form.leads_to_code or form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN):
            break
        if added is None and register in form.written:
            name, operands = parts(form.outline)
            if name != "add":
                break
            added = frozenset(operands)
        elif added and not added.isdisjoint(form.written) and index in formed:
            return index
    return -1


def _tables_of_distances(image: Image) -> Iterator[int]:
    """Those of the `relative_tables` whose words code adds to their own address, soon after it loaded them."""
    formed, known = formed_constants(image), functions(image)
    starts, ends = known["start"].astype("<i8"), np.append(known["end"].astype("<i8"), 0)
    rows = among(formed.targets, np.array(sorted(relative_tables(image)), "<i8"))
    for place, target in zip(formed.places[rows].tolist(), formed.targets[rows].tolist(), strict=True):
        index = int(np.searchsorted(starts, place, side="right")) - 1
        end = max(place, min(int(ends[index]), place + _AS_FAR))
        if image.machine.adds_words(image.bytes_at(place, end - place)):
            yield target


def _halves(image: Image, addresses: Table) -> Table:
    """The four bytes at each address, as a number with sign; zero behind the end of its section."""
    found = np.zeros(len(addresses), "<i8")
    for section in constant_sections(image):
        numbers = displacements(image.section_bytes(section))
        inside = (addresses >= section.address) & (addresses < section.address + len(numbers))
        found[inside] = numbers[addresses[inside] - section.address]
    return found


def _are_constant(image: Image, addresses: Table) -> Table:
    inside = np.zeros(len(addresses), np.bool_)
    for section in constant_sections(image):
        inside |= (addresses >= section.address) & (addresses < section.end)
    return inside


def _formed_where_words_are_extended(image: Image) -> Table:
    """The constants whose addresses are formed in functions that seem to load half a word and extend its sign. Raises
    ImageError as `functions` does."""
    known, formed = functions(image), formed_constants(image)
    extending = [np.zeros(0, "<i8")]
    for section in image.sections:
        if section.is_code and section.has_bytes:
            extending.append(image.machine.extended_words(image.section_bytes(section)) + section.address)
    starts = known["start"].astype("<i8")
    functions_with = distinct(np.searchsorted(starts, np.concatenate(extending), side="right"))
    found: Table = formed.targets[among(np.searchsorted(starts, formed.places, side="right"), functions_with)]
    return found
