"""What the registers of a function lead to: constants of the image, the function's own frame, or what its caller gave.

Where a function branches through a register, its ways are not known: a register leads to something there only if all
instructions that write it agree.
"""

from collections.abc import Iterator, Mapping

from liveso.code.clobbers import Clobbers
from liveso.code.form import Form, Operation
from liveso.code.frame_words import DEPTH, WORD, FrameWords
from liveso.code.instructions import Code
from liveso.code.operations import ADDS, parts, summand, terms
from liveso.code.origin import WHOLE, Leads, Origin
from liveso.machine import Machine

_LONGEST_END = 24  # instructions before a return
_MOST_BLOCKS = 4000
_MOST_ROUNDS = 40_000


def clobbers(form: Form, machine: Machine) -> bool:
    """Whether an instruction writes registers which Form.written does not have."""
    return machine.unnamed_writers.match(form.outline.removeprefix("lock ")) is not None


_Known = dict[str, Origin]
"""By register, or by word of the stack."""


class Origins:
    """What registers lead to at each instruction of one function. `clobbers` tells which registers a function that it
    calls leaves alone; without, that is what the calling convention says. `cases` are the addresses to which each
    branch through a register leads, those of a `switch`; with `follows_frame`, words of the frame are followed, too."""

    def __init__(
        self,
        code: Code,
        machine: Machine,
        clobbers: Clobbers | None = None,
        cases: Mapping[int, frozenset[int]] | None = None,
        follows_frame: bool = False,
    ) -> None:
        self._code, self._machine, self._clobbers = code, machine, clobbers
        self._own = {machine.stack_pointer}
        indexes = code.index_at
        self._cases = {
            indexes(branch): [at for it in sorted(found) if (at := indexes(it)) is not None]
            for branch, found in (cases or {}).items()
        }
        self._words = FrameWords(machine) if follows_frame else None
        if self._branches_through_register() and not self._cases:
            self._words = None
            self._before = self._everywhere()
            return
        self._before = self._flow()
        if self._words is not None and self._words.restricts():
            self._before = self._flow()  # without the words that others may write

    def at(self, address: int) -> _Known:
        """What registers lead to before the instruction at an address; nothing where that is not known."""
        index = self._code.index_at(address)
        return self._before[index] if index is not None and index < len(self._before) else {}

    def base_at(self, address: int) -> Origin | None:
        """What the base register leads to by which the instruction at an address accesses memory."""
        index = self._code.index_at(address)
        if index is None or index >= len(self._before):
            return None
        form = self._code.forms[index]
        return Origin(Leads.FRAME) if form.base in self._own else self._before[index].get(form.base)

    # --- ways through the function

    def _branches_through_register(self) -> bool:
        forms = self._code.forms
        return any(it.operation is Operation.JUMP and not it.leads_to_code for it in forms)

    def _entry(self) -> _Known:
        found = {name: Origin(Leads.ARGUMENT, at) for at, name in enumerate(self._machine.argument_registers)}
        return found if self._words is None else found | {DEPTH: Origin(Leads.FRAME)}

    def _everywhere(self) -> list[_Known]:
        """What holds wherever a register is read: what all that is written to it agrees on."""
        found: dict[str, Origin | None] = dict(self._entry())
        restoring = frozenset(self._restoring())
        for _round in range(4):  # copies of copies
            before = {name: it for name, it in found.items() if it is not None}
            for index, form in enumerate(self._code.forms):
                if index in restoring:
                    continue  # gives back what the caller had
                for name, origin in self._effects(index, form, before):
                    found[name] = origin if found.get(name, origin) == origin else None
        settled = {name: it for name, it in found.items() if it is not None}
        agreed = {
            name: it
            for name, it in settled.items()
            if all(
                origin == it
                for index, form in enumerate(self._code.forms)
                if index not in restoring
                for written, origin in self._effects(index, form, settled)
                if written == name
            )
        }
        return [agreed] * len(self._code)

    def _restoring(self) -> Iterator[int]:
        """The instructions that give registers back what they held when the function was called, before it returns."""
        machine, forms = self._machine, self._code.forms
        for index, form in enumerate(forms):
            if machine.pop and parts(form.outline)[0] == machine.pop:
                yield index
            elif form.operation is Operation.RETURN and not machine.pop:
                for at in range(index - 1, max(-1, index - _LONGEST_END), -1):
                    if forms[at].leads_to_code or forms[at].operation in (Operation.CALL, Operation.JUMP):
                        break
                    is_load = forms[at].base == machine.stack_pointer and not forms[at].is_store
                    if is_load and machine.kept_registers.issuperset(forms[at].written):
                        yield at

    def _flow(self) -> list[_Known]:
        starts = self._starts()
        if len(starts) > _MOST_BLOCKS:
            return []
        entries: dict[int, _Known | None] = dict.fromkeys(starts)
        entries[0] = self._entry()
        reached = self._led_to(starts)
        for start in starts:
            if start and start not in reached:
                entries[start] = {}  # a landing pad: from any call
        waiting, rounds = [it for it in starts if entries[it] is not None], 0
        while waiting:
            rounds += 1
            if rounds > _MOST_ROUNDS:
                return []
            start = waiting.pop()
            known, end = dict(entries[start] or {}), starts[start]
            for index in range(start, end):
                self._step(index, known)
            for following in self._successors(end - 1, starts):
                merged = _joined(entries[following], known)
                if merged != entries[following]:
                    entries[following] = merged
                    waiting.append(following)
        found: list[_Known] = []
        for start, end in starts.items():
            known = dict(entries[start] or {})
            for index in range(start, end):
                found.append(dict(known))
                self._step(index, known)
        return found

    def _starts(self) -> dict[int, int]:
        """Where each block starts, and ends, as indexes."""
        addresses = self._code.addresses
        starts = {0}.union(*self._cases.values())
        for index, (form, target) in enumerate(zip(self._code.forms, self._code.targets, strict=True)):
            if not (form.leads_to_code or form.operation in (Operation.JUMP, Operation.RETURN)):
                continue
            if form.operation is not Operation.CALL:
                starts.add(index + 1)
                if target is not None and (at := self._code.index_at(target)) is not None:
                    starts.add(at)
        ordered = sorted(it for it in starts if it < len(addresses))
        return dict(zip(ordered, [*ordered[1:], len(addresses)], strict=True))

    def _successors(self, last: int, starts: dict[int, int]) -> Iterator[int]:
        form, target = self._code.forms[last], self._code.targets[last]
        if form.leads_to_code and form.operation is not Operation.CALL and target is not None:
            at = self._code.index_at(target)
            if at is not None:
                yield at
        if form.operation is Operation.JUMP and not form.leads_to_code:
            yield from self._cases.get(last, ())
        if form.operation not in (Operation.JUMP, Operation.RETURN) and last + 1 in starts:
            yield last + 1

    def _led_to(self, starts: dict[int, int]) -> set[int]:
        return {following for end in starts.values() for following in self._successors(end - 1, starts)}

    # --- one instruction

    def _step(self, index: int, known: _Known) -> None:
        form = self._code.forms[index]
        effects = list(self._effects(index, form, known))
        if self._words is not None:
            effects.extend(self._words.effects(form, known))
        for name, origin in effects:
            if origin is None:
                known.pop(name, None)
            else:
                known[name] = origin

    def _effects(self, index: int, form: Form, known: _Known) -> Iterator[tuple[str, Origin | None]]:
        """What an instruction leaves in registers."""
        name, operands = parts(form.outline)
        if form.operation is Operation.CALL:
            target = self._code.targets[index]
            changed = self._clobbers.most(target) if self._clobbers is not None and target is not None else None
            for register in {*known, *self._machine.argument_registers}:
                if register.startswith(WORD):
                    continue
                if register in changed if changed is not None else register not in self._machine.kept_registers:
                    yield register, None
            yield self._machine.result_register, Origin(Leads.WRITTEN, index)
            return
        if clobbers(form, self._machine):
            for register in {*self._machine.unnamed_written, *form.written, *(it for it in operands if "[" not in it)}:
                yield register, None
            return
        for number, register in enumerate(form.written):
            origin = self._value(index, form, name, operands, known)
            yield register, origin or (None if number else Origin(Leads.WRITTEN, index))

    def _value(self, index: int, form: Form, name: str, operands: tuple[str, ...], known: _Known) -> Origin | None:
        target = self._code.targets[index]
        if form.operation is Operation.ADDRESS:
            if target is not None:
                place = self._code[index].place
                return Origin(Leads.CONSTANT) if place is not None and place.kind == "constant" else None
            return self._sum(form, known)
        if form.operation is Operation.MOVE:
            return known.get(form.source) if form.source else None
        if "[" in form.outline:
            return None
        if name in ADDS and len(operands) in (2, 3):
            first, second = (self._leads(it, known) for it in operands[-2:])
            if form.immediate is not None:
                return first.moved_on(summand(name, form.immediate)) if first is not None else None
            return _moved(first, second) if not name.startswith("sub") else None
        if self._machine.selects.match(name):
            one, other = (known.get(it) for it in (operands if len(operands) == 2 else operands[1:3]))
            return one if one == other else None
        return None

    def _sum(self, form: Form, known: _Known) -> Origin | None:
        """What an address is formed from: a register, with or without an index."""
        summands = terms(form) or ()
        plain = [self._leads(register, known) for register, factor in summands if factor == 1]
        if len(summands) == len(plain) == 1:
            return plain[0].moved_on(form.displacement or 0) if plain[0] is not None else None
        return _moved(plain[0], plain[1] if len(plain) == 2 else None) if plain else None

    def _leads(self, register: str, known: _Known) -> Origin | None:
        return Origin(Leads.FRAME) if register in self._own else known.get(register)


def _moved(one: Origin | None, other: Origin | None) -> Origin | None:
    """What the sum of two registers leads to."""
    whole = [it for it in (one, other) if it is not None and it.leads in WHOLE]
    return whole[0] if len(whole) == 1 else None


def _joined(one: _Known | None, other: _Known) -> _Known:
    if one is None:
        return dict(other)
    return {name: it for name, it in one.items() if other.get(name) == it}
