"""Which registers a function changes that its callers may count on.

A compiler that sees a function's code lets its callers keep values in registers that the function does not touch,
though the calling convention gives them to it (gcc's -fipa-ra; System V ABI, 3.2.1). Old code that still runs would
lose these where it calls a version of the function that changes more.
"""

from bisect import bisect_right

import capstone

from liveso.code import riscv64_clobbers
from liveso.code.functions import functions
from liveso.elf import Image
from liveso.machine import RISCV64

_DEEPEST = 8  # calls that are followed
_NO_VALUES = frozenset({"rip", "rflags", "eflags", "fpsw", ""})


class Clobbers:
    """Looks at the functions of one image; each is decoded once. Raises ImageError as `functions` does."""

    def __init__(self, image: Image) -> None:
        self._image, self._machine = image, image.machine
        known = functions(image)
        self._starts: list[int] = known["start"].tolist()
        self._ends: list[int] = known["end"].tolist()
        self._decoder = capstone.Cs(self._machine.capstone_architecture, self._machine.capstone_mode)
        self._decoder.detail = True
        self._found: dict[int, tuple[frozenset[str], bool, frozenset[int]]] = {}

    def end_of(self, function: int) -> int:
        """Where a function ends; its start where none is known there."""
        index = bisect_right(self._starts, function) - 1
        return self._ends[index] if index >= 0 and self._starts[index] == function else function

    def least(self, function: int) -> frozenset[str] | None:
        """The registers that a function changes at least; None where its callers can count on none, because it calls
        what nobody knows."""
        return self._all(function, lets_unknown_jumps=True, depth=0)

    def most(self, function: int) -> frozenset[str] | None:
        """The registers that a function may change; None for all."""
        return self._all(function, lets_unknown_jumps=False, depth=0)

    def _all(self, function: int, *, lets_unknown_jumps: bool, depth: int) -> frozenset[str] | None:
        index = bisect_right(self._starts, function) - 1
        if index < 0 or self._starts[index] != function or depth > _DEEPEST:
            return frozenset() if depth > _DEEPEST and lets_unknown_jumps else None
        if function not in self._found:
            self._found[function] = self._of(function, self._ends[index])
        changed, has_unknown_jump, callees = self._found[function]
        if has_unknown_jump and not lets_unknown_jumps:
            return None
        for callee in callees:
            below = self._all(callee, lets_unknown_jumps=lets_unknown_jumps, depth=depth + 1)
            if below is None:
                return None
            changed |= below
        return changed

    def _of(self, start: int, end: int) -> tuple[frozenset[str], bool, frozenset[int]]:
        """The registers that a function changes by itself, whether it jumps to an address that it computes, and what it
        calls; 0 is what nobody knows."""
        code = self._image.bytes_at(start, end - start)
        if self._machine is RISCV64:
            changed, has_unknown_jump, callees, reached = riscv64_clobbers.changes(code, start)
        else:
            changed, has_unknown_jump, callees, reached = self._as_capstone_tells(code, start)
        fixed = {*self._machine.kept_registers, self._machine.stack_pointer, *_NO_VALUES}
        return frozenset(changed - fixed), has_unknown_jump or reached < end, frozenset(callees)

    def _as_capstone_tells(self, code: bytes, start: int) -> tuple[set[str], bool, set[int], int]:
        """The registers that a function writes, whether it jumps to an address that it computes, what it calls or goes
        on to, and the end of what could be decoded."""
        end = start + len(code)
        changed: set[str] = set()
        callees: set[int] = set()
        has_unknown_jump, reached = False, start
        for it in self._decoder.disasm(code, start):
            reached = it.address + it.size
            changed.update(self._machine.register_parts.get(name, name) for name in self._written(it))
            is_call, is_jump = it.group(capstone.CS_GRP_CALL), it.group(capstone.CS_GRP_JUMP)
            if not (is_call or is_jump):
                continue
            operand = it.operands[0] if it.operands else None
            target = int(operand.imm) if operand is not None and operand.type == capstone.CS_OP_IMM else None
            if is_call:
                callees.add(target or 0)
            elif target is None:
                has_unknown_jump = True
            elif not start <= target < end:
                callees.add(target)
        return changed, has_unknown_jump, callees, reached

    def _written(self, it: capstone.CsInsn) -> list[str]:
        return [it.reg_name(register) or "" for register in it.regs_access()[1]]
