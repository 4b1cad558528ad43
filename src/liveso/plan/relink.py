"""Relink: lead the references of a version that was just opened to the variables' homes, before any of it runs."""

from dataclasses import dataclass

import numpy as np

from liveso.code import PanicMark, References, ThreadLocalReferences
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.displacements import displacements
from liveso.plan.homes import Placement, object_address
from liveso.plan.record import LoadedVersion
from liveso.plan.thread_locals import ThreadHome, relink_thread_locals
from liveso.process.protocol import WORD


@dataclass(frozen=True, slots=True)
class Home:
    """Where the variables, those of each thread, tables and functions of the version that is relinked, `loaded`, live.
    `versions` are the addresses of all versions, from one up to another. `panic_mark` is the address of the first
    version's that has one.
    """

    versions: tuple[tuple[int, int], ...]
    placement: Placement
    threads: ThreadHome
    loaded: LoadedVersion
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
    references: References,
    thread_references: ThreadLocalReferences,
    mark: PanicMark | None,
    home: Home,
    bound: dict[int, int],
    left_out: LeftOut,
) -> Relinking:
    """Lead `new`, which is loaded, to the variables at `home`.

    `bound` has the present value of each word of `new` that was relocated by symbol, by its offset. `mark` is what its
    code knows its panics by. Raises Refused where that cannot be done completely.
    """
    base = home.loaded.base
    thread_words, thread_halves = relink_thread_locals(new, base, thread_references, home.threads)
    words = [
        *_relative_words(new, base, home.placement),
        *_object_words(new, home.loaded),
        *_bound_words(new, base, home, bound),
        *thread_words,
        *_left_out_words(new, home, left_out),
    ]
    table = references.table
    led_to = home.placement.all_led_to(table["place"], table["target"].astype("<i8") - data_layout(new).span.start)
    objects = (_object_displacements(it, home.loaded) for it in (references.constants, references.functions))
    halves = np.concatenate([displacements(table, base, led_to), *objects, thread_halves])
    if mark and home.panic_mark is not None:
        if not mark.is_clear:
            raise Refused("its code may take panics of the old version for foreign ones, which end the program")
        led_to = np.full(len(mark.references), home.panic_mark, "<i8")
        halves = np.concatenate([halves, displacements(mark.references, base, led_to)])
    return Relinking(halves, np.array(words, WORD))


def _object_displacements(table: Table, loaded: LoadedVersion) -> Table:
    """The changes to the references to constants and functions that are known by the address of an earlier version."""
    targets = table["target"].astype("<i8")
    led_to = np.array([object_address(loaded, it) for it in targets.tolist()], "<i8")
    elsewhere = led_to != targets + loaded.base
    return displacements(table[elsewhere], loaded.base, led_to[elsewhere])


def _relative_words(new: Image, base: int, placement: Placement) -> list[tuple[int, int, int]]:
    """Words that hold the address of a variable by its place: RELATIVE relocations."""
    span = data_layout(new).span
    if not span:
        return []
    table = new.relocations
    rows = table[
        (table["type"] == new.machine.relative) & (table["addend"] >= span.start) & (table["addend"] <= span.stop)
    ]
    led_to = placement.all_led_to(rows["offset"], rows["addend"] - span.start)
    return [
        (base + offset, base + addend, address)
        for (offset, _type, _symbol, addend), address in zip(rows.tolist(), led_to.tolist(), strict=True)
    ]


def _object_words(new: Image, loaded: LoadedVersion) -> list[tuple[int, int, int]]:
    """Words that hold the address of a constant or function, by its place, that is known by that of an earlier
    version."""
    span = data_layout(new).span
    rows = new.relocations[new.relocations["type"] == new.machine.relative]
    rows = rows[(rows["addend"] < span.start) | (rows["addend"] > span.stop)] if span else rows
    return [
        (loaded.base + offset, loaded.base + addend, object_address(loaded, addend))
        for offset, _type, _symbol, addend in rows.tolist()
        if object_address(loaded, addend) != loaded.base + addend
    ]


def _bound_words(new: Image, base: int, home: Home, bound: dict[int, int]) -> list[tuple[int, int, int]]:
    """Words that ld.so filled by name. One that led to the new version's own variable goes to its home; one that led
    to a constant or function of some version of the library goes to where that is known."""
    span = data_layout(new).span
    changes = []
    for offset, kind, index, addend in new.relocations.tolist():
        value = bound.get(offset)
        if value is None:
            continue
        symbol = new.symbols[index] if index else None
        if span and span.start <= value - base <= span.stop:
            changes.append((base + offset, value, home.placement.led_to(offset, value - base - span.start)))
        elif symbol and _is_fixed(symbol, span) and any(low <= value < high for low, high in home.versions):
            led_to = _led_to(new, kind, symbol, home.loaded) + addend
            if value != led_to:
                changes.append((base + offset, value, led_to))
    return changes


def _left_out_words(new: Image, home: Home, left_out: LeftOut) -> list[tuple[int, int, int]]:
    """Words that ld.so left as they are in the file."""
    span = data_layout(new).span
    found = dict(left_out.imports)
    for row in left_out.own:
        offset, kind, index, addend = new.relocations[row].item()
        symbol = new.symbols[index]
        if symbol.value in span:
            found[row] = home.placement.led_to(offset, symbol.value - span.start) + addend
        else:
            found[row] = _led_to(new, kind, symbol, home.loaded) + addend
    offsets = {row: int(new.relocations["offset"][row]) for row in found}
    base = home.loaded.base
    return [(base + offsets[row], new.word_at(offsets[row]), value) for row, value in found.items()]


def _led_to(new: Image, kind: int, symbol: Symbol, loaded: LoadedVersion) -> int:
    """Where a word of some kind leads that refers to a symbol of the new version: one that is only called through leads
    there, without the way by the home."""
    return loaded.base + symbol.value if kind == new.machine.jump_slot else object_address(loaded, symbol.value)


def _is_fixed(symbol: Symbol, span: range) -> bool:
    return symbol.type in (tables.STT_OBJECT, tables.STT_FUNC) and symbol.is_defined and symbol.value not in span
