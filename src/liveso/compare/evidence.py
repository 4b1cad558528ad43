"""What the code of two versions says about the layout of their data, where it was compiled without debug information.

A function that is the same in both versions except for a displacement is a witness that a member moved; one that
refers to another place of the data, that a variable moved; one that hands another size to an allocator, that an object
grew.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from liveso.code import (
    CALLS,
    Allocators,
    CallSite,
    Code,
    Form,
    Instruction,
    Operation,
    Place,
    Reader,
    call_sites,
    function_names,
    keeps_frame,
    parameters,
)
from liveso.code.uses import uses
from liveso.compare.alignment import Run, aligned
from liveso.compare.correspondence import Correspondence, same_layout
from liveso.compare.edits import is_compared_end, masked_inputs
from liveso.compare.matching import Matching, match_functions
from liveso.compare.matching_blocks import TooDifferent
from liveso.compare.new_initialisers import NewInitialisers
from liveso.elf import Image
from liveso.elf.data import CONSTANT_AFTER_RELOCATION, data_layout

_Places = list[tuple[Place, int]]
_MANY_CHANGED, _MANY_WITNESSES = 3000, 1000  # functions, and what they saw: beyond, more say nothing new
_LARGEST_FUNCTION = 30_000  # instructions: beyond, a comparison takes minutes


class Kind(StrEnum):
    """What it is that a witness saw change."""

    MEMBER = "member"
    ADDRESS = "address"
    WIDTH = "width"
    SIZE = "size"
    ELEMENT = "element"
    BITS = "bits"
    SHIFT = "shift"
    BIT_FIELD = "bit field"
    VARIABLE = "variable"
    NEW_VARIABLE = "new variable"
    THREAD_LOCAL = "thread-local variable"
    SLOT = "slot"
    REPLACED = "replaced"


CLASS_SIZES = {"_Znwm": 0, "_ZdlPvm": 1}
"""Which argument is the size of a class (Itanium C++ ABI: operator new(size_t), operator delete(void*, size_t))."""
_KINDS = {"data": Kind.VARIABLE, "tls": Kind.THREAD_LOCAL}
"""Which witness a place of each kind gives."""
_OFFSETS = (Kind.MEMBER, Kind.ADDRESS)
_SHIFTS = ("sh", "sa", "lsl", "lsr", "asr")
_IN_WORDS = (Kind.BITS, Kind.SHIFT)
_LONGEST_INSTRUCTION = 15  # bytes, of any machine


@dataclass(frozen=True, slots=True)
class Witness:
    """One function that saw `old` become `new` (bytes, or offsets in bytes), at these addresses of the two files.

    `is_isolated`: the instructions around it do the same in both versions; `is_alone`: all others of the function do.
    `is_input`: about bytes that the function only reads, as those of a text.
    """

    kind: Kind
    old: int
    new: int
    function: str
    old_address: int
    new_address: int
    callee: str = ""
    is_isolated: bool = True
    is_alone: bool = True
    is_input: bool = False


@dataclass(frozen=True)
class Evidence:
    """All witnesses, the addresses of the new version's initialisers that the process has not run, and how much of the
    code could be compared: `compared` of `size` bytes, which is the size of the version that has less code, because
    what only one of them has is no contradiction. `staying` has the number of functions that saw a variable, by kind
    and offset in bytes, stay where it was. `is_complete`: none was left out because there was no doubt any
    more."""

    witnesses: tuple[Witness, ...]
    staying: Mapping[tuple[Kind, int], int]
    initialisers: tuple[int, ...]
    compared: int
    size: int
    functions: int
    matched: int
    is_complete: bool


def gather_evidence(
    old: Image,
    new: Image,
    matching: Matching | None = None,
    correspondence: Correspondence | None = None,
    thread_locals: Correspondence | None = None,
) -> Evidence:
    """Compare the code of two versions, whose functions `matching` has, and their variables `correspondence`, and
    `thread_locals` those of each thread; without that, they are taken to lie where they lay. Raises ImageError where
    one of them has no unwind table that can be read."""
    matching = matching or match_functions(old, new)
    places = {
        "data": correspondence or same_layout(len(data_layout(new).span)),
        "tls": thread_locals or same_layout(new.block_size),
    }
    comparison = _Comparison(old, new, matching, places)
    witnesses = list(comparison.same_shape())
    compared = changed = 0
    ranges = matching.old.functions.tolist()
    for i, j in matching.pairs:
        start, end = ranges[i]
        if matching.old.shapes[i] == matching.new.shapes[j]:
            compared += end - start
        elif changed > _MANY_CHANGED and len(witnesses) > _MANY_WITNESSES:
            break  # another release, and not an update of this one: there is no doubt about the verdict
        elif comparison.is_comparable(i, j):
            changed += 1
            try:
                found, share = comparison.changed(i, j)
            except TooDifferent:
                continue  # not compared, as one that is too large
            witnesses.extend(found)
            compared += int(share * (end - start))
    size = min(int((it.functions["end"] - it.functions["start"]).sum()) for it in (matching.old, matching.new))
    witnesses.extend(comparison.slots())
    compared += comparison.look_alikes()
    return Evidence(
        tuple(witnesses),
        comparison.staying,
        tuple(NewInitialisers((old, new), comparison.readers, matching).found()),
        compared,
        size,
        len(matching.old.shapes),
        len(matching.pairs),
        changed <= _MANY_CHANGED or len(witnesses) <= _MANY_WITNESSES,
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    table: int
    slot: int
    address: int


_Tables = dict[int, list[_Slot]]
"""The slots that hold a function, by its address."""


class _Comparison:
    def __init__(self, old: Image, new: Image, matching: Matching, correspondences: dict[str, Correspondence]) -> None:
        """`correspondences` are by the kind of Place."""
        self._matching = matching
        self._correspondences = correspondences
        self._both = matching.old, matching.new
        self._images = old, new
        self.readers = Reader(old), Reader(new)
        self._fields = tuple(
            replace(shapes, fields=shapes.fields[reader.are_variables(shapes.fields["target"])])
            for reader, shapes in zip(self.readers, self._both, strict=True)
        )
        self._allocators = Allocators(old, self.readers[0]), Allocators(new, self.readers[1])
        self._spans = data_layout(old).span, data_layout(new).span
        self.staying: Counter[tuple[Kind, int]] = Counter()
        self._names = {address: name.partition("@")[0] for name, address in function_names(old).items()}

    def _name(self, i: int) -> str:
        start = int(self._matching.old.functions["start"][i])
        return self._names.get(start, f"the function at {start:#x}")

    # --- functions of one shape: only what was left out of the shape can differ

    def same_shape(self) -> Iterator[Witness]:
        """Witnesses among functions that are equal but for addresses. Functions of an ambiguous shape are compared as
        a group: only a group that refers to other places altogether is a witness."""
        groups: dict[int, list[tuple[_Places, _Places, int, int]]] = {}
        for i, j in self._matching.pairs:
            shape = self._matching.old.shapes[i]
            if shape != self._matching.new.shapes[j]:
                continue
            places = self._places(i, j)
            if places is None:
                continue
            if shape in self._matching.ambiguous and self._name(i).startswith("the "):
                groups.setdefault(shape, []).append((*places, i, j))
            else:
                yield from self._moved(*places, i, j)
        for group in groups.values():
            befores = Counter(place for before, _after, _i, _j in group for place, _at in before)
            if befores != Counter(self._before(it) for _before, after, _i, _j in group for it, _at in after):
                for before, after, i, j in group:
                    yield from self._moved(before, after, i, j)

    def _places(self, i: int, j: int) -> tuple[_Places, _Places] | None:
        """The variables that both functions refer to, in order, with the references' addresses."""
        fields = self._fields[0].fields_of(i), self._fields[1].fields_of(j)
        if not (len(fields[0]) and len(fields[1])):
            return None
        found: list[_Places] = []
        for reader, rows in zip(self.readers, fields, strict=True):
            found.append(
                [(place, int(at)) for at, target in rows.tolist() if (place := reader.variable(target)) is not None]
            )
        return (found[0], found[1]) if found[0] or found[1] else None

    def _moved(self, before: _Places, after: _Places, i: int, j: int) -> Iterator[Witness]:
        pairs = list(zip(before, after, strict=False))
        stayed = [old for (old, _at), (new, there) in pairs if self._is_same_variable(old, new, there)]
        self.staying.update({(_KINDS[old.kind], old.offset) for old in stayed})
        moved = [
            (old, new, at, there)
            for (old, at), (new, there) in pairs
            if old.kind == new.kind and not self._is_same_variable(old, new, there)
        ]
        if moved:  # a few fields are other bytes that only look like one: decoding tells
            known = [
                {it.place for it in reader.read(*shapes.functions[index].item())}
                for reader, shapes, index in zip(self.readers, self._both, (i, j), strict=True)
            ]
            for old, new, at, there in moved:
                if old in known[0] and new in known[1]:
                    yield self._variable(old, new, i, at, there)

    def _before(self, it: Place) -> Place | None:
        """Where a variable of the new version was in the old one; None where it is a new variable."""
        correspondence = self._correspondences.get(it.kind)
        if correspondence is None:
            return it
        offset = correspondence.old(it.offset)
        return None if offset is None else replace(it, offset=offset)

    def _is_same_variable(self, old: Place, new: Place, there: int) -> bool:
        """Whether two places are the same to an instruction that refers to the new one at `there` or just behind."""
        correspondence = self._correspondences.get(new.kind)
        if old.kind == new.kind and correspondence is not None and correspondence.elsewhere:
            near = range(there, there + _LONGEST_INSTRUCTION)
            if any(correspondence.elsewhere.get(it) == old.offset for it in near):
                return True
        return self._before(new) == old

    def _variable(self, old: Place, new: Place, i: int, at: int, there: int) -> Witness:
        is_new = old.kind == "data" and self._before(new) is None
        kind = Kind.NEW_VARIABLE if is_new else _KINDS[old.kind]
        return Witness(kind, old.offset, new.offset, self._name(i), at, there)

    # --- tables of functions

    def slots(self) -> Iterator[Witness]:
        """Functions that stand in another slot of a table (of virtual functions) in constant memory."""
        starts = [it.functions["start"].tolist() for it in self._both]
        old, new = (_tables(image) for image in self._images)
        partner = {starts[0][i]: starts[1][j] for i, j in self._matching.pairs if self._is_certain(i, j)}
        once = {function: places[0] for function, places in new.items() if len(places) == 1}
        shared = Counter(
            (places[0].table, once[partner[function]].table)
            for function, places in old.items()
            if len(places) == 1 and partner.get(function) in once
        )
        for function, places in old.items():
            after = once.get(partner.get(function, -1))
            if len(places) > 1 or after is None or shared[places[0].table, after.table] < 2:
                continue
            if places[0].slot != after.slot:
                name = self._names.get(function, f"the function at {function:#x}")
                yield Witness(Kind.SLOT, places[0].slot, after.slot, name, places[0].address, after.address)
        yield from self._replaced(old, new, shared)

    def _replaced(self, old: _Tables, new: _Tables, shared: Mapping[tuple[int, int], int]) -> Iterator[Witness]:
        """Functions of a table in whose slot stands one that takes fewer parameters. Objects that were made before keep
        the old table, and new code that calls what stands there may leave out what the old function reads."""
        indexes = [{int(start): i for i, start in enumerate(it.functions["start"])} for it in self._both]
        partner = dict(self._matching.pairs)
        slots = {(place.table, place.slot): (function, place) for function, places in new.items() for place in places}
        counterparts = {before: after for (before, after), count in shared.items() if count > 1}
        for function, places in old.items():
            i = indexes[0].get(function, -1)
            for place in places if i >= 0 else ():
                successor, there = slots.get((counterparts.get(place.table, -1), place.slot), (-1, place))
                j = indexes[1].get(successor, -1)
                if j >= 0 and partner.get(i) != j and self._is_certain(i, j) and self._takes_fewer(i, j):
                    yield Witness(Kind.REPLACED, place.slot, there.slot, self._name(i), place.address, there.address)

    def _takes_fewer(self, i: int, j: int) -> bool:
        old, new = (
            parameters(reader.read(*it.functions[index].item()), reader.machine)
            for reader, it, index in zip(self.readers, self._both, (i, j), strict=True)
        )
        return not old.read <= new.read | new.passed_on

    def _is_certain(self, i: int, j: int) -> bool:
        """Whether the functions cannot be taken for look-alikes of theirs."""
        shapes = self._matching.old.shapes[i], self._matching.new.shapes[j]
        return self._matching.ambiguous.isdisjoint(shapes) or not self._name(i).startswith("the ")

    # --- functions that changed: instruction by instruction

    def look_alikes(self) -> int:
        """The size in bytes of functions without a partner that have their equals in the new version."""
        matched, shapes = {i for i, _j in self._matching.pairs}, frozenset(self._matching.new.shapes)
        sizes = self._matching.old.functions["end"] - self._matching.old.functions["start"]
        return sum(
            int(sizes[i]) for i, shape in enumerate(self._matching.old.shapes) if i not in matched and shape in shapes
        )

    def is_comparable(self, i: int, j: int) -> bool:
        sizes = [
            int(it.functions["end"][index] - it.functions["start"][index])
            for it, index in ((self._matching.old, i), (self._matching.new, j))
        ]
        return max(sizes) < 4 * _LARGEST_FUNCTION

    def changed(self, i: int, j: int) -> tuple[list[Witness], float]:
        """The witnesses of one changed function, and the share of its instructions that have a partner. Raises
        TooDifferent.

        Where a machine forms addresses in two steps, and a register could not be followed to the second, another one of
        the function shows that this difference is one of the low parts.
        """
        old = self.readers[0].read(*self._matching.old.functions[i].item())
        new = self.readers[1].read(*self._matching.new.functions[j].item())
        frames = keeps_frame(old, self.readers[0].machine), keeps_frame(new, self.readers[1].machine)
        found: list[Witness] = []
        runs = list(aligned(old, new))
        partners = [(old[a], new[b], run.is_isolated) for run in runs for a, b in _telling_pairs(old, new, run)]
        matched = sum(run.size for run in runs)
        self.staying.update(
            {
                (_KINDS[a.place.kind], a.place.offset)
                for a, b, _is_isolated in partners
                if a.place
                and b.place
                and a.place.kind in _KINDS
                and self._is_same_variable(a.place, b.place, b.address)
            }
        )
        for a, b, is_isolated in partners:
            if a.form is not b.form or (a.place is not None and a.place.kind in _KINDS):
                found.extend(replace(it, is_isolated=is_isolated) for it in self._differences(a, b, i, frames))
        if any(a.form.immediate != b.form.immediate for a, b, _is_isolated in partners):
            sites = call_sites(old, self.readers[0].machine), call_sites(new, self.readers[1].machine)
            for a, b, _is_isolated in partners:
                if a.address in sites[0] and b.address in sites[1]:
                    found.extend(self._sizes(sites[0][a.address], sites[1][b.address], i))
            found.extend(self._objects(list(sites[0].values()), list(sites[1].values()), i))
        if not matched == len(old) == len(new):
            found = [replace(it, is_alone=False) for it in self._without_exchanged(found, old, new)]
        low_parts = {
            (a.form.displacement, b.form.displacement) for a, b, _is_isolated in partners if a.place and b.place
        }
        found = [
            it
            for it in found
            if it.kind not in _OFFSETS
            or (
                (it.old, it.new) not in low_parts
                and not (it.kind is Kind.ADDRESS and is_compared_end(old, it.old_address))
            )
        ]
        if any(it.kind in _IN_WORDS for it in found):
            inputs = masked_inputs(old, uses(self._images[0], old))
            found = [replace(it, is_input=it.kind in _IN_WORDS and it.old_address in inputs) for it in found]
        return found, matched / max(1, len(old))

    def _without_exchanged(self, found: list[Witness], old: Code, new: Code) -> list[Witness]:
        """In a function that was edited, accesses that only changed their order say nothing: the new version must have
        one less of the old displacement or mask, and one more of the new."""
        before, after = (
            Counter[object](
                it.displacement if target is None else None for it, target in zip(code.forms, code.targets, strict=True)
            )
            + Counter[object](_mask(it) for it in code.forms)
            for code in (old, new)
        )
        gone, come = before - after, after - before

        def is_told(it: Witness) -> bool:
            if it.kind in _OFFSETS:
                return it.old in gone and it.new in come
            if it.kind in (*_IN_WORDS, Kind.BIT_FIELD):
                return ("mask", it.old) in gone and ("mask", it.new) in come
            return True

        return [it for it in found if is_told(it)]

    def _differences(self, a: Instruction, b: Instruction, i: int, frames: tuple[bool, bool]) -> Iterator[Witness]:
        name = self._name(i)
        if a.place and b.place and a.place.kind == b.place.kind and a.place.kind in _KINDS:
            if not self._is_same_variable(a.place, b.place, b.address):
                if self._correspondences[a.place.kind].is_same_layout:  # else it was weighed when they were matched
                    yield self._variable(a.place, b.place, i, a.address, b.address)
            elif a.form.width != b.form.width and a.operation is not Operation.ADDRESS:
                yield Witness(Kind.WIDTH, a.form.width, b.form.width, name, a.address, b.address)
            return
        stacks = [
            it.form.base == reader.machine.stack_pointer or (frame and it.form.base == reader.machine.frame_pointer)
            for it, reader, frame in zip((a, b), self.readers, frames, strict=True)
        ]
        if any(stacks):
            return
        if a.displacement is not None and b.displacement is not None:
            yield from self._access(a, b, name)
        if a.form.scale != b.form.scale and a.form.width == b.form.width:
            yield Witness(Kind.ELEMENT, a.form.scale, b.form.scale, name, a.address, b.address)
        if a.form.immediate is not None and b.form.immediate is not None and a.form.immediate != b.form.immediate:
            yield from self._constant(a, b, name)

    def _access(self, a: Instruction, b: Instruction, name: str) -> Iterator[Witness]:
        """An access that has both another displacement and another width is one to another member."""
        assert a.displacement is not None and b.displacement is not None
        there = (name, a.address, b.address)
        widths = a.form.width, b.form.width
        is_address = a.operation is Operation.ADDRESS
        if a.displacement != b.displacement and widths[0] == widths[1]:
            if not is_address:
                yield Witness(Kind.MEMBER, a.displacement, b.displacement, *there)
            elif widths[0] == self.readers[0].machine.word:
                yield Witness(Kind.ADDRESS, a.displacement, b.displacement, *there)
        elif a.displacement == b.displacement and widths[0] != widths[1] and not is_address:
            yield Witness(Kind.WIDTH, widths[0], widths[1], *there)

    def _sizes(self, a: CallSite, b: CallSite, i: int) -> Iterator[Witness]:
        """A call that is given another size: of an allocator, or through a pointer, which is taken for one."""
        if a.is_about_stack or b.is_about_stack or (a.callee is None) != (b.callee is None):
            return
        for argument in a.constants.keys() & b.constants.keys():
            old, new = a.constants[argument], b.constants[argument]
            if a.callee is None or b.callee is None:
                is_size, callee = old % 8 == new % 8 == 0, "a function pointer"
            else:
                is_size = all(
                    argument in allocators.size_arguments(place)
                    for allocators, place in zip(self._allocators, (a.callee, b.callee), strict=True)
                )
                callee = a.callee.name or "an allocator of its own"
            if old != new and is_size:
                yield Witness(Kind.SIZE, old, new, self._name(i), a.address, b.address, callee)

    def _objects(self, old: list[CallSite], new: list[CallSite], i: int) -> Iterator[Witness]:
        """`new` and sized `delete` are told the size of a class, wherever in the function the compiler puts them: one
        size less and another one more, among equally many, is a class that grew."""
        for name, argument in CLASS_SIZES.items():
            before, after = (
                {it.constants[argument]: it.address for it in sites if _is_told(it, name, argument)}
                for sites in (old, new)
            )
            gone, come = before.keys() - after.keys(), after.keys() - before.keys()
            if len(gone) == len(come) == 1:
                (was,), (becomes,) = gone, come
                yield Witness(Kind.SIZE, was, becomes, self._name(i), before[was], after[becomes], name)

    def _constant(self, a: Instruction, b: Instruction, name: str) -> Iterator[Witness]:
        old, new = a.form.immediate, b.form.immediate
        assert old is not None and new is not None
        there = (name, a.address, b.address)
        if a.operation is Operation.MULTIPLY:
            yield Witness(Kind.ELEMENT, old, new, *there)
        elif a.operation is Operation.BITS:
            yield Witness(Kind.SHIFT if a.outline.startswith(_SHIFTS) else Kind.BITS, old, new, *there)
        elif a.operation is Operation.BIT_FIELD:
            yield Witness(Kind.BIT_FIELD, old, new, *there)


