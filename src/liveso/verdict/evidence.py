"""What the code of two versions says about the layout of their data, where it was compiled without debug information.

A function that is the same in both versions except for a displacement is a witness that a member moved; one that
refers to another place of the data, that a variable moved; one that hands another size to an allocator, that an object
grew.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

from liveso.code import Allocators, Instruction, Matching, Place, Reader, match_functions
from liveso.code.names import function_names
from liveso.elf import Image
from liveso.elf.data import data_layout

_Places = list[tuple[Place, int]]
_LARGEST_FUNCTION = 30_000  # instructions: beyond, a comparison takes minutes


class Kind(StrEnum):
    """What it is that a witness saw change."""

    MEMBER = "member"
    ADDRESS = "address"
    WIDTH = "width"
    SIZE = "size"
    ELEMENT = "element"
    BITS = "bits"
    VARIABLE = "variable"
    THREAD_LOCAL = "thread-local variable"


@dataclass(frozen=True, slots=True)
class Witness:
    """One function that saw `old` become `new` (bytes, or offsets in bytes), at these addresses of the two files.

    `is_isolated`: the instructions around it do the same in both versions.
    """

    kind: Kind
    old: int
    new: int
    function: str
    old_address: int
    new_address: int
    callee: str = ""
    is_isolated: bool = True


@dataclass(frozen=True)
class Evidence:
    """All witnesses, and how much of the old version's code could be compared: `compared` of `size` bytes."""

    witnesses: tuple[Witness, ...]
    compared: int
    size: int
    functions: int
    matched: int


def gather_evidence(old: Image, new: Image) -> Evidence:
    """Compare the code of two versions. Raises ImageError where one of them has no unwind table that can be read."""
    matching = match_functions(old, new)
    comparison = _Comparison(old, new, matching)
    witnesses = list(comparison.same_shape())
    compared = 0
    for i, j in matching.pairs:
        start, end = matching.old.functions[i].item()
        if matching.old.shapes[i] == matching.new.shapes[j]:
            compared += end - start
        elif comparison.is_comparable(i, j):
            found, share = comparison.changed(i, j)
            witnesses.extend(found)
            compared += int(share * (end - start))
    size = int((matching.old.functions["end"] - matching.old.functions["start"]).sum())
    return Evidence(tuple(witnesses), compared, size, len(matching.old.shapes), len(matching.pairs))


