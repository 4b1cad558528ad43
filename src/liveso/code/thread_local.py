"""What an image's code says about its own thread-local variables (ELF TLS, 4: how code accesses them)."""

from dataclasses import dataclass, field

import numpy as np

from liveso.code.block_address import Access
from liveso.code.functions import functions, holders
from liveso.code.imports import last_calls, slot_names, stub_names
from liveso.code.module_base import Accesses, accesses
from liveso.code.references import PAGE, REFERENCE, pages_of, slot_references
from liveso.elf import Image, once_per_image
from liveso.elf.tables import Table, have_equal_fields
from liveso.errors import ImageError

_AS_FAR = 256  # bytes from the reference to a slot to what is added to the variable's address


@dataclass(frozen=True, slots=True)
class ThreadLocalSlots:
    """The slots that lead to an image's own thread-local variables; of a pair of module and place, the first is meant
    (ELF TLS, 3.4.6).

    `variables` has the place of each slot's variable in the module's block, in bytes; `modules` are pairs that stand
    for the block as a whole.
    """

    variables: dict[int, int]
    modules: frozenset[int]


@dataclass(frozen=True, eq=False)
class ThreadLocalReferences:
    """The references of an image's code to its own thread-local variables.

    `table` has the rows of `References.table`; a target is a place in the module's block, in bytes. `accesses` are
    those of them where the place is a number in the code itself, beside the block's address, for which it asks by way
    of a slot of the module alone; `sites` has the references to such slots, by their addresses. `unclear` are addresses
    of code where there may be more of them. `pages` are, as in `References`, for both tables. `far` has, for references
    to variables, how far behind these code gets by numbers of its own: the address of each, the place of the variable,
    and bytes.
    """

    table: Table
    accesses: tuple[Access, ...]
    sites: Table
    unclear: tuple[int, ...]
    slots: ThreadLocalSlots
    pages: Table = field(default_factory=lambda: np.zeros(0, PAGE))
    far: tuple[tuple[int, int, int], ...] = ()

    def __eq__(self, other: object) -> bool:
        return have_equal_fields(self, other)


def no_thread_local_references() -> ThreadLocalReferences:
    """Those of code that has none, or of which nothing could be found out."""
    empty = np.zeros(0, REFERENCE)
    return ThreadLocalReferences(empty, (), empty, (), ThreadLocalSlots({}, frozenset()))


@once_per_image
def thread_local_references(image: Image) -> ThreadLocalReferences:
    """Find the references of `image`'s code to its own thread-local variables. Raises ImageError as `functions`
    does."""
    slots = thread_local_slots(image)
    found, undecoded = slot_references(image, slots.modules.union(slots.variables))
    pages = pages_of(image, found["place"])
    is_site = np.isin(found["target"], sorted(slots.modules))
    sites, others = found[is_site], found[~is_site]
    rows = [(place, slots.variables[target], 0, True) for place, target in _pairs(others)]
    followed = _followed(image, sites)
    inside = range(image.block_size + 1)
    rows += [(it.place, it.offset, it.offset, it.forms_address) for it in followed.found if it.offset in inside]
    behind = image.machine.reached_behind
    far = (
        [(place, slots.variables[at], behind(_code_from(image, place))) for place, at in _pairs(others)]
        if behind
        else []
    )
    outside = (it.instruction for it in followed.found if it.offset not in inside)
    unclear = (*undecoded, *followed.unclear, *outside)
    table = np.sort(np.array(rows, REFERENCE), order="place")
    return ThreadLocalReferences(table, followed.found, sites, unclear, slots, pages, tuple(far))


def _pairs(references: Table) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = references[["place", "target"]].tolist()
    return found


@once_per_image
def module_accesses(image: Image) -> dict[int, int]:
    """The places in the block, in bytes, of variables that code leads to by a number of its own, by the address of the
    instruction. Raises ImageError as `functions` does."""
    if not thread_local_slots(image).modules:
        return {}
    return {it.instruction: it.offset for it in thread_local_references(image).accesses}