def _telling_pairs(old: Code, new: Code, run: Run) -> list[tuple[int, int]]:
    """The pairs of a run without those of two instructions that are the same and neither call nor refer to data."""
    return [
        (a, b)
        for a, b in run.pairs()
        if (form := old.forms[a]) is not new.forms[b]
        or form.operation in CALLS
        or (old.targets[a] is not None and not form.leads_to_code)
    ]


def _mask(it: Form) -> tuple[str, int | None]:
    is_mask = it.operation in (Operation.BITS, Operation.BIT_FIELD)
    return "mask", it.immediate if is_mask else None


def _is_told(it: CallSite, name: str, argument: int) -> bool:
    return it.callee is not None and it.callee.name == name and argument in it.constants


def _tables(image: Image) -> _Tables:
    """The slots of constant tables that hold a function's address, by that: a table is a run of relocated words."""
    sections = [it for it in image.sections if it.name.startswith(CONSTANT_AFTER_RELOCATION[0])]
    table = image.relocations
    found: dict[int, list[_Slot]] = {}
    for section in sections:
        rows = table[(table["offset"] >= section.address) & (table["offset"] < section.end)]
        start = previous = -1
        for offset, kind, index, addend in np.sort(rows, order="offset").tolist():
            if offset != previous + image.machine.word:
                start = offset
            previous = offset
            symbol = image.symbols[index] if index else None
            if kind == image.machine.relative or (symbol and symbol.is_defined):
                target = addend + (symbol.value if symbol else 0)
                slot = _Slot(start, (offset - start) // image.machine.word, offset)
                found.setdefault(target, []).append(slot)
    return found
