"""Relink: apply the relocations of a version that was just opened again, each thing at its home, before any of its
code runs."""

from dataclasses import dataclass

import numpy as np

from liveso.code import References
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.address_map import AddressMap
from liveso.plan.displacements import displacements
from liveso.plan.homes import Placement
from liveso.plan.parts import part_changes
from liveso.plan.thread_locals import ThreadBlocks, relink_thread_locals
from liveso.process.protocol import WORD
from liveso.verdict import PairAnalysis


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What relinking must know of the target besides homes: the addresses of all `versions` of the library, from one up
    to another, the thread-local blocks, and the address of the mark by which the first version that has one knows its
    panics."""

    versions: tuple[tuple[int, int], ...]
    blocks: ThreadBlocks
    panic_mark: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Relocations that the prepared copy has not, by their rows in the image: `imports` with the address that each
    shall leave, and `own`, which refer to symbols of the image itself."""

    imports: dict[int, int]
    own: frozenset[int] = frozenset()

    @property
    def rows(self) -> frozenset[int]:
        return self.own.union(self.imports)


@dataclass(frozen=True)
class Relinking:
    """What relinking changes: displacements in the code (`halves`) and relocated words."""

    halves: Table
    words: Table


def relink(
    new: Image,
    analysis: PairAnalysis,
    placement: Placement,
    around: Surroundings,
    bound: dict[int, int],
    left_out: LeftOut,
) -> Relinking:
    """Lead `new`, which is loaded, to what lives in homes.

    `bound` has the present value of each word of `new` that was relocated by symbol, by its offset. Raises Refused
    where that cannot be done completely.
    """
    base, references, mark = placement.map.base, analysis.references, analysis.panic_mark
    thread_words, thread_halves = relink_thread_locals(new, analysis.thread_references, placement, around.blocks)
    words = [
        *_relative_words(new, placement),
        *_bound_words(new, placement, around, bound),
        *thread_words,
        *_left_out_words(new, placement, left_out),
    ]
    rows = np.concatenate([references.table, references.constants, references.functions])
    rows = rows[np.unique(rows["place"], return_index=True)[1]]
    halves = np.concatenate([_code_words(new, references, rows, placement), thread_halves])
    if mark and around.panic_mark is not None:
        if not mark.is_clear:
            raise Refused("its code may take panics of the old version for foreign ones, which end the program")
        led_to = np.full(len(mark.references), around.panic_mark, "<i8")
        halves = np.concatenate([halves, displacements(mark.references, base, led_to)])
    return Relinking(halves, np.array(words, WORD))


def _code_words(new: Image, references: References, rows: Table, placement: Placement) -> Table:
    if new.machine.parts is not None:
        return part_changes(new, new.machine.parts, references, rows, placement)
    base = placement.map.base
    led_to = placement.all_led_to(rows["place"], rows["target"])
    elsewhere = led_to != rows["target"].astype("<i8") + base
    return displacements(rows[elsewhere], base, led_to[elsewhere])


def _relative_words(new: Image, placement: Placement) -> list[tuple[int, int, int]]:
    """Words that hold an address of the image: RELATIVE relocations."""
    base = placement.map.base
    rows = new.relocations[new.relocations["type"] == new.machine.relative]
    led_to = placement.all_led_to(rows["offset"], rows["addend"])
    elsewhere = led_to != rows["addend"] + base
    return [
        (base + offset, base + addend, address)
        for (offset, _type, _symbol, addend), address in zip(
            rows[elsewhere].tolist(), led_to[elsewhere].tolist(), strict=True
        )
    ]


def _bound_words(
    new: Image, placement: Placement, around: Surroundings, bound: dict[int, int]
) -> list[tuple[int, int, int]]:
    """Words that ld.so filled by name. One that led to the new version's own variable goes to its home; one that led
    to a constant or function of some version of the library goes to where that is known."""
    base, span = placement.map.base, data_layout(new).span
    changes = []
    for offset, kind, index, addend in new.relocations.tolist():
        value = bound.get(offset)
        if value is None:
            continue
        symbol = new.symbols[index] if index else None
        led_to = value
        if span and span.start <= value - base <= span.stop:
            led_to = placement.led_to(offset, value - base)
        elif symbol and _is_fixed(symbol, span) and any(low <= value < high for low, high in around.versions):
            led_to = _led_to(new, kind, symbol, placement.map) + addend
        if value != led_to:
            changes.append((base + offset, value, led_to))
    return changes


def _left_out_words(new: Image, placement: Placement, left_out: LeftOut) -> list[tuple[int, int, int]]:
    """Words that ld.so left as they are in the file."""
    base, span = placement.map.base, data_layout(new).span
    found = dict(left_out.imports)
    for row in left_out.own:
        offset, kind, index, addend = new.relocations[row].item()
        symbol = new.symbols[index]
        if symbol.value in span:
            found[row] = placement.led_to(offset, symbol.value) + addend
        else:
            found[row] = _led_to(new, kind, symbol, placement.map) + addend
    offsets = {row: int(new.relocations["offset"][row]) for row in found}
    return [(base + offsets[row], new.word_at(offsets[row]), value) for row, value in found.items()]


def _led_to(new: Image, kind: int, symbol: Symbol, loaded: AddressMap) -> int:
    """Where a word of some kind leads that refers to a symbol of the new version: one that is only called through leads
    there, without the way by the home."""
    return loaded.own(symbol.value) if kind == new.machine.jump_slot else loaded.home(symbol.value)


def _is_fixed(symbol: Symbol, span: range) -> bool:
    return symbol.type in (tables.STT_OBJECT, tables.STT_FUNC) and symbol.is_defined and symbol.value not in span
