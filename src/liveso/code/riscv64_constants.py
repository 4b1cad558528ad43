"""Constants that RISC-V code loads into registers to compute or compare with them: few of its instructions have one as
an operand, and it has no more than 12 bits. On other machines they are the instruction's own."""

from dataclasses import replace

from liveso.code.riscv64_live import live_after
from liveso.code.riscv64_steps import BRANCHES, CONSTANT, ZERO, Step
from liveso.machine import RISCV64

_WITH_NUMBER = {
    "add": "addi", "addw": "addiw", "sub": "addi", "subw": "addiw", "and": "andi", "or": "ori", "xor": "xori",
    "sll": "slli", "srl": "srli", "sra": "srai", "sllw": "slliw", "srlw": "srliw", "sraw": "sraiw", "slt": "slti",
    "sltu": "sltiu",
}  # fmt: skip
"""What an instruction is called whose last operand is a constant."""
_COMMUTES = frozenset({"add", "addw", "and", "or", "xor"})
_SUBTRACTS = frozenset({"sub", "subw"})
_EXCHANGED = {"beq": "beq", "bne": "bne", "blt": "bgt", "bge": "ble", "bltu": "bgtu", "bgeu": "bleu"}
"""What a branch is called where its operands are the other way round (as assemblers call it)."""
_COMPARED_WITH = {"slt": "sgt", "sltu": "sgtu"}
_WORD, _HALF = 64, 32  # bits

_Constants = dict[str, int]


def with_constants(found: list[Step], last_calls: frozenset[int]) -> list[Step]:
    """The same with constants as operands of what computes or compares with them, and each of those that are put
    together by several instructions as one; what only loads their parts, or such operands, is left out."""
    before = _known(found, last_calls)
    if before is None:
        return found
    used: set[str] = set()
    given = [_with_constant(step, known, used) if known else step for step, known in zip(found, before, strict=True)]
    if not used:
        return given
    live = live_after(given)
    led_to = {it.target for it in given}
    kept = []
    for index, step in enumerate(given):
        # the start of a case, to which a table leads
        is_start = index > 0 and given[index - 1].is_end and step.address not in led_to
        if step.name == CONSTANT and step.rd in used and step.rd not in live[index] and not is_start:
            continue
        kept.append(step)
    return kept


def _known(found: list[Step], last_calls: frozenset[int]) -> list[_Constants] | None:
    """The constants in registers before each instruction, followed along all branches; None where there are none."""
    if all(it.name != CONSTANT for it in found):
        return None
    at_target: dict[int, _Constants] = {}
    while True:
        before, is_changed = [], False
        known: _Constants | None = {}
        for step in found:
            joined = at_target.get(step.address)
            if joined is not None:
                known = joined if known is None else _common(known, joined)
                at_target[step.address] = known
            held = known or {}
            before.append(held)
            if step.target is not None and (step.name in BRANCHES or step.is_end):
                at = at_target.get(step.target)
                merged = held if at is None else _common(at, held)
                if merged != at:
                    at_target[step.target] = merged
                    is_changed = is_changed or step.target <= step.address
            known = None if step.is_end or (step.is_call and step.target in last_calls) else _after(step, held)
        if not is_changed:
            return before


def _after(step: Step, held: _Constants) -> _Constants:
    if step.is_call:
        return {it: number for it, number in held.items() if it in RISCV64.kept_registers} if held else held
    number = _made(step, held)
    if number is not None:
        return held | {step.rd: number}
    if step.rd in held:
        return {it: known for it, known in held.items() if it != step.rd}
    return held


def _made(step: Step, held: _Constants) -> int | None:
    """The constant that an instruction leaves."""
    if step.name == CONSTANT:
        return step.number
    if len(step.rs) != 1 or step.rs[0] not in held:
        return None
    base, number = held[step.rs[0]], step.number or 0
    if step.name == "mv":
        return base
    if step.name in ("sext.w", "addiw"):
        return _signed(base + number, _HALF)
    if step.name == "addi":
        return _signed(base + number, _WORD)
    if step.name == "slli":
        return _signed(base << number, _WORD)
    if step.name == "srli":
        return _signed((base & (1 << _WORD) - 1) >> number, _WORD)
    if step.name in ("xori", "ori"):
        return base ^ number if step.name == "xori" else base | number
    return None


def _signed(number: int, bits: int) -> int:
    half = 1 << bits - 1
    return (number + half & (1 << bits) - 1) - half


def _with_constant(step: Step, known: _Constants, used: set[str]) -> Step:
    """An instruction with what its register holds for an operand. Adds to `used` the registers of these."""
    if step.name != "mv" and step.name != CONSTANT and (number := _made(step, known)) is not None:
        used.add(step.rs[0])
        return Step(step.address, CONSTANT, step.rd, (), number)
    if len(step.rs) != 2 or (step.name not in BRANCHES and step.name not in _WITH_NUMBER):
        return step
    one, other = step.rs
    if other in known and one != ZERO:
        used.add(other)
        if step.name in BRANCHES:
            return replace(step, rs=(one,), number=known[other])
        number = -known[other] if step.name in _SUBTRACTS else known[other]
        return replace(step, name=_WITH_NUMBER[step.name], rs=(one,), number=number)
    if one not in known or other == ZERO:
        return step
    name = _EXCHANGED.get(step.name) or _COMPARED_WITH.get(step.name)
    if name is None and step.name in _COMMUTES:
        name = _WITH_NUMBER[step.name]
    if name is None:
        return step
    used.add(one)
    return replace(step, name=name, rs=(other,), number=known[one])


def _common(one: _Constants, other: _Constants) -> _Constants:
    return one if one is other else {it: number for it, number in one.items() if other.get(it) == number}
