"""Where an image keeps its variables, and which of its writable memory belongs to the dynamic linker instead."""

from dataclasses import dataclass

import numpy as np

from liveso.elf import tables
from liveso.elf.image import Image, Section, once_per_image
from liveso.elf.tables import Table
from liveso.errors import ImageError

LINKER_OWNED = frozenset(
    {".init_array", ".fini_array", ".preinit_array", ".ctors", ".dtors", ".jcr", ".dynamic", ".got", ".got.plt"}
)
_SLOTS_OF_PLT, _SLOTS = ".got.plt", ".got"
CONSTANT_AFTER_RELOCATION = (".data.rel.ro", ".tm_clone_table")


@dataclass(frozen=True, slots=True)
class DataLayout:
    """The writable memory that holds variables.

    `span` are the addresses from the first variable to the last, relative to the load address; `sections` what
    lies there, in order, but for the linker's own at the addresses `gaps`.
    """

    span: range
    sections: tuple[Section, ...]
    gaps: tuple[range, ...] = ()

    def holds(self, address: int) -> bool:
        return address in self.span and not any(address in gap for gap in self.gaps)

    def are_in_gaps(self, addresses: Table) -> Table:
        """Which of many addresses are the linker's."""
        found = np.zeros(len(addresses), np.bool_)
        for gap in self.gaps:
            found |= (addresses >= gap.start) & (addresses < gap.stop)
        return found


def is_linker_owned(section: Section) -> bool:
    return section.name in LINKER_OWNED


@once_per_image
def data_layout(image: Image) -> DataLayout:
    """The layout of an image's variables.

    What RELRO protects, the linker's tables and constants that only relocation writes are not variables. lld puts the
    slots of a PLT that is bound lazily between them, which no code but the PLT's refers to; GNU ld for RISC-V put all
    slots there before version 2.41, which code refers to by parts of addresses. Raises ImageError where
    other linker tables lie there, and where code reaches some variables by other means than displacements.
    """
    writable = sorted(
        (
            section
            for section in image.sections
            if section.is_allocated and section.is_writable and not section.is_thread_local
        ),
        key=lambda section: section.address,
    )
    variables = tuple(section for section in writable if _holds_variables(image, section) and section.size)
    if not variables:
        return DataLayout(range(0), ())
    span = range(variables[0].address, max(section.end for section in variables))
    for section in variables:
        if section.flags & image.machine.far_section:
            raise ImageError(
                f"its section {section.name} is of the medium code model (-mcmodel=medium), in which references to "
                "variables cannot be followed; compile it for the default model"
            )
    gaps, linkers = [], {_SLOTS_OF_PLT} if image.machine.parts is None else {_SLOTS_OF_PLT, _SLOTS}
    for section in writable:
        if section.size and section not in variables and section.address in span:
            if section.name not in linkers:
                raise ImageError(f"the linker's {section.name} lies between its variables")
            gaps.append(range(section.address, section.end))
    return DataLayout(span, variables, tuple(gaps))


@once_per_image
def constant_span(image: Image) -> range:
    """The addresses of constants that only relocation writes: tables of pointers. Empty where there are none; where
    something else lies between them, as gold puts the arrays of initialisers there, the longest part without."""
    present = sorted((it for it in image.sections if _has_addresses(it)), key=lambda it: it.address)
    spans: list[range] = []
    is_open = False
    for it in present:
        is_constant = it.name.startswith(CONSTANT_AFTER_RELOCATION[0])
        if is_constant and is_open:
            spans[-1] = range(spans[-1].start, it.end)
        elif is_constant:
            spans.append(range(it.address, it.end))
        is_open = is_constant
    return max(spans, key=len, default=range(0))


def _has_addresses(section: Section) -> bool:
    """Whether nothing else lies at a section's addresses: the zeros of thread-local storage are in no memory of the
    image (gABI, "Special Sections", .tbss)."""
    is_template = section.is_thread_local and section.type == tables.SHT_NOBITS
    return bool(section.is_allocated and section.size and not is_template)


@once_per_image
def constant_sections(image: Image) -> tuple[Section, ...]:
    """The sections that hold constants, in the order of their addresses: those of `constant_span`, too."""
    span = data_layout(image).span
    found = (
        it
        for it in image.sections
        if it.is_allocated
        and it.type == tables.SHT_PROGBITS
        and it.size
        and not it.is_code
        and not it.is_thread_local
        and not is_linker_owned(it)
        and it.address not in span
    )
    return tuple(sorted(found, key=lambda it: it.address))


def _holds_variables(image: Image, section: Section) -> bool:
    return (
        not is_linker_owned(section)
        and not section.name.startswith(CONSTANT_AFTER_RELOCATION)
        and section.address not in image.relro
    )
