"""What a linker says that it applied to the code of a library (`--emit-relocs`), row by row, whatever the machine."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from liveso.code.functions import functions as ranges
from liveso.code.start_up import start_up_stubs
from liveso.elf import Image, read_image, tables

_START_UP = (".plt", ".init", ".fini")


@dataclass(frozen=True, slots=True)
class Row:
    """A relocation of code: `section` is the one of the symbol, `value` the symbol's."""

    place: int
    kind: int
    symbol: str
    section: str
    value: int
    addend: int


@dataclass(frozen=True)
class Library:
    """A library that has its symbols and its linker's list."""

    elf: ELFFile
    image: Image
    symbols: SymbolTableSection

    @property
    def functions(self) -> frozenset[int]:
        """The addresses that symbols of functions have."""
        return frozenset(
            it["st_value"]
            for it in self.symbols.iter_symbols()
            if it["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC") and isinstance(it["st_shndx"], int)
        )

    def rows(self) -> Iterator[Row]:
        """What the linker applied to code, but for its own."""
        stubs = start_up_stubs(self.image, ranges(self.image))
        for section in self.elf.iter_sections():
            if not isinstance(section, RelocationSection) or not section["sh_info"]:
                continue
            about = self.elf.get_section(section["sh_info"])
            if not about["sh_flags"] & tables.SHF_EXECINSTR or about.name.startswith(_START_UP):
                continue
            for row in section.iter_relocations():
                symbol = self.symbols.get_symbol(row["r_info_sym"])
                index, place = symbol["st_shndx"], row["r_offset"]
                if place not in stubs:
                    name = self.elf.get_section(index).name if isinstance(index, int) else ""
                    yield Row(place, row["r_info_type"], symbol.name, name, symbol["st_value"], row["r_addend"])


def library(content: bytes) -> Library:
    elf = ELFFile(io.BytesIO(content))
    symbols = next(it for it in elf.iter_sections() if isinstance(it, SymbolTableSection) and it.name == ".symtab")
    return Library(elf, read_image(content), symbols)
