"""Addresses that code forms only to compare others with them, as the end of an array."""

from bisect import bisect_right

import numpy as np

from liveso.code import Code, Form, Operation, Reader, frame_registers
from liveso.code.operations import REGISTER
from liveso.elf.tables import Table

_AS_FAR = 64  # instructions before a comparison
_MOST_STATES = 1 << 14  # of one walk
_END = Form(Operation.RETURN, "")


class Comparisons:
    """Looks at what the functions of one image do with the addresses that they form; each function is read once."""

    def __init__(self, reader: Reader, functions: Table) -> None:
        self._reader, self._functions = reader, functions
        self._codes: dict[int, Code] = {}

    def may_be_end(self, place: int) -> bool:
        """Whether the address that is formed at `place` may be the end of an array: it is compared, nothing is accessed
        there before, and the other address was not just read from an object, which is how code asks what that is.

        It is followed along every way through the function, and through copies in registers and on the stack."""
        code = self._code_around(place)
        start = bisect_right(code.addresses, place) - 1 if code else -1
        if code is None or start < 0:
            return True  # outside of all functions
        found = False
        ways = [(start + 1, frozenset(code.forms[start].written))]
        seen = set(ways)
        while ways:
            index, holders = ways.pop()
            it = code.forms[index] if index < len(code) else _END
            if it.base in holders:
                return False  # the end of an array is not accessed
            if it.outline.startswith("cmp") and (_slot(it) in holders or holders & set(REGISTER.findall(it.outline))):
                found |= not self._is_about_object(code, index, holders)
                continue
            holders = _after(it, holders)
            after = [] if it.operation in (Operation.JUMP, Operation.RETURN) else [index + 1]
            if it.leads_to_code and it.operation is not Operation.CALL:
                target = code.targets[index]
                led_to = code.index_at(target) if target is not None else None
                after += [] if led_to is None else [led_to]
            new = {(at, holders) for at in after if holders} - seen
            seen |= new
            ways += new
            if len(seen) > _MOST_STATES:
                return True
        return found

    def _is_about_object(self, code: Code, index: int, registers: frozenset[str]) -> bool:
        """Whether the comparison at `index` is with what was read from memory that is not the function's own."""
        machine, form = self._reader.machine, code.forms[index]
        own = frame_registers(code, machine)
        if form.base:
            return form.base not in own
        others = set(REGISTER.findall(form.outline)[1:]) - registers
        for it in reversed(code.forms[max(0, index - _AS_FAR) : index]):
            if others & set(it.written):
                return it.operation is Operation.MOVE and it.base != "" and it.base not in own
        return False

    def _code_around(self, place: int) -> Code | None:
        index = int(np.searchsorted(self._functions["start"], place, side="right")) - 1
        if index < 0 or place >= int(self._functions["end"][index]):
            return None
        start, end = self._functions[index].item()
        if start not in self._codes:
            self._codes[start] = self._reader.read(start, end)
        return self._codes[start]


def _slot(it: Form) -> str:
    """A name for the memory that an instruction accesses, among the registers."""
    return f"{it.base}{it.displacement or 0:+}" if it.base and not it.scale else ""


def _after(it: Form, holders: frozenset[str]) -> frozenset[str]:
    """The registers and slots of the stack that hold an address behind an instruction, if `holders` do before it."""
    is_copy = it.operation is Operation.MOVE and it.width in (0, 8)
    if is_copy and it.is_store:
        return holders | {_slot(it)} if it.source in holders and it.base else holders - {_slot(it)}
    is_held = is_copy and (_slot(it) if it.base else it.source) in holders
    return holders | set(it.written) if is_held else holders - set(it.written)
