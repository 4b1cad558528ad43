"""Functions, decoded with all that capstone knows of their operands, when they are asked for."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import capstone

from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.errors import ImageError
from liveso.machine import Machine

ENDS = ("ud2", "hlt", "int3")
"""What begins the names of instructions behind which nothing runs."""
_MOST_DECODED = 1 << 20  # bytes of functions: half a gigabyte as capstone keeps instructions
_LARGEST_LAST, _DEEPEST = 1024, 3  # bytes of a function that never returns, and calls in it


@dataclass(frozen=True, slots=True)
class DecodedFunction:
    """Each instruction by its address, and by the one behind it. `is_whole`: up to the end."""

    instructions: dict[int, capstone.CsInsn]
    before: dict[int, capstone.CsInsn]
    is_whole: bool


class DecodedFunctions:
    """The functions of an image that `known` has, by their indexes. What is at `last_calls` never returns."""

    def __init__(self, image: Image, known: Table, last_calls: frozenset[int]) -> None:
        self._image, self._machine, self._last_calls = image, image.machine, last_calls
        self._decoder = capstone.Cs(image.machine.capstone_architecture, image.machine.capstone_mode)
        self._decoder.detail = True
        self.starts: list[int] = known["start"].tolist()
        self.ends: list[int] = known["end"].tolist()
        self._functions: dict[int, DecodedFunction] = {}
        self._returning: dict[int, bool] = {}
        self._decoded = 0

    def index(self, address: int) -> int | None:
        """The index of the function that holds an address."""
        index = bisect_right(self.starts, address) - 1
        return index if index >= 0 and address < self.ends[index] else None

    def __getitem__(self, index: int) -> DecodedFunction:
        """The function with an index. Raises ImageError where all of them together are too large."""
        if index not in self._functions:
            start, end = self.starts[index], self.ends[index]
            self._decoded += end - start
            if self._decoded > _MOST_DECODED:
                raise ImageError("its code that asks for a thread-local block is too large to be followed")
            code = list(self._decoder.disasm(self._image.bytes_at(start, end - start), start))
            behind = {it.address + it.size: it for it in code}
            self._functions[index] = DecodedFunction({it.address: it for it in code}, behind, end in behind)
        return self._functions[index]

    def instruction(self, address: int) -> capstone.CsInsn | None:
        """The instruction at an address, if a function has one there. Raises ImageError as `[]` does."""
        index = self.index(address)
        return None if index is None else self[index].instructions.get(address)

    def returns(self, call: capstone.CsInsn) -> bool:
        """Whether a call may come back: a small function that only calls what does not, does not either."""
        return self._may_return(self._callee(call), 0)

    def _may_return(self, target: int | None, depth: int) -> bool:
        if target in self._last_calls:
            return False
        index = self.index(target) if target is not None else None
        if index is None or depth == _DEEPEST or self.ends[index] - self.starts[index] > _LARGEST_LAST:
            return True
        if index not in self._returning:
            self._returning[index] = any(
                it.group(capstone.CS_GRP_RET)
                or (it.group(capstone.CS_GRP_JUMP) and self.index(target_of(it) or 0) != index)
                for it in self._reached(index, depth)
            )
        return self._returning[index]

    def _reached(self, index: int, depth: int) -> Iterator[capstone.CsInsn]:
        """The instructions of a function that may run, without what only exceptions lead to."""
        waiting, seen = [self.starts[index]], set[int]()
        while waiting:
            address = waiting.pop()
            it = self.instruction(address) if self.index(address) == index else None
            if it is None or address in seen:
                continue
            seen.add(address)
            yield it
            is_jump = bool(it.group(capstone.CS_GRP_JUMP))
            target = target_of(it) if is_jump else None
            if target is not None:
                waiting.append(target)
            is_end = it.mnemonic.startswith(ENDS) or (is_jump and plain_name(it) == "jmp")
            if not is_end and not (
                it.group(capstone.CS_GRP_CALL) and not self._may_return(self._callee(it), depth + 1)
            ):
                waiting.append(address + it.size)

    def _callee(self, it: capstone.CsInsn) -> int | None:
        """Where a call leads to: for one through a slot of the GOT, the function of the image there, or the slot."""
        operand = it.operands[0] if it.operands else None
        if operand is None or operand.type != capstone.CS_OP_MEM:
            return target_of(it)
        slot = relative_address(it, operand, self._machine)
        return None if slot is None else self._slots.get(slot, slot)

    @cached_property
    def _slots(self) -> dict[int, int]:
        """The functions that words of the image lead to by themselves, by the addresses of the words."""
        relocations = self._image.relocations
        rows = relocations[relocations["type"] == self._machine.relative]
        return dict(rows[["offset", "addend"]][self._image.are_code(rows["addend"].astype("<i8"))].tolist())


def target_of(it: capstone.CsInsn) -> int | None:
    """The address that a branch names."""
    operand = it.operands[0] if it.operands else None
    return int(operand.imm) if operand is not None and operand.type == capstone.CS_OP_IMM else None


def relative_address(it: capstone.CsInsn, operand: capstone.x86.X86Op, machine: Machine) -> int | None:
    """The address that an operand in memory has, where an instruction says it relative to itself."""
    if operand.mem.index or it.reg_name(operand.mem.base) != machine.program_counter:
        return None
    return int(it.address + it.size + operand.mem.disp)


def plain_name(it: capstone.CsInsn) -> str:
    """The name of an instruction without the prefixes that branches may have."""
    return str(it.mnemonic).removeprefix("notrack ").removeprefix("bnd ")
