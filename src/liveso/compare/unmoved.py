"""Witnesses that the rest of their function contradicts: an expression was written otherwise, or compiled otherwise.

Each of these looks at both versions of one function. What they cannot tell stays a witness.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property

from liveso.code import Code, Form, Operation
from liveso.code.operations import parts
from liveso.code.origin import Leads
from liveso.code.origins import Origins
from liveso.compare.asked_room import is_behind_asked_room
from liveso.compare.blocks import Line, Term, line_of
from liveso.compare.choices import Choice, choices
from liveso.compare.constant_parts import is_part_of_constant
from liveso.compare.copied_texts import is_end_of_copied_text
from liveso.compare.edits import is_compared_number
from liveso.compare.inlined_helpers import is_inlined_elsewhere
from liveso.compare.own_frame import is_out_of_reach
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import OFFSETS, Kind, Witness

_VARIABLES = (Kind.VARIABLE, Kind.NEW_VARIABLE)
_ACCESSES = (*OFFSETS, Kind.WIDTH, Kind.ELEMENT)


class Unmoved:
    """Tells for the witnesses of one function which of them say nothing."""

    def __init__(self, versions: TwoVersions, old: Code, new: Code) -> None:
        self._versions, self._codes, self._machine = versions, (old, new), versions.readers[0].machine
        self._lines: dict[tuple[int, int], tuple[Line, int]] = {}

    def is_contradicted(self, it: Witness) -> bool:
        """Whether the function itself shows that nothing moved."""
        if it.kind in _VARIABLES:
            return self._is_choice(it)
        asks: tuple[Callable[[Witness], bool], ...] = ()
        if it.kind in _ACCESSES:
            asks = (self._is_constant, self._is_part_of_constant)
        if it.kind in OFFSETS:
            asks = (
                *asks,
                self._is_same_place,
                self._is_out_of_reach,
                self._is_repeated,
                self._is_taken,
                self._is_no_member,
                self._is_inlined_elsewhere,
            )
        if it.kind is Kind.WIDTH:
            asks = (*asks, self._is_stored_alike, self._is_read_in_full)
        return any(ask(it) for ask in asks)

    def is_reordered(self, it: Witness) -> bool:
        """Whether the function, which was edited besides, accesses the same members here in both versions, only in
        another order."""
        if it.is_alone or it.kind not in OFFSETS:
            return False
        (old, at), (new, there) = self._line(0, it.old_address), self._line(1, it.new_address)
        if at not in old.accesses or there not in new.accesses or old.accesses[at][0] != new.accesses[there][0]:
            return False
        base = old.accesses[at][0]
        return self._members(0, old, base) == self._members(1, new, base)

    def _members(self, side: int, line: Line, base: frozenset[Term]) -> Counter[tuple[int, int, bool]]:
        """What a line accesses by way of one pointer."""
        forms = self._codes[side].forms
        return Counter(
            (offset, forms[index].width, forms[index].is_store)
            for index, (terms, offset) in line.accesses.items()
            if terms == base
        )

    # --- variables

    def _is_choice(self, it: Witness) -> bool:
        """Both versions take the same variables under the same conditions, and only write it down in another order.
        Variables that exchange their places are chosen under the opposite condition."""
        (old, formed), (new, formed_now) = self._choices
        return bool(old) and old == new and it.old_address in formed and it.new_address in formed_now

    @cached_property
    def _choices(self) -> tuple[tuple[Counter[Choice], frozenset[int]], tuple[Counter[Choice], frozenset[int]]]:
        old, (new, formed) = (choices(code, self._machine) for code in self._codes)
        before: Counter[Choice] = Counter()
        for it, count in new.items():
            then, other = (self._versions.before(place) for place in (it.then, it.other))
            if then is not None and other is not None:
                before[replace(it, then=then, other=other)] += count
        return old, (before, formed)

    # --- members

    def _is_constant(self, it: Witness) -> bool:
        """It reads constants of the library itself, which come with the code that reads them."""
        origins = self._origins
        bases = origins[0].base_at(it.old_address), origins[1].base_at(it.new_address)
        return all(base is not None and base.leads is Leads.CONSTANT for base in bases)

    def _is_part_of_constant(self, it: Witness) -> bool:
        """It has a part of the address of such a constant."""
        old, new = self._versions.images
        return is_part_of_constant(old, it.old_address) and is_part_of_constant(new, it.new_address)

    @cached_property
    def _origins(self) -> tuple[Origins, Origins]:
        old, new = self._codes
        return Origins(old, self._machine), Origins(new, self._machine)

    def _line(self, side: int, address: int) -> tuple[Line, int]:
        if (side, address) not in self._lines:
            self._lines[side, address] = line_of(self._codes[side], address, self._machine)
        return self._lines[side, address]

    def _is_same_place(self, it: Witness) -> bool:
        """What is left out of the displacement was added to a register before."""
        (old, at), (new, there) = self._line(0, it.old_address), self._line(1, it.new_address)
        place = old.accesses.get(at)
        return place is not None and place == new.accesses.get(there)

    def _is_out_of_reach(self, it: Witness) -> bool:
        """It accesses the function's own frame, where the stack pointer does not reach."""
        return all(
            (at := code.index_at(address)) is not None and is_out_of_reach(image, code, at, self._machine)
            for image, code, address in zip(
                self._versions.images, self._codes, (it.old_address, it.new_address), strict=True
            )
        )

    def _is_repeated(self, it: Witness) -> bool:
        """The function does the same at several places in a row, as an unrolled loop does, in both versions at the same
        ones, so that one repetition was taken for another. A function that has no other edit is compared one by one."""
        if it.is_alone:
            return False
        forms = self._form(0, it.old_address), self._form(1, it.new_address)
        if forms[0].outline != forms[1].outline:
            return False
        old, new = (
            {
                form.displacement
                for form in code.forms
                if form.outline == forms[0].outline and form.width == forms[0].width
            }
            for code in self._codes
        )
        return {it.old, it.new} <= old & new

    def _form(self, side: int, address: int) -> Form:
        index = self._codes[side].index_at(address)
        assert index is not None
        return self._codes[side].forms[index]

    def _is_taken(self, it: Witness) -> bool:
        """The same object has a member, in both versions, where it would have moved to, or where it would have left:
        the function uses another member now. No two members lie at one place, and none at two."""
        if not it.is_alone:  # beside other edits, members that all moved by the distance of two look like this
            return False
        forms = self._form(0, it.old_address), self._form(1, it.new_address)
        bases = tuple(
            origins.base_at(address)
            for origins, address in zip(self._origins, (it.old_address, it.new_address), strict=True)
        )
        if None in bases or bases[0] != bases[1] or "+" in forms[0].outline:
            return False
        staying = {
            form.displacement
            for index, form in enumerate(self._codes[0].forms)
            if form is self._codes[1].forms[index]
            and form.displacement is not None
            and "+" not in form.outline
            and all(
                origins.base_at(code.addresses[index]) == base
                for origins, code, base in zip(self._origins, self._codes, bases, strict=True)
            )
        }
        return it.new in staying or it.old in staying

    def _is_inlined_elsewhere(self, it: Witness) -> bool:
        """A helper was inlined for this member, and called for the other; now it is the other way round."""
        return is_inlined_elsewhere(it, self._codes, self._origins, self._versions)

    def _is_no_member(self, it: Witness) -> bool:
        """The place has no name in any object: it is behind what was pushed, in a text that is copied, or a number."""
        if all(
            is_compared_number(code, address)
            for code, address in zip(self._codes, (it.old_address, it.new_address), strict=True)
        ):
            return True
        return is_behind_asked_room(it, self._codes, self._machine) or is_end_of_copied_text(
            it, self._codes, self._versions.images
        )

    # --- widths

    def _is_stored_alike(self, it: Witness) -> bool:
        """The line stores the same constants in the same bytes: two stores were made one."""
        (old, at), (new, there) = self._line(0, it.old_address), self._line(1, it.new_address)
        is_constant = all(
            form.is_store and form.immediate is not None
            for form in (self._form(0, it.old_address), self._form(1, it.new_address))
        )
        is_known = at in old.accesses and there in new.accesses
        return is_constant and is_known and bool(old.stored) and old.stored == new.stored

    def _is_read_in_full(self, it: Witness) -> bool:
        """Where it is read in less bytes, the same line also computes with all of them: the member is as large as it
        was, and only a part was asked for."""
        if it.new >= it.old or self._form(1, it.new_address).is_store:
            return False
        (_old, _at), (new, there) = self._line(0, it.old_address), self._line(1, it.new_address)
        place = new.accesses.get(there)
        return place is not None and any(
            other == place and index != there and self._computes(index, it.old) for index, other in new.accesses.items()
        )

    def _computes(self, index: int, width: int) -> bool:
        """Whether an instruction of the new version reads so many bytes, and they are not only copied."""
        code = self._codes[1]
        form = code.forms[index]
        if form.width != width or form.is_store:
            return False
        if form.operation is not Operation.MOVE:
            return True
        for following in code.forms[index + 1 :]:
            if form.written[0] in _read(following):
                return not (following.is_store and following.operation is Operation.MOVE)
            if form.written[0] in following.written:
                return False
        return False


def _read(form: Form) -> Iterator[str]:
    """The registers that an instruction reads, by its text."""
    _name, operands = parts(form.outline)
    moves = form.operation in (Operation.MOVE, Operation.ADDRESS)
    for number, operand in enumerate(operands):
        if number or not moves or "[" in operand:
            yield from operand.strip("[]").replace("*S", "").replace(" ", "").split("+")
