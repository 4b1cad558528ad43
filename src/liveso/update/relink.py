"""Relink: lead the references of a version that was just opened to the variables' homes, before any of it runs."""

from dataclasses import dataclass

import numpy as np

from liveso.code import PanicMark, References
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.store import own_tls_relocations
from liveso.target.protocol import HALF, WORD
from liveso.update.homes import Placement, table_address
from liveso.update.record import LoadedVersion


@dataclass(frozen=True, slots=True)
class Home:
    """The version that a target loaded by itself, with its load address, and where the variables and tables of the
    version that is relinked, `loaded`, live.

    `tls_module` is its module ID, `tls_offset` the distance of its block from the thread pointer in bytes, None where
    its block has no fixed one. `panic_mark` is the address of the first version's that has one.
    """

    image: Image
    base: int
    placement: Placement
    loaded: LoadedVersion
    tls_module: int
    tls_offset: int | None
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
    base: int,
    references: References,
    mark: PanicMark | None,
    home: Home,
    bound: dict[int, int],
    left_out: LeftOut,
) -> Relinking:
    """Lead `new`, loaded at `base`, to the variables at `home`.

    `bound` has the present value of each word of `new` that was relocated by symbol, by its offset. `mark` is what its
    code knows its panics by. Raises Refused where that cannot be done completely.
    """
    words = [
        *_relative_words(new, base, home.placement),
        *_table_words(new, home.loaded),
        *_bound_words(new, base, home, bound),
        *_tls_words(new, base, home),
        *_left_out_words(new, home, left_out),
    ]
    table = references.table
    led_to = home.placement.all_led_to(table["place"], table["target"].astype("<i8") - data_layout(new).span.start)
    halves = np.concatenate([_displacements(table, base, led_to), _table_displacements(references, home.loaded)])
    if mark and home.panic_mark is not None:
        if not mark.is_clear:
            raise Refused("its code may take panics of the old version for foreign ones, which end the program")
        led_to = np.full(len(mark.references), home.panic_mark, "<i8")
        halves = np.concatenate([halves, _displacements(mark.references, base, led_to)])
    return Relinking(halves, np.array(words, WORD))


def _table_displacements(references: References, loaded: LoadedVersion) -> Table:
    """The changes to the references to constant tables that live with an earlier version."""
    targets = references.constants["target"].astype("<i8")
    led_to = np.array([table_address(loaded, it) for it in targets.tolist()], "<i8")
    elsewhere = led_to != targets + loaded.base
    table, led_to = references.constants[elsewhere], led_to[elsewhere]
    return _displacements(table, loaded.base, led_to)


def _displacements(table: Table, base: int, led_to: Table) -> Table:
    """The changes to the references in `table`, each of which shall lead to the address in `led_to`."""
    if not len(table):
        return np.zeros(0, HALF)
    distances = led_to - (table["target"].astype("<i8") + base)
    displacements = table["displacement"].astype("<i8") + distances
    if not (displacements.min() >= -(1 << 31) and displacements.max() < 1 << 31):
        raise Refused(
            f"the new version could only be loaded {int(abs(distances).max()) / 2**30:.1f} GiB from the variables, "
            "its code reaches 2 GiB; restart the program to get it"
        )
    halves = np.zeros(len(table), HALF)
    halves["address"] = table["place"] + np.uint64(base)
    halves["expected"] = table["displacement"].view("<u4")
    halves["value"] = displacements.astype("<i4").view("<u4")
    return halves


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


def _table_words(new: Image, loaded: LoadedVersion) -> list[tuple[int, int, int]]:
    """Words that hold the address of a constant table, by its place, that lives with an earlier version."""
    rows = new.relocations[new.relocations["type"] == new.machine.relative]
    return [
        (loaded.base + offset, loaded.base + addend, table_address(loaded, addend))
        for offset, _type, _symbol, addend in rows.tolist()
        if table_address(loaded, addend) != loaded.base + addend
    ]


def _bound_words(new: Image, base: int, home: Home, bound: dict[int, int]) -> list[tuple[int, int, int]]:
    """Words that ld.so filled by name. One that led to the new version's own variable goes to its home; one that led
    to a constant of the old version goes to the new one's."""
    span = data_layout(new).span
    old_end = home.base + home.image.size_in_memory
    changes = []
    for offset, _type, index, addend in new.relocations.tolist():
        value = bound.get(offset)
        if value is None:
            continue
        symbol = new.symbols[index] if index else None
        if span and span.start <= value - base <= span.stop:
            changes.append((base + offset, value, home.placement.led_to(offset, value - base - span.start)))
        elif symbol and _is_constant(symbol, span):
            led_to = table_address(home.loaded, symbol.value) + addend
            if value != led_to and (home.base <= value < old_end or value == base + symbol.value + addend):
                changes.append((base + offset, value, led_to))
    return changes


def _left_out_words(new: Image, home: Home, left_out: LeftOut) -> list[tuple[int, int, int]]:
    """Words that ld.so left as they are in the file."""
    span = data_layout(new).span
    found = dict(left_out.imports)
    for row in left_out.own:
        offset, _type, index, addend = new.relocations[row].item()
        value = new.symbols[index].value
        if value in span:
            found[row] = home.placement.led_to(offset, value - span.start) + addend
        else:
            found[row] = table_address(home.loaded, value) + addend
    offsets = {row: int(new.relocations["offset"][row]) for row in found}
    base = home.loaded.base
    return [(base + offsets[row], _initial(new, offsets[row]), value) for row, value in found.items()]


def _is_constant(symbol: Symbol, span: range) -> bool:
    return symbol.type == tables.STT_OBJECT and symbol.is_defined and symbol.value not in span


def _tls_words(new: Image, base: int, home: Home) -> list[tuple[int, int, int]]:
    """Words that lead to thread-local variables: those of the module that the threads have blocks of (ELF TLS, 3.4).

    ld.so left them as they are in the file, because the prepared copy has no relocations for them.
    """
    machine, changes = new.machine, []
    for row in own_tls_relocations(new):
        offset, kind, index, addend = new.relocations[row].item()
        start = (new.symbols[index].value if index else 0) + addend
        if kind == machine.tls_module:
            value = home.tls_module
        elif kind == machine.tls_offset:
            value = start
        elif home.tls_offset is not None:
            value = home.tls_offset + start
        else:
            raise Refused("its thread-local variables have no fixed place in this process; restart the program")
        changes.append((base + offset, _initial(new, offset), value % (1 << 8 * machine.word)))
    return changes


def _initial(new: Image, offset: int) -> int:
    return int.from_bytes(new.bytes_at(offset, new.machine.word), "little")