def _followed(image: Image, sites: Table) -> Accesses:
    if not len(sites):
        return Accesses((), ())
    if image.machine.adds_place is not None:
        return Accesses((), tuple(sites["place"].tolist()))  # the numbers that code adds are not followed
    slots = slot_names(image)
    never_returning = last_calls(stub_names(image, slots) | slots)  # -fno-plt calls by way of the slot itself
    return accesses(image, functions(image), sites["place"].tolist(), never_returning)


@once_per_image
def thread_local_slots(image: Image) -> ThreadLocalSlots:
    """Find the slots for an image's own thread-local variables. Raises ImageError as `functions` does."""
    machine, table = image.machine, image.relocations
    local = table["offset"][(table["type"] == machine.tls_module) & (table["symbol"] == 0)].tolist()
    # the second word of a pair has no relocation where the variable is the image's own
    places = {it: _place_at(image, it + machine.word) for it in local}
    modules = _modules(image, frozenset(it for it, place in places.items() if not place))
    found = {it: place for it, place in places.items() if it not in modules}
    modules |= _module_descriptors(image)
    kinds = {machine.tls_offset, machine.tls_static_offset, machine.tls_descriptor}
    for offset, kind, index, addend in table[np.isin(table["type"], sorted(kinds))].tolist():
        value = image.own_value(index)
        if offset not in modules and value is not None:
            slot = offset - (machine.word if kind == machine.tls_offset else 0)
            found[slot] = addend + value
    for slot, place in found.items():
        if not 0 <= place <= image.block_size:
            raise ImageError(f"the slot at {slot:#x} leads out of its thread-local storage, to {place:+#x}")
    return ThreadLocalSlots(found, modules)


def _place_at(image: Image, address: int) -> int:
    """The place in the block that a word of the file stands for (Machine.block_bias)."""
    return (image.word_at(address) + image.machine.block_bias) % (1 << 8 * image.machine.word)


def _modules(image: Image, pairs: frozenset[int]) -> frozenset[int]:
    """Which of the pairs for the start of the block stand for all of it: the others are the first variable's, and where
    code refers to these, its instruction has a prefix."""
    if image.machine.adds_place is not None:
        return _with_places_added(image, pairs)
    prefix = image.machine.general_dynamic_prefix
    if not (pairs and prefix):
        return frozenset()
    of_variable = set()
    for place, target, _displacement, _forms in slot_references(image, pairs)[0].tolist():
        start = place - 3 - len(prefix)  # REX, opcode and operand come before the displacement
        if image.bytes_at(start, len(prefix)) == prefix:
            of_variable.add(target)
    return pairs - of_variable


def _module_descriptors(image: Image) -> frozenset[int]:
    """The descriptors that stand for all of the block (`_TLS_MODULE_BASE_`)."""
    table = image.relocations[image.relocations["type"] == image.machine.tls_descriptor]
    first = frozenset(
        offset
        for offset, _kind, index, addend in table.tolist()
        if (value := image.own_value(index)) is not None and addend + value == 0
    )
    if image.machine.adds_place is not None:
        return _with_places_added(image, first)
    return frozenset(it for it in first if _may_be_of_block(image, it))


def _may_be_of_block(image: Image, descriptor: int) -> bool:
    """Whether code adds places in the block to what a descriptor yields, or may do so: else it is the first
    variable's."""
    sites = slot_references(image, frozenset((descriptor,)))[0]
    followed = _followed(image, sites)
    return bool(followed.found) or not set(sites["place"].tolist()).isdisjoint(followed.unclear)


def _with_places_added(image: Image, slots: frozenset[int]) -> frozenset[int]:
    """The slots to which places in the block are added where code refers to them. In doubt, a slot is one of these."""
    adds = image.machine.adds_place
    if adds is None or not slots:
        return frozenset()
    rows = slot_references(image, slots)[0][["place", "target"]].tolist()
    return frozenset(target for place, target in rows if adds(_code_from(image, place)))


def _code_from(image: Image, place: int) -> bytes:
    """The code from a place on, as far as its function goes."""
    known = functions(image)
    index, inside = holders(known, np.array([place]))
    end = int(known["end"][index[0]]) if inside[0] else place + _AS_FAR
    return image.bytes_at(place, min(_AS_FAR, end - place))
