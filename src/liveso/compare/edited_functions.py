"""Functions that changed, compared instruction by instruction: displacements, widths, sizes, masks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from liveso.code import CALLS, Code, Form, Instruction, Operation, keeps_frame
from liveso.code.uses import uses
from liveso.compare.alignment import Run, aligned
from liveso.compare.call_sizes import SizeComparison
from liveso.compare.edits import is_compared_end, masked_inputs
from liveso.compare.tail_sizes import TailSizes
from liveso.compare.two_versions import TwoVersions
from liveso.compare.unmoved import Unmoved
from liveso.compare.witness import IN_WORDS, KINDS, OFFSETS, Kind, Witness

_LARGEST_FUNCTION = 30_000  # instructions: beyond, a comparison takes minutes
_SHIFTS = ("sh", "sa", "lsl", "lsr", "asr")


@dataclass(frozen=True, slots=True)
class Edited:
    """What one changed function says: its `witnesses`, the variables that it saw stay, and the
    `share` of its instructions that have a partner."""

    witnesses: tuple[Witness, ...]
    staying: tuple[tuple[Kind, int], ...]
    share: float


class EditedFunctions:
    """Compares two versions of a function."""

    def __init__(self, versions: TwoVersions) -> None:
        self._versions, self._both = versions, versions.both
        self._sizes, self._tails = SizeComparison(versions), TailSizes(versions)

    def is_comparable(self, i: int, j: int) -> bool:
        sizes = [
            int(it.functions["end"][index] - it.functions["start"][index])
            for it, index in ((self._both[0], i), (self._both[1], j))
        ]
        return max(sizes) < 4 * _LARGEST_FUNCTION

    def changed(self, i: int, j: int) -> Edited:
        """Compare the old version's function with the index `i` with the new one's `j`. Raises TooDifferent.

        Where a machine forms addresses in two steps, and a register could not be followed to the second, another one of
        the function shows that this difference is one of the low parts.
        """
        old = self._versions.readers[0].read(*self._both[0].functions[i].item())
        new = self._versions.readers[1].read(*self._both[1].functions[j].item())
        frames = (
            keeps_frame(old, self._versions.readers[0].machine),
            keeps_frame(new, self._versions.readers[1].machine),
        )
        found: list[Witness] = []
        runs = list(aligned(old, new))
        partners = [(old[a], new[b], run.is_isolated) for run in runs for a, b in _telling_pairs(old, new, run)]
        matched = sum(run.size for run in runs)
        staying = {
            (KINDS[a.place.kind], a.place.offset)
            for a, b, _is_isolated in partners
            if a.place
            and b.place
            and a.place.kind in KINDS
            and self._versions.is_same_variable(a.place, b.place, b.address)
        }
        for a, b, is_isolated in partners:
            if a.form is not b.form or (a.place is not None and a.place.kind in KINDS):
                found.extend(replace(it, is_isolated=is_isolated) for it in self._differences(a, b, i, frames))
        if any(a.form.immediate != b.form.immediate for a, b, _is_isolated in partners):
            calls = [(a.address, b.address) for a, b, _is_isolated in partners]
            found.extend(self._sizes.changed(old, new, calls, i))
        if not matched == len(old) == len(new):
            found = [replace(it, is_alone=False) for it in self._without_exchanged(found, old, new)]
        found = self._tails.told(found, (old, new), partners, matched == len(old) == len(new), i)
        low_parts = {
            (a.form.displacement, b.form.displacement) for a, b, _is_isolated in partners if a.place and b.place
        }
        found = [
            it
            for it in found
            if it.kind not in OFFSETS
            or (
                (it.old, it.new) not in low_parts
                and not (it.kind is Kind.ADDRESS and is_compared_end(old, it.old_address))
            )
        ]
        if found:
            unmoved = Unmoved(self._versions, old, new)
            found = [it for it in found if not unmoved.is_contradicted(it)]
            found = [replace(it, is_isolated=False) if unmoved.is_reordered(it) else it for it in found]
        if any(it.kind in IN_WORDS for it in found):
            inputs = masked_inputs(old, uses(self._versions.images[0], old))
            found = [replace(it, is_input=it.kind in IN_WORDS and it.old_address in inputs) for it in found]
        # beside a new variable that took its place, one that moved seems to stay as well; but to where another one was
        # that the function uses, too, none has moved
        used = {(KINDS[it.place.kind], it.place.offset) for it in old if it.place and it.place.kind in KINDS}
        staying -= {(it.kind, it.old) for it in found if (it.kind, it.new) not in used}
        return Edited(tuple(found), tuple(staying), matched / max(1, len(old)))

    def accesses_alike(self, i: int, j: int) -> bool:
        """Whether both versions of a function access members of objects at the same places and in the same widths, in
        whatever order their instructions are, or none at all."""
        return self._members(0, i) == self._members(1, j)

    def _members(self, side: int, index: int) -> set[tuple[int, int]]:
        code = self._versions.readers[side].read(*self._both[side].functions[index].item())
        found = uses(self._versions.images[side], code)
        return {(it.spot.offset, it.spot.width) for it in found if it.spot.kind == "object"}

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
            if it.kind in OFFSETS:
                return it.old in gone and it.new in come
            if it.kind in (*IN_WORDS, Kind.BIT_FIELD):
                return ("mask", it.old) in gone and ("mask", it.new) in come
            return True

        return [it for it in found if is_told(it)]

    def _differences(self, a: Instruction, b: Instruction, i: int, frames: tuple[bool, bool]) -> Iterator[Witness]:
        name = self._versions.name(i)
        if a.place and b.place and a.place.kind == b.place.kind and a.place.kind in KINDS:
            if not self._versions.is_same_variable(a.place, b.place, b.address):
                if self._versions.correspondences[
                    a.place.kind
                ].is_same_layout:  # else it was weighed when they were matched
                    yield self._versions.variable(a.place, b.place, i, a.address, b.address)
            elif a.form.width != b.form.width and a.operation is not Operation.ADDRESS:
                yield Witness(Kind.WIDTH, a.form.width, b.form.width, name, a.address, b.address)
            return
        stacks = [
            it.form.base == reader.machine.stack_pointer or (frame and it.form.base == reader.machine.frame_pointer)
            for it, reader, frame in zip((a, b), self._versions.readers, frames, strict=True)
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
            elif widths[0] == self._versions.readers[0].machine.word:
                yield Witness(Kind.ADDRESS, a.displacement, b.displacement, *there)
        elif a.displacement < 0 and not is_address and a.displacement + widths[0] == b.displacement + widths[1]:
            yield Witness(Kind.MEMBER, a.displacement, b.displacement, *there)  # it ends before what was handed out
        elif a.displacement == b.displacement and widths[0] != widths[1] and not is_address:
            yield Witness(Kind.WIDTH, widths[0], widths[1], *there)

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
