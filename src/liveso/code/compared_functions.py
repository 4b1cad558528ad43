"""Functions that code knows by their address: `if (type->tp_new == slot_tp_new)`.

All bytes of the code are tried at once first: few form the address of a function, and fewer of those in a function that
compares words. Only these are decoded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.form import Form, Operation
from liveso.code.functions import functions
from liveso.code.instructions import Code, Instruction, Reader
from liveso.code.mask import displacements
from liveso.code.start_up import is_start_up
from liveso.elf import Image, Section, Symbol, tables
from liveso.elf.data import data_layout
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.machine import Machine
from liveso.side_by_side import side_by_side

_MOST_HELD = 256  # registers and words of the stack that are remembered at a branch


@dataclass(frozen=True, slots=True)
class Comparison:
    """The instruction at `place`, in the function that starts at `inside`, compares a pointer that lies in memory with
    the address `function`."""

    place: int
    inside: int
    function: int


@dataclass(frozen=True, slots=True)
class ComparedFunctions:
    """What the code of an image does with the addresses of its functions.

    `comparisons` are in the order of addresses. `kept` are the functions whose address can come to lie in memory that
    is written while the program runs: those that a relocated word leads to, and those whose address is formed for
    something else than a comparison.
    """

    comparisons: tuple[Comparison, ...]
    kept: frozenset[int]


def compared_functions(image: Image) -> ComparedFunctions:
    """Look at the functions that have an unwind entry. Raises ImageError as `functions` does.

    What is left out, for the same happens whether the pointer equals or not:
    - where the pointer is called otherwise: the compiler, or who wrote the code, expects one of its values;
    - functions in constant tables, where the pointer may lie in one: the compiler foresees a virtual call;
    - where the address is stored if it is not there yet;
    - a pointer with nothing before it: one to a member function, handed over to be recognised (Qt's meta-objects);
    - what a variable is compared with that starts with this address: it is led to the new version's.
    """
    known = functions(image)
    words, slots = _own_words(image)
    span = data_layout(image).span
    kept = set(words.values())
    in_tables = {function for place, function in words.items() if place not in span}
    if not len(known):
        return ComparedFunctions((), frozenset(kept))
    symbols = dict(image.relocations[["offset", "symbol"]].tolist())
    exported = {image.symbols[symbols[slot]].name: function for slot, function in slots.items()}
    starts = frozenset(known["start"].tolist())
    starts |= {_address(it) for it in image.defined.values() if it.type == tables.STT_FUNC} - {-1}
    targets = np.array(sorted(starts | slots.keys()), "<i8")
    reader = Reader(image)
    formed: dict[int, int] = {}
    groups: list[tuple[int, int, frozenset[int]]] = []
    for section in image.sections:
        if not (section.is_code and section.has_bytes) or is_start_up(section):
            continue
        here, compares = _candidates(image, section, targets)
        formed |= here
        places = np.array(sorted(here), "<i8")
        indexes = np.searchsorted(known["start"].astype("<i8"), places, side="right") - 1
        first = np.flatnonzero(np.diff(indexes, prepend=-2))
        for index, group in zip(indexes[first].tolist(), np.split(places, first[1:]), strict=False):
            start, end = known[max(index, 0)].item()
            used = frozenset(group.tolist())
            if index >= 0 and np.searchsorted(compares, group[0]) < np.searchsorted(compares, end):
                groups.append((start, end, used))
            else:
                kept.update(slots.get(here[place], here[place]) for place in used)

    def walked(group: tuple[int, int, frozenset[int]]) -> tuple[list[Comparison], list[int]]:
        """The comparisons of a function, and the places whose address it uses for something else."""
        start, end, used = group
        walk = _Walk(image.machine, span, starts, words, exported)
        walk.through(reader.read(start, end))
        comparisons = [Comparison(place, start, it) for place, it in walk.comparisons(in_tables)]
        return comparisons, sorted(used - walk.only_compared)

    found = side_by_side(walked, groups)
    kept.update(slots.get(formed[place], formed[place]) for _comparisons, used in found for place in used)
    comparisons = [it for some, _used in found for it in some]
    return ComparedFunctions(tuple(comparisons), frozenset(kept))


def _address(it: Symbol) -> int:
    """Where a symbol of the image leads; -1 for one of another object, or a damaged one."""
    return it.value if it.is_defined and it.value < 1 << 63 else -1


def _own_words(image: Image) -> tuple[dict[int, int], dict[int, int]]:
    """The relocated words that lead to the image's own code, with the address there: those of data, and those through
    which code refers to an exported function."""
    machine, table = image.machine, image.relocations
    own = np.array([_address(it) for it in image.symbols] or [-1], "<i8")[table["symbol"]]
    is_slot = (table["type"] == machine.glob_dat) & (table["symbol"] != 0)
    is_named = (table["type"] == machine.absolute) & (table["symbol"] != 0)
    targets = np.where(is_slot, own, np.where(is_named, own + table["addend"], table["addend"]))
    is_own = (table["type"] == machine.relative) | ((is_slot | is_named) & (own >= 0))
    is_code = image.are_code(targets)
    words, slots = (
        dict(zip(table["offset"][chosen].tolist(), targets[chosen].tolist(), strict=True))
        for chosen in (is_own & is_code & ~is_slot, is_own & is_code & is_slot)
    )
    return words, slots


def _candidates(image: Image, section: Section, targets: Table) -> tuple[dict[int, int], Table]:
    """The addresses of what look like instructions that form one of the addresses `targets`, or load from one or
    compare with what lies there, with that address; and of what look like comparisons of whole words."""
    machine = image.machine
    if machine.code_words is not None:
        words = machine.code_words(image.section_bytes(section), section.address)
        rows = address_parts(image).rows
        rows = rows[(rows["place"] >= section.address) & (rows["place"] < section.end) & among(rows["target"], targets)]
        formed = dict(zip(rows["place"].tolist(), rows["target"].tolist(), strict=True))
        return formed, words.place[words.compares]
    content = np.frombuffer(image.section_bytes(section), np.uint8)
    mask, value = machine.whole_word
    at = np.flatnonzero(content[:-6] & mask == value)
    opcode, operand = content[at + 1], content[at + 2]
    is_compare = np.isin(opcode, machine.compare_opcodes)
    mask, value = machine.relative_operand
    is_reference = is_compare | (opcode == machine.address_opcode) | (opcode == machine.load_opcode)
    relative = at[is_reference & (operand & mask == value)]
    leads = displacements(content.tobytes())[relative + 3].astype("<i8") + relative + section.address + 7
    hits = targets[np.minimum(np.searchsorted(targets, leads), len(targets) - 1)] == leads
    formed = dict(zip((relative[hits] + section.address).tolist(), leads[hits].tolist(), strict=True))
    return formed, at[is_compare] + section.address


@dataclass(frozen=True, slots=True)
class _Value:
    """What a register or a word of the stack holds, from the instruction at `place`: the address `function`, or what
    lay in the variable at `variable`, or behind a pointer, `displacement` from it. `is_given`: an argument, or what a
    function returned; `is_member`: it lay behind such a pointer."""

    place: int
    function: int = 0
    variable: int = 0
    displacement: int = 0
    is_given: bool = False
    is_member: bool = False

    @property
    def is_from_memory(self) -> bool:
        return bool(self.variable or self.displacement)


_Values = dict[str, _Value]


class _Walk:
    """Goes through a function in the order of addresses. Where a branch leads to, registers hold what they did there,
    if it comes before, in what the instruction before leaves open."""

    def __init__(
        self, machine: Machine, span: range, starts: frozenset[int], words: dict[int, int], exported: dict[str, int]
    ) -> None:
        self._machine, self._span = machine, span
        self._starts, self._words, self._exported = starts, words, exported
        self._stack = {self._machine.stack_pointer}
        self._compared: list[tuple[int, _Value, _Value]] = []
        self._formed_for_comparison: set[int] = set()
        self._used: set[int] = set()
        self._called: set[int] = set()
        self._stored: set[tuple[int, int]] = set()

    def comparisons(self, in_tables: set[int]) -> list[tuple[int, int]]:
        """The places of comparisons that matter, with the function. `in_tables` are those in constant tables."""
        return [
            (place, address.function)
            for place, address, pointer in self._compared
            if pointer.is_from_memory
            and pointer.place not in self._called
            and (address.function, pointer.displacement) not in self._stored
            and self._words.get(pointer.variable) != address.function
            and (pointer.is_member or pointer.variable or address.function not in in_tables)
        ]

    @property
    def only_compared(self) -> set[int]:
        """The places of instructions that form an address for a comparison only."""
        return self._formed_for_comparison - self._used

    def through(self, code: Code) -> None:
        machine = self._machine
        if any(it.outline == f"mov {machine.frame_pointer}, {machine.stack_pointer}" for it in code.forms):
            self._stack.add(machine.frame_pointer)
        values = {it: _Value(-at, is_given=True) for at, it in enumerate(machine.argument_registers, 1)}
        at_target: dict[int, _Values] = {}
        goes_on = True
        for it in code:
            if not goes_on:
                values = {}
            if it.address in at_target:
                values = at_target[it.address] | values
            if it.outline.startswith("cmp "):
                self._compare(it, values)
            elif it.is_call:
                self._call(it, values)
            elif it.operation is Operation.RETURN:
                self._use([values.get(machine.result_register)])
            else:
                self._move(it, values)
            if it.form.leads_to_code and it.place is not None and it.operation is not Operation.CALL:
                at_target.setdefault(it.place.offset, dict(islice(values.items(), _MOST_HELD)))
            goes_on = it.operation not in (Operation.JUMP, Operation.RETURN)

    def _compare(self, it: Instruction, values: _Values) -> None:
        first, _comma, second = it.outline.removeprefix("cmp ").partition(", ")
        sides = [self._in_memory(it, values) if "[" in text else values.get(text) for text in (first, second)]
        for address, pointer in (sides, sides[::-1]):
            if address is not None and address.function:
                self._formed_for_comparison.add(address.place)
                if pointer is not None and not pointer.function:
                    self._compared.append((it.address, address, pointer))

    def _call(self, it: Instruction, values: _Values) -> None:
        called = values.get(it.outline.rpartition(" ")[2])
        if called is not None and it.place is None:
            self._called.add(called.place)
        self._use(values.get(register) for register in self._machine.argument_registers)
        for register in [register for register in values if "[" not in register]:
            if register not in self._machine.kept_registers:
                del values[register]
        values[self._machine.result_register] = _Value(it.address, is_given=True)

    def _move(self, it: Instruction, values: _Values) -> None:
        form, value = it.form, None
        if it.operation is Operation.ADDRESS and it.place is not None and it.place.offset in self._starts:
            value = _Value(it.address, it.place.offset)
        elif it.operation is Operation.MOVE and form.source:
            value = values.get(form.source)
        elif it.operation is Operation.MOVE and form.written and "[" in it.outline:
            value = self._in_memory(it, values)
        if form.is_store and form.base not in self._stack:
            if value is not None and value.function:
                self._used.add(value.place)
                self._stored.add((value.function, form.displacement or 0))
            return
        for key in (_word(form),) if form.is_store else form.written:
            values.pop(key, None)
            if value is not None:
                values[key] = value

    def _in_memory(self, it: Instruction, values: _Values) -> _Value | None:
        """What lies where an instruction accesses memory, as far as it matters."""
        if it.place is not None:
            if it.place.kind == "data":
                return _Value(it.address, variable=self._span.start + it.place.offset)
            function = self._exported.get(it.place.name, 0)
            return _Value(it.address, function) if function else None
        if it.form.base in self._stack:
            return values.get(_word(it.form))
        base = values.get(it.form.base)
        is_member = base is not None and base.is_given
        return _Value(it.address, displacement=it.form.displacement or 0, is_member=is_member)

    def _use(self, values: Iterable[_Value | None]) -> None:
        """What a register still holds after a comparison is not passed on."""
        self._used.update(it.place for it in values if it is not None and it.place not in self._formed_for_comparison)


def _word(form: Form) -> str:
    return f"[{form.base} {form.displacement}]"
