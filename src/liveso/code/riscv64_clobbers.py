"""The registers that RISC-V code changes, and what it calls: capstone 5 tells neither of it."""

from liveso.code.decode import decode
from liveso.code.riscv64_steps import CALL, CALL_REGISTER, JUMP_REGISTER, PAGE, steps
from liveso.machine import RISCV64

_SAVING = "t0"
"""Where functions return to that save registers for others (RISC-V ELF psABI, "Register Convention": the alternate link
register)."""


def changes(code: bytes, start: int) -> tuple[set[str], bool, set[int], int]:
    """The registers that a function writes by itself, whether it jumps to an address that it computes, what it calls or
    goes on to, 0 for what nobody knows, and the end of what could be decoded."""
    end = start + len(code)
    instructions = decode(RISCV64, code, start)
    changed: set[str] = set()
    callees: set[int] = set()
    has_unknown_jump = False
    for step in steps(instructions):
        changed.add(step.rd)
        if step.name == CALL and step.rd != _SAVING:
            callees.add(step.target or 0)
        elif step.name in (CALL, CALL_REGISTER):
            callees.add(0)
        elif step.name == JUMP_REGISTER:
            has_unknown_jump = True
        elif step.target is not None and step.name != PAGE and not start <= step.target < end:
            callees.add(step.target)
    return changed, has_unknown_jump, callees, int(instructions.ends[-1]) if len(instructions) else start
