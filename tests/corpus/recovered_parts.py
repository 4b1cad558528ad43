"""What is recovered of stripped code that forms addresses in parts, against what the linker applied there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from liveso.code import data_references, formed_constants, thread_local_references
from liveso.code.reference import References
from liveso.elf import Image
from liveso.elf.data import constant_sections, constant_span, data_layout


class Emitted(Protocol):
    """An instruction that the linker filled in: it is for the object at `target`, in `section`, or leads to a slot."""

    @property
    def place(self) -> int: ...
    @property
    def symbol(self) -> str: ...
    @property
    def section(self) -> str: ...
    @property
    def target(self) -> int: ...
    @property
    def is_whole(self) -> bool:
        """Whether it holds all of an address."""

    @property
    def leaves_page(self) -> bool:
        """Whether it leaves a page of the object itself in a register."""

    @property
    def leaves_got_page(self) -> bool:
        """Whether it leaves that of a slot with the object's address."""

    @property
    def forms_address(self) -> bool: ...
    @property
    def leads_there(self) -> bool:
        """Whether the object is reached from here by itself, and not by way of a slot that holds its address."""

    @property
    def is_to_slot(self) -> bool:
        """Whether it leads to a slot of thread-local storage."""

    @property
    def is_of_module(self) -> bool:
        """Whether that slot stands for all of the module's."""


@dataclass(frozen=True)
class Applied:
    image: Image
    emitted: Sequence[Emitted]
    functions: frozenset[int]
    """The addresses that symbols of functions have."""

    def into(self, *sections: str) -> list[Emitted]:
        return [it for it in self.emitted if it.section in sections and it.leads_there]

    def pages(self, *sections: str) -> set[int]:
        """The places that leave pages in sections, and not of slots that hold addresses there."""
        return {it.place for it in self.emitted if it.leaves_page and it.section in sections}

    @property
    def got_pages(self) -> set[int]:
        return {it.place for it in self.emitted if it.leaves_got_page}

    @property
    def formed_functions(self) -> set[int]:
        return {it.place for it in self.emitted if it.leads_there and it.forms_address and it.target in self.functions}


def assert_recovered(image: Image, expected: Applied) -> None:
    """Whether the same places are found in `image`, which is stripped, and for each of them the instructions that leave
    the page which it adds to."""
    found = data_references(image)
    assert not found.undecoded and not found.unclear and not found.outside and not found.doubtful
    variables = [it.name for it in data_layout(image).sections]
    to_variables = expected.into(*variables)
    assert len(to_variables) > 10
    assert _places(found.table) == {(it.place, it.target, it.forms_address) for it in to_variables}
    span = constant_span(image)
    tables = [it.name for it in image.sections if it.size and it.address in span and not it.is_thread_local]
    to_constants = expected.into(*tables)
    assert _places(found.constants) == {(it.place, it.target, it.forms_address) for it in to_constants}
    assert set(found.functions["place"].tolist()) == expected.formed_functions
    _pages_are_found(found, expected, [*variables, *tables], [*to_variables, *to_constants])
    constants = {it.name for it in constant_sections(image)}
    formed = {it.place for it in expected.into(*constants) if it.forms_address}
    assert formed <= set(formed_constants(image).places.tolist())
    _thread_locals_are_found(image, expected)


def _places(table: object) -> set[tuple[int, int, bool]]:
    rows = table[["place", "target", "forms_address"]].tolist()  # type: ignore[index]
    assert len(rows) == len(set(rows))
    return set(rows)


def _pages_are_found(found: References, expected: Applied, sections: list[str], places: list[Emitted]) -> None:
    """Each place has its page, if it does not hold all, and each page a place."""
    objects = {it.place for it in places}
    pairs = [(place, page) for place, page in found.pages.tolist() if place in objects]
    assert {place for place, _page in pairs} == {it.place for it in places if not it.is_whole}
    # where linkers replace a load from a slot by a sum, its page is the variable's now
    assert {page for _place, page in pairs} - expected.got_pages == expected.pages(*sections)


def _thread_locals_are_found(image: Image, expected: Applied) -> None:
    found = thread_local_references(image)
    to_slots = [it for it in expected.emitted if it.is_to_slot and it.section]
    to_module = {it.place for it in expected.emitted if it.is_of_module}
    assert set(found.table["place"].tolist()) == {it.place for it in to_slots} - to_module
    assert set(found.sites["place"].tolist()) == to_module
    assert bool(found.unclear) == bool(to_module)  # what moves is refused then
