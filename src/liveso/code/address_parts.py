"""All addresses that code forms in parts: the page, relative to an instruction, in a register, and the rest where the
register is used, by one instruction or several (AArch64: ADRP, and ADD or an access).

From each instruction that leaves a page, registers are followed to whatever reads them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code.anchors import ADDRESS, BOUND, Reached, reached_from
from liveso.code.functions import functions, holders
from liveso.code.imports import last_calls, nothrow_calls, own_stubs, slot_names, stub_names
from liveso.code.landing_pads import landing_pads
from liveso.code.register_flow import RegisterFlow
from liveso.code.start_up import is_start_up, start_up_stubs
from liveso.code.ways import Ways
from liveso.elf import Image, Section, once_per_image, tables
from liveso.elf.data import constant_sections, constant_span, data_layout
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table
from liveso.machine import CodeWords, Part

_IN_PAGE, _LAST = 0xFFF, 0xFF8


@dataclass(frozen=True, slots=True, eq=False)
class AddressParts:
    """The addresses that an image's code forms or accesses, in the order of places: ADDRESS rows, one for each pair.

    `undecoded` are instructions that leave a page which comes to words that cannot be decoded. `unclear` are those
    that leave one which something else is done with, or nothing that could be seen, or where several meet that differ.
    Both are rows of the instruction's address and of the first address that may be meant, and the one behind the last.
    `reached` is what code reaches by way of one of the addresses that it forms, of variables and constants.
    """

    rows: Table
    undecoded: Table
    unclear: Table
    reached: Reached


@once_per_image
def address_parts(image: Image) -> AddressParts:
    """Raises ImageError as `functions` does."""
    found = list(_by_section(image))
    rows = np.concatenate([np.zeros(0, ADDRESS), *(it.rows for it in found)])
    undecoded, unclear = (
        np.unique(np.concatenate([np.zeros((0, 3), "<i8"), *it]), axis=0)
        for it in ([it.undecoded for it in found], [it.unclear for it in found])
    )
    reached = Reached(
        np.concatenate([np.zeros(0, ADDRESS), *(it.reached.rows for it in found)]),
        np.concatenate([np.zeros(0, BOUND), *(it.reached.bound for it in found)]),
        np.concatenate([np.zeros(0, "<i8"), *(it.reached.anchors for it in found)]),
    )
    return AddressParts(np.sort(rows, order=["place", "page"]), undecoded, unclear, reached)


def _by_section(image: Image) -> Iterator[AddressParts]:
    read = image.machine.code_words
    assert read is not None
    for section in image.sections:
        if section.is_code and section.has_bytes and not is_start_up(section):
            yield _in_section(image, section, read(image.section_bytes(section), section.address))


def _ways(image: Image, section: Section, words: CodeWords) -> Ways:
    known = functions(image)
    before, inside = holders(known, words.place)
    stretch = np.where(inside, before * 2 + 1, before * 2 + 2)
    ending = np.array(sorted(last_calls(stub_names(image, slot_names(image)))), "<i8")
    called = _numbers(distinct(np.fromiter(_callable(image, words), "<i8")), words)
    thrown = _thrown(image, section, words)
    stubs = np.array(sorted(own_stubs(image).items()), "<i8").reshape(-1, 2)
    return Ways(image.machine, words, stretch, called, ending, thrown, stubs)


def _thrown(image: Image, section: Section, words: CodeWords) -> Table:
    """The calls that an exception may pass, and where it goes on, by their numbers."""
    rows = landing_pads(image)
    rows = rows[(rows["start"] >= section.address) & (rows["end"] <= section.end)]
    rows = rows[(rows["pad"] >= section.address) & (rows["pad"] < section.end)]
    silent = nothrow_calls(stub_names(image, slot_names(image)))
    calls = np.flatnonzero(words.calls & ~among(words.target, np.array(sorted(silent), "<i8")))
    low, high = (np.searchsorted(words.place[calls], rows[name]) for name in ("start", "end"))
    numbers = [calls[one:other] for one, other in zip(low.tolist(), high.tolist(), strict=True)]
    sources = np.concatenate([np.zeros(0, "<i8"), *numbers])
    pads = np.repeat(words.numbers(rows["pad"]), high - low)
    return np.stack([sources, pads], axis=1)[pads >= 0]


def _numbers(addresses: Table, words: CodeWords) -> Table:
    """The numbers of the words that begin at some of the addresses."""
    found = words.numbers(addresses)
    return found[found >= 0]


def _callable(image: Image, words: CodeWords) -> Iterator[int]:
    yield from _known_entries(image, words)
    yield from distinct(words.number[words.part == Part.WHOLE]).tolist()


def _known_entries(image: Image, words: CodeWords) -> Iterator[int]:
    yield from (it.value for it in image.symbols if it.is_defined and it.type == tables.STT_FUNC)
    yield from image.relocations["addend"][image.relocations["type"] == image.machine.relative].tolist()
    yield from distinct(words.target[words.calls & (words.target >= 0)]).tolist()


def _may_be_data(image: Image, ways: Ways) -> Table:
    """Which words lie between functions with unwind entries, where no branch and no call leads to them, nor to what
    comes before them: hand-written assembly has tables there, and any number may look like an instruction."""
    numbers = np.arange(len(ways.stretch))
    is_entry = ways.is_led_to.copy()
    is_entry[_numbers(distinct(np.fromiter(_known_entries(image, ways.words), "<i8")), ways.words)] = True
    entry = np.maximum.accumulate(np.where(is_entry, numbers, -1))
    begin = np.maximum.accumulate(np.where(np.append(True, ~ways.falls[:-1]), numbers, 0))
    found: Table = (ways.stretch % 2 == 0) & (entry < begin)
    return found


def _in_section(image: Image, section: Section, words: CodeWords) -> AddressParts:
    flow = RegisterFlow(_ways(image, section, words))
    stubs = start_up_stubs(image, functions(image))
    places = words.place
    own = (places < stubs.start) | (places >= stubs.stop)
    reach = _reach(image)
    inside = (words.number + reach.stop > 0) & (words.number + reach.start < image.size_in_memory) & own
    origins = np.flatnonzero(((words.part == Part.PAGE) | _may_be_page(words, places)) & inside)
    pages = words.number[origins]
    followed = flow.follow(origins, words.result[origins])
    at, _register, origin = followed.summands.T
    uses, which = np.unique(followed.summands[:, :2], axis=0, return_inverse=True)
    mixed = flow.have_other_origins(uses, origins, is_frame_known=True)[which.reshape(-1)]
    others, which = np.unique(followed.others[:, :2], axis=0, return_inverse=True)
    odd = ~flow.have_other_origins(others, origins, is_frame_known=False)[which.reshape(-1)]
    rows = np.zeros(len(at), ADDRESS)
    rows["page"], rows["place"] = places[origins[origin]], places[at]
    rows["number"], rows["target"] = words.number[at], pages[origin] + words.number[at]
    rows["forms_address"] = words.part[at] == Part.SUM
    doubtful = mixed | _differ(rows)
    used = np.zeros(len(origins), np.bool_)
    used[origin] = True
    by_itself = words.part[origins] == Part.WHOLE
    lost = np.concatenate([followed.others[odd, 2], np.flatnonzero(~used)])
    undecoded = followed.undecoded[:, 2]
    certain = rows["target"][doubtful]
    unclear = [_pages(places, pages, origins, lost[~by_itself[lost]], reach)]
    unclear.append(np.stack([places[origins[origin[doubtful]]], certain, certain + 1], axis=1))
    alone = _single(words, places, inside)
    alone = alone[~among(alone["place"], rows["page"])]
    is_odd = _may_be_data(image, flow.ways)[words.numbers(alone["place"].astype("<i8"))]
    told = alone["target"][is_odd]
    unclear.append(np.stack([alone["place"][is_odd].astype("<i8"), told, told + 1], axis=1))
    alone = alone[~is_odd]
    certain_rows = distinct(np.concatenate([rows[~doubtful], alone]))
    formed = certain_rows[certain_rows["forms_address"]]
    numbers = words.numbers(formed["place"].astype("<i8"))
    fixed = (range(it.address, it.end) for it in constant_sections(image))
    spans = data_layout(image).span, constant_span(image), *fixed
    return AddressParts(
        certain_rows,
        _pages(places, pages, origins, undecoded[~by_itself[undecoded]], reach),
        np.concatenate(unclear),
        reached_from(flow, places, numbers, formed["target"], spans),
    )


def _may_be_page(words: CodeWords, places: Table) -> Table:
    """Linkers put an ADR in the place of an ADRP at the end of a page of code, which a processor may compute wrongly
    (Arm Cortex-A53, erratum 843419)."""
    found: Table = (words.part == Part.WHOLE) & (words.number & _IN_PAGE == 0) & (places & _IN_PAGE >= _LAST)
    return found


def _reach(image: Image) -> range:
    parts = image.machine.parts
    assert parts is not None
    return parts.reach


def _pages(places: Table, pages: Table, origins: Table, which: Table, reach: range) -> Table:
    return np.stack([places[origins[which]], pages[which] + reach.start, pages[which] + reach.stop], axis=1)


def _single(words: CodeWords, places: Table, own: Table) -> Table:
    """The addresses of which one instruction has all."""
    at = np.flatnonzero(((words.part == Part.WHOLE) | (words.part == Part.LITERAL)) & own)
    found = np.zeros(len(at), ADDRESS)
    found["page"] = found["place"] = places[at]
    found["target"], found["number"] = words.number[at], words.number[at] - places[at]
    found["forms_address"] = words.part[at] == Part.WHOLE
    return found


def _differ(rows: Table) -> Table:
    """Those at whose places other addresses are formed, too."""
    pairs = distinct(rows[["place", "target"]])
    places, counts = np.unique(pairs["place"], return_counts=True)
    found: Table = among(rows["place"], places[counts > 1])
    return found
