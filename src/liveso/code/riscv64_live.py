"""Which registers of RISC-V code are read later."""

from liveso.code.riscv64_steps import JUMP_REGISTER, RETURN, Step
from liveso.machine import RISCV64

_RESULTS = frozenset({"a0", "fa0"})
"""The second halves of large ones (RISC-V ELF psABI, "Integer Calling Convention") are no operands, as a rule."""
_FIRST_ARGUMENTS = frozenset(RISCV64.argument_registers[:3])
_Registers = frozenset[str]


def live_after(found: list[Step]) -> list[_Registers]:
    """The registers that may be read behind each instruction before something else is written there.

    How many arguments a callee takes is not known: the later registers, which compilers use for what is needed for a
    short time, do not count as read by a call. Those that a function keeps for its caller count as read at its end only
    where it restores them, which is what writes them."""
    index_of = {it.address: at for at, it in enumerate(found)}
    everything = frozenset(it.rd for it in found).union(*(it.rs for it in found))
    at_entry: dict[int, _Registers] = {}
    while True:
        live: list[_Registers] = [frozenset()] * len(found)
        is_changed = False
        following: _Registers = frozenset()
        for at in range(len(found) - 1, -1, -1):
            step = found[at]
            if step.is_end:
                following = _at_end(step, index_of, at_entry, everything)
            elif step.target is not None and step.target in index_of and not step.is_call:
                following = following | at_entry.get(step.target, frozenset())
            live[at] = following
            following = _before(step, following)
            if at_entry.get(step.address) != following:
                at_entry[step.address] = following
                is_changed = True
        if not is_changed:
            return live


def _at_end(
    step: Step, index_of: dict[int, int], at_entry: dict[int, _Registers], everything: _Registers
) -> _Registers:
    if step.name == RETURN:
        return _RESULTS
    if step.name == JUMP_REGISTER:
        return everything  # a table of branches, mostly
    if step.target in index_of:
        return at_entry.get(step.target, frozenset())
    return _FIRST_ARGUMENTS


def _before(step: Step, following: _Registers) -> _Registers:
    if step.is_call:
        return following.difference(_FREED) | _FIRST_ARGUMENTS | frozenset(step.rs)
    if step.rd and step.rd in following:
        following = following - {step.rd}
    return following.union(step.rs) if not following.issuperset(step.rs) else following


_FREED = frozenset({*RISCV64.argument_registers, *(f"t{number}" for number in range(7)), "ra"})
