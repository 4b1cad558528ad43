"""Addresses that lie before the object that they are formed for (x86-64).

Where code only uses an array from the index 1 on, or 7 on, compilers form the address of the element 0 that is not
there: it may lie in another section. What the index starts at says where the object begins.
"""

import re

from liveso.code.decode import Listing
from liveso.machine import Machine

_WORD = re.compile(r"[a-z][a-z0-9]*")
_NUMBER = r"(?:0x[0-9a-f]+|\d+)"
_ELEMENT = re.compile(rf"\[(\w+) \+ (\w+)(?:\*([1248]))?(?: ([+-]) ({_NUMBER}))?\]")
_MEMORY = re.compile(r"\[[^\]]*\]")
_CALL = "call"


def first_use(machine: Machine, listing: Listing, address: int) -> int | None:
    """How many bytes behind the address that an instruction at `address` forms the code of a function uses first: it is
    the base of an array there, and the index counts up from a constant. None where anything else may be done with
    it."""
    return _Uses(machine, listing).first(address)


class _Uses:
    """The instructions of a function, in the order of their addresses, with whole registers."""

    def __init__(self, machine: Machine, listing: Listing) -> None:
        self._machine, parts = machine, machine.register_parts
        self._rows = [
            (address, mnemonic, _WORD.sub(lambda it: parts.get(it[0], it[0]), operands))
            for address, _size, mnemonic, operands in listing
        ]
        self._jumps = [
            (address, int(operands, 16))
            for address, mnemonic, operands in self._rows
            if mnemonic.startswith("j") and operands.startswith("0x")
        ]

    @property
    def _keeping(self) -> tuple[str, str]:
        return self._machine.push, self._machine.pop

    def first(self, address: int) -> int | None:
        if any(mnemonic == "jmp" and not operands.startswith("0x") for _address, mnemonic, operands in self._rows):
            return None  # leads anywhere
        at = next((index for index, row in enumerate(self._rows) if row[0] == address), None)
        if at is None:
            return None
        base = self._rows[at][2].partition(",")[0]
        uses = [
            index
            for index, (_address, mnemonic, operands) in enumerate(self._rows)
            if index > at and base in _WORD.findall(operands) and mnemonic not in self._keeping
        ]
        found = {self._offset(base, at, index) for index in uses}
        return min((it for it in found if it is not None), default=None) if None not in found else None

    def _offset(self, base: str, at: int, use: int) -> int | None:
        """The least offset at which one instruction uses what the one at the index `at` formed; None where that is not
        known."""
        _address, _mnemonic, operands = self._rows[use]
        element = _ELEMENT.search(operands)
        if element is None or element[1] != base or element[2] == base or base in _WORD.findall(_outside(operands)):
            return None
        start = self._start(element[2], at, use)
        if start is None or start < 1:
            return None
        displacement = int(element[5] or "0", 0) * (-1 if element[4] == "-" else 1)
        return start * int(element[3] or "1") + displacement

    def _start(self, register: str, at: int, use: int) -> int | None:
        """What an index starts at that only counts up from there to its `use`."""
        writes = [it for it in range(len(self._rows)) if self._writes(it, register)]
        start = next((it for it in reversed(writes) if it < use and self._rows[it][1] == "mov"), None)
        if start is None:
            return None
        _name, _comma, value = self._rows[start][2].partition(", ")
        others = [it for it in writes if it > min(start, at) and it != start]
        if not re.fullmatch(_NUMBER, value) or not all(self._counts_up(it, register) for it in others):
            return None
        if self._is_entered(max(start, at), max([use, *others])):
            return None
        return int(value, 0)

    def _writes(self, index: int, register: str) -> bool:
        """Whether an instruction may write a register, other than to give it back to the caller."""
        _address, mnemonic, operands = self._rows[index]
        first, _comma, rest = operands.partition(", ")
        if mnemonic == _CALL:
            return register not in self._machine.kept_registers
        writes_others = self._machine.unnamed_writers.match(f"{mnemonic} {operands}") is not None
        if writes_others and register in self._machine.unnamed_written:
            return True
        is_swap = writes_others and register in _WORD.findall(_outside(rest))
        return is_swap or (first == register and mnemonic not in (*self._keeping, *self._machine.asking))

    def _counts_up(self, index: int, register: str) -> bool:
        _address, mnemonic, operands = self._rows[index]
        if mnemonic == "inc":
            return True
        added = re.fullmatch(rf"{register}, ({_NUMBER})", operands)
        return mnemonic == "add" and added is not None and int(added[1], 0) < 1 << 31

    def _is_entered(self, both_set: int, last: int) -> bool:
        """Whether a jump leads to the uses of the base and the index past an instruction that sets one of them."""
        low, high = self._rows[both_set][0], self._rows[last][0]
        return any(address < low < to <= high for address, to in self._jumps)


def _outside(operands: str) -> str:
    return _MEMORY.sub("", operands)
