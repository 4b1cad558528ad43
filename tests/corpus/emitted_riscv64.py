"""What the linker applied to the code of a library for RISC-V, as it lists it itself (`--emit-relocs`)."""

from collections.abc import Iterator
from dataclasses import dataclass

from liveso.elf import Image
from tests.corpus.emitted_rows import Row, library
from tests.corpus.recovered_parts import Applied

# RISC-V ELF psABI, "Relocations"
GOT, THREAD_SLOT, THREAD_PAIR, PAGE = 20, 21, 22, 23
LOW, LOW_OF_STORE = 24, 25
PAGES = frozenset({GOT, THREAD_SLOT, THREAD_PAIR, PAGE})


@dataclass(frozen=True, slots=True)
class Emitted:
    """An instruction that the linker filled in: `page` is that of the AUIPC which it goes on from, or its own, and
    `kind` that one's; `target` is its symbol's address, in `section`, and the addend."""

    place: int
    page: int
    kind: int
    symbol: str
    section: str
    target: int
    word: int

    is_whole = False
    is_of_module = False

    @property
    def is_page(self) -> bool:
        return self.place == self.page

    @property
    def leaves_page(self) -> bool:
        return self.is_page and self.kind == PAGE

    @property
    def leaves_got_page(self) -> bool:
        return self.is_page and self.kind == GOT

    @property
    def forms_address(self) -> bool:
        return not self.is_page and self.word & 0x707F == 0x13

    @property
    def leads_there(self) -> bool:
        return not self.is_page and self.kind == PAGE

    @property
    def is_to_slot(self) -> bool:
        return not self.is_page and self.kind in (THREAD_SLOT, THREAD_PAIR)


def linked(content: bytes) -> Applied:
    it = library(content)
    return Applied(it.image, tuple(_emitted(it.image, list(it.rows()))), it.functions)


def _emitted(image: Image, rows: list[Row]) -> Iterator[Emitted]:
    pages = {it.place: it for it in rows if it.kind in PAGES}
    for row in rows:
        page = row if row.kind in PAGES else None
        if row.kind in (LOW, LOW_OF_STORE):
            page = pages[row.value]  # the symbol is a label at the AUIPC
        if page is not None:
            word = int.from_bytes(image.bytes_at(row.place, 4), "little")
            target = page.value + page.addend
            yield Emitted(row.place, page.place, page.kind, page.symbol, page.section, target, word)
