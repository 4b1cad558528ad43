"""What the linker applied to the code of a library for AArch64, as it lists it itself (`--emit-relocs`)."""

from dataclasses import dataclass

from liveso.elf import Image
from tests.corpus.emitted_rows import Row, library
from tests.corpus.recovered_parts import Applied

# ELF for the Arm 64-bit Architecture, "Static AArch64 relocations", "Relocations for thread-local storage"
PAGES = frozenset({275, 276})
GOT_PAGES = frozenset({311})
LOW = frozenset({277, 278, 284, 285, 286, 299})
GOT_LOW = frozenset({312})
WHOLE = frozenset({273, 274})
GOT_WHOLE = frozenset({309})
GENERAL_DYNAMIC, LOCAL_DYNAMIC = frozenset({512, 514}), frozenset({517, 519})
MODULE = "_TLS_MODULE_BASE_"
INITIAL_EXEC, DESCRIPTORS = frozenset({542, 543}), frozenset({560, 561, 563, 564})
TO_SLOTS = GENERAL_DYNAMIC | INITIAL_EXEC | DESCRIPTORS


@dataclass(frozen=True, slots=True)
class Emitted:
    """A word of code that the linker filled in: `target` is its symbol's address, in `section`, and the addend."""

    place: int
    kind: int
    symbol: str
    section: str
    target: int
    word: int

    @property
    def is_page(self) -> bool:
        """Whether an ADRP is left of what leaves a page: linkers take some away."""
        return self.word & 0x9F000000 == 0x90000000

    @property
    def is_whole(self) -> bool:
        return (self.word & 0x1F000000 == 0x10000000 and not self.is_page) or self.word & 0x3B000000 == 0x18000000

    @property
    def forms_address(self) -> bool:
        return self.word & 0xFFC00000 == 0x91000000 or self.word & 0x9F000000 == 0x10000000

    @property
    def leaves_page(self) -> bool:
        return self.is_page and self.kind in PAGES

    @property
    def leaves_got_page(self) -> bool:
        return self.kind in GOT_PAGES

    @property
    def is_to_slot(self) -> bool:
        return self.kind in TO_SLOTS

    @property
    def is_of_module(self) -> bool:
        return self.kind in LOCAL_DYNAMIC or (self.kind in TO_SLOTS and self.symbol == MODULE)

    @property
    def leads_there(self) -> bool:
        """Whether the object is reached from here by itself, and not by way of a slot that holds its address."""
        return self.kind in LOW | WHOLE or (self.kind in GOT_LOW | GOT_WHOLE and self.forms_address)


def linked(content: bytes) -> Applied:
    it = library(content)
    return Applied(it.image, tuple(_emitted(it.image, row) for row in it.rows()), it.functions)


def _emitted(image: Image, row: Row) -> Emitted:
    word = int.from_bytes(image.bytes_at(row.place, 4), "little")
    return Emitted(row.place, row.kind, row.symbol, row.section, row.value + row.addend, word)
