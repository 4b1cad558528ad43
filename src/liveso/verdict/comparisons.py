"""Addresses that code forms only to compare others with them, as the end of an array."""

import re
from bisect import bisect_right

import numpy as np

from liveso.code import Code, Operation, Reader, keeps_frame
from liveso.elf.tables import Table

_REGISTER = re.compile(r"[a-z][a-z0-9]+")
_AS_FAR = 64  # instructions before a comparison


class Comparisons:
    """Looks at what the functions of one image do with the addresses that they form; each function is read once."""

    def __init__(self, reader: Reader, functions: Table) -> None:
        self._reader, self._functions = reader, functions
        self._codes: dict[int, Code] = {}

    def may_be_end(self, place: int) -> bool:
        """Whether the address that is formed at `place` may be the end of an array: it is compared, nothing is accessed
        there before, and the other address was not just read from an object, which is how code asks what that is."""
        code = self._code_around(place)
        start = bisect_right(code.addresses, place) - 1 if code else -1
        if code is None or start < 0:
            return True  # outside of all functions
        registers = set(code.forms[start].written)
        for index in range(start + 1, len(code)):
            it = code.forms[index]
            if it.base in registers:
                return False  # the end of an array is not accessed
            if it.outline.startswith("cmp") and any(register in it.outline for register in registers):
                return not self._is_about_object(code, index, registers)
            registers -= set(it.written)
            if it.operation in (Operation.JUMP, Operation.RETURN):
                break
        return False

    def _is_about_object(self, code: Code, index: int, registers: set[str]) -> bool:
        """Whether the comparison at `index` is with what was read from memory that is not the function's own."""
        machine, form = self._reader.machine, code.forms[index]
        own = {machine.stack_pointer} | ({machine.frame_pointer} if keeps_frame(code, machine) else set())
        if form.base:
            return form.base not in own
        others = set(_REGISTER.findall(form.outline)[1:]) - registers
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