class _Comparison:
    def __init__(self, old: Image, new: Image, matching: Matching) -> None:
        self._matching = matching
        self._readers = Reader(old), Reader(new)
        self._allocators = Allocators(old, self._readers[0]), Allocators(new, self._readers[1])
        self._spans = data_layout(old).span, data_layout(new).span
        self._names = {address: name.partition("@")[0] for name, address in function_names(old).items()}

    def _name(self, i: int) -> str:
        start = int(self._matching.old.functions["start"][i])
        return self._names.get(start, f"the function at {start:#x}")

    # --- functions of one shape: only what was left out of the shape can differ

    def same_shape(self) -> Iterator[Witness]:
        """Witnesses among functions that are equal but for addresses. Functions of an ambiguous shape are compared as
        a group: only a group that refers to other places altogether is a witness."""
        groups: dict[int, list[tuple[_Places, _Places, int]]] = {}
        for i, j in self._matching.pairs:
            shape = self._matching.old.shapes[i]
            if shape != self._matching.new.shapes[j]:
                continue
            places = self._places(i, j)
            if places is None:
                continue
            if shape in self._matching.ambiguous and self._name(i).startswith("the "):
                groups.setdefault(shape, []).append((*places, i))
            else:
                yield from self._moved(*places, i)
        for group in groups.values():
            befores = Counter(place for before, _after, _i in group for place, _at in before)
            if befores != Counter(place for _before, after, _i in group for place, _at in after):
                for before, after, i in group:
                    yield from self._moved(before, after, i)

    def _places(self, i: int, j: int) -> tuple[_Places, _Places] | None:
        """The variables that both functions refer to, in order, with the references' addresses."""
        fields = self._matching.old.fields_of(i), self._matching.new.fields_of(j)
        if not (len(fields[0]) and len(fields[1])):
            return None
        found: list[_Places] = []
        for reader, rows in zip(self._readers, fields, strict=True):
            found.append(
                [(place, int(at)) for at, target in rows.tolist() if (place := reader.variable(target)) is not None]
            )
        return (found[0], found[1]) if found[0] or found[1] else None

    def _moved(self, before: _Places, after: _Places, i: int) -> Iterator[Witness]:
        for (old, at), (new, there) in zip(before, after, strict=False):
            if old.kind == new.kind and old.offset != new.offset:
                yield self._variable(old, new, i, at, there)

    def _variable(self, old: Place, new: Place, i: int, at: int, there: int) -> Witness:
        kind = Kind.VARIABLE if old.kind == "data" else Kind.THREAD_LOCAL
        return Witness(kind, old.offset, new.offset, self._name(i), at, there)

    # --- functions that changed: instruction by instruction

    def is_comparable(self, i: int, j: int) -> bool:
        sizes = [
            int(it.functions["end"][index] - it.functions["start"][index])
            for it, index in ((self._matching.old, i), (self._matching.new, j))
        ]
        return max(sizes) < 4 * _LARGEST_FUNCTION

    def changed(self, i: int, j: int) -> tuple[list[Witness], float]:
        """The witnesses of one changed function, and the share of its instructions that have a partner."""
        old = self._readers[0].read(*self._matching.old.functions[i].item())
        new = self._readers[1].read(*self._matching.new.functions[j].item())
        frames = _keeps_frame(old, self._readers[0]), _keeps_frame(new, self._readers[1])
        found: list[Witness] = []
        partners = list(aligned(old, new))
        for a, b, is_isolated in partners:
            found.extend(replace(it, is_isolated=is_isolated) for it in self._differences(a, b, i, frames))
        if not len(partners) == len(old) == len(new):
            found = _without_exchanged(found)
        return found, len(partners) / max(1, len(old))

    def _differences(self, a: Instruction, b: Instruction, i: int, frames: tuple[bool, bool]) -> Iterator[Witness]:
        name = self._name(i)
        if a.place and b.place and a.place.kind == b.place.kind and a.place.kind in ("data", "tls"):
            if a.place.offset != b.place.offset:
                yield self._variable(a.place, b.place, i, a.address, b.address)
            return
        stacks = [
            it.base == reader.machine.stack_pointer or (frame and it.base == reader.machine.frame_pointer)
            for it, reader, frame in zip((a, b), self._readers, frames, strict=True)
        ]
        if any(stacks):
            return
        if a.displacement is not None and b.displacement is not None:
            yield from self._access(a, b, name)
        if a.immediate is not None and b.immediate is not None and a.immediate != b.immediate:
            yield from self._constant(a, b, name)

    def _access(self, a: Instruction, b: Instruction, name: str) -> Iterator[Witness]:
        """An access that has both another displacement and another width is one to another member."""
        assert a.displacement is not None and b.displacement is not None
        there = (name, a.address, b.address)
        if a.displacement != b.displacement and a.width == b.width:
            if a.operation != "lea":
                yield Witness(Kind.MEMBER, a.displacement, b.displacement, *there)
            elif a.width == self._readers[0].machine.word:
                yield Witness(Kind.ADDRESS, a.displacement, b.displacement, *there)
        elif a.displacement == b.displacement and a.width != b.width and a.operation != "lea":
            yield Witness(Kind.WIDTH, a.width, b.width, *there)

    def _constant(self, a: Instruction, b: Instruction, name: str) -> Iterator[Witness]:
        assert a.immediate is not None and b.immediate is not None
        there = (name, a.address, b.address)
        if a.passed and b.passed and a.passed.argument == b.passed.argument:
            if a.passed.is_about_stack or b.passed.is_about_stack:
                return
            callees = a.passed.callee, b.passed.callee
            if None not in callees:
                sizes = [
                    allocators.size_arguments(callee) if callee else ()
                    for allocators, callee in zip(self._allocators, callees, strict=True)
                ]
                if a.passed.argument in sizes[0] and a.passed.argument in sizes[1]:
                    callee = callees[0].name if callees[0] else ""
                    yield Witness(Kind.SIZE, a.immediate, b.immediate, *there, callee or "an allocator of its own")
            elif callees == (None, None) and a.immediate % 8 == b.immediate % 8 == 0:
                yield Witness(Kind.SIZE, a.immediate, b.immediate, *there, "a function pointer")
        elif a.operation == "imul":
            yield Witness(Kind.ELEMENT, a.immediate, b.immediate, *there)
        elif a.displacement is not None and a.operation in ("test", "and", "or", "bt"):
            yield Witness(Kind.BITS, a.immediate, b.immediate, *there)


def _without_exchanged(found: list[Witness]) -> list[Witness]:
    """In a function that was edited, accesses that only changed their order say nothing."""
    olds = Counter((it.kind, it.old) for it in found)
    news = Counter((it.kind, it.new) for it in found)
    return [it for it in found if not (news[it.kind, it.old] and olds[it.kind, it.new])]


def aligned(old: list[Instruction], new: list[Instruction]) -> Iterator[tuple[Instruction, Instruction, bool]]:
    """Pair the instructions of two versions of a function: equal ones, and between those, ones of the same outline.

    The third is false for a pair beside which one version has instructions that the other has not.
    """
    order = SequenceMatcher(None, [it.exact for it in old], [it.exact for it in new], autojunk=False)
    for kind, i1, i2, j1, j2 in order.get_opcodes():
        if kind == "equal":
            for a, b in zip(old[i1:i2], new[j1:j2], strict=True):
                yield a, b, True
        elif kind == "replace":
            one, other = old[i1:i2], new[j1:j2]
            outlines = SequenceMatcher(None, [it.outline for it in one], [it.outline for it in other], autojunk=False)
            for block in outlines.get_matching_blocks():
                for a, b in zip(
                    one[block.a : block.a + block.size], other[block.b : block.b + block.size], strict=True
                ):
                    yield a, b, block.size == len(one) == len(other)


def _keeps_frame(instructions: list[Instruction], reader: Reader) -> bool:
    """Whether the frame pointer holds the frame's address, as a function's first instructions tell."""
    move = f"mov {reader.machine.frame_pointer}, {reader.machine.stack_pointer}"
    return any(it.outline == move for it in instructions[:8])
