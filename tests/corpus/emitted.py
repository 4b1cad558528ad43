"""What the linker applied to the code of a library, as it lists it itself (`--emit-relocs`)."""

from collections.abc import Iterator
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from liveso.elf import Image, tables
from tests.corpus.emitted_rows import Row, library

# psABI x86-64, table 4.9
PC32, PLT32, GOTPCREL, GOTPCRELX, REX_GOTPCRELX = 2, 4, 9, 41, 42
TLSGD, TLSLD, DTPOFF32, GOTTPOFF, TPOFF32, TLSDESC = 19, 20, 21, 22, 23, 34
RELATIVE = frozenset({PC32, PLT32, GOTPCREL, GOTPCRELX, REX_GOTPCRELX})
THREAD_LOCAL = frozenset({TLSGD, TLSLD, DTPOFF32, GOTTPOFF, TPOFF32, TLSDESC})

_LEA = 0x8D
_HALF = 4  # bytes of a distance
_GOT = frozenset({GOTPCREL, GOTPCRELX, REX_GOTPCRELX})


@dataclass(frozen=True, slots=True)
class Emitted:
    """A place in the code that the linker filled in. `section` is the one of the symbol, `value` the symbol's."""

    place: int
    kind: int
    symbol: str
    section: str
    value: int
    addend: int
    forms_address: bool
    branches: bool
    target: int

    @property
    def leads_to_slot(self) -> bool:
        """Whether it still leads to a slot of the GOT, which holds the symbol's address."""
        return self.kind in _GOT and not (self.forms_address or self.branches)


@dataclass(frozen=True)
class Linked:
    image: Image
    emitted: tuple[Emitted, ...]
    functions: frozenset[int]
    """The addresses that symbols of functions have."""
    distances: tuple[tuple[int, bool], ...]
    """The places in read-only data that the linker filled with a distance, sorted, and whether it leads to code."""

    def into(self, *sections: str) -> set[int]:
        """The places that lead into sections by themselves."""
        return {
            it.place for it in self.emitted if it.kind in RELATIVE and it.section in sections and not it.leads_to_slot
        }

    @property
    def formed_functions(self) -> set[int]:
        return {it.place for it in self.emitted if it.forms_address and it.target in self.functions}

    def tables_of_distances(self, borders: set[int]) -> Iterator[tuple[int, set[int]]]:
        """The start of each table of distances from it, and the constants that it leads to; `borders` part tables."""
        start = before = -1
        targets: set[int] = set()
        for place, is_code in self.distances:
            if place != before + _HALF or place in borders:
                if start >= 0:
                    yield start, targets
                start, targets = place, set()
            before = place
            if not is_code:
                targets.add(start + int.from_bytes(self.image.bytes_at(place, _HALF), "little", signed=True))
        if start >= 0:
            yield start, targets


def linked(content: bytes) -> Linked:
    it = library(content)
    emitted = tuple(_emitted(it.image, row) for row in it.rows())
    return Linked(it.image, emitted, it.functions, tuple(sorted(_distances(it.elf, it.symbols))))


def _distances(elf: ELFFile, symbols: SymbolTableSection) -> Iterator[tuple[int, bool]]:
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section.name.startswith(".rela.rodata"):
            for row in section.iter_relocations():
                if row["r_info_type"] == PC32:
                    to = elf.get_section(symbols.get_symbol(row["r_info_sym"])["st_shndx"])
                    yield row["r_offset"], bool(to["sh_flags"] & tables.SHF_EXECINSTR)


def _emitted(image: Image, row: Row) -> Emitted:
    before = image.bytes_at(row.place - 2, 6)
    return Emitted(
        row.place,
        row.kind,
        row.symbol,
        row.section,
        row.value,
        row.addend,
        before[0] == _LEA and before[1] & 0xC7 == 0x05,
        before[1] in (0xE8, 0xE9) or (before[0] == 0x0F and before[1] & 0xF0 == 0x80),
        row.place + 4 + int.from_bytes(before[2:], "little", signed=True),
    )
