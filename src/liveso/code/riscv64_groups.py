"""What RISC-V code takes several instructions for, and other machines one: bit fields, comparisons whose result is only
asked for by a branch, and elements of arrays."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from liveso.code.riscv64_live import live_after
from liveso.code.riscv64_steps import LOADS, STORES, ZERO, Step

_WORD, _HALF = 64, 32  # bits
_COMPARISONS = frozenset({"slt", "sltu", "slti", "sltiu", "sgt", "sgtu", "feq", "flt", "fle", "seq", "sne"})
"""Those that leave 1 or 0: `seq` and `sne` are those of this module."""
_CONDITIONS = {
    "slt": "lt", "slti": "lt", "sltu": "lo", "sltiu": "lo", "sgt": "gt", "sgtu": "hi", "seq": "eq", "sne": "ne",
    "feq": "eq", "flt": "mi", "fle": "ls",
}  # fmt: skip
OPPOSITES = {"lt": "ge", "lo": "hs", "gt": "le", "hi": "ls", "eq": "ne", "ne": "eq", "mi": "pl", "ls": "hi"}
_WITH_SIGN = frozenset({"addiw", "addw", "subw", "mulw", "slliw", "srliw", "sraiw", "sllw", "srlw", "sraw"})
PACK, STORE_BOTH = "pack", "sw both"
"""One number of two, the lower one first, and a store of it."""
_DIFFERENCES = {"addi": -1, "addiw": -1, "xori": 1, "xor": 0, "sub": 0, "subw": 0}
"""What leaves zero where two are equal: the sign of the constant there, if it has one."""


def condition(step: Step) -> str:
    """The condition under which one of the comparisons leaves 1."""
    return step.condition or _CONDITIONS[step.name]


@dataclass(frozen=True, slots=True)
class _Definition:
    """What wrote a register: the index of the instruction, the instruction, and how often each register had been
    written before it."""

    index: int
    step: Step
    before: dict[str, int]


def grouped(found: list[Step]) -> list[Step]:
    """The same with one instruction for what several do together."""
    return _Groups(found).kept()


class _Groups:
    """Goes through a function in the order of addresses, and knows for each register what wrote it, in code that is
    entered at its start only."""

    def __init__(self, found: list[Step]) -> None:
        self._found = found
        self._live = live_after(found)
        self._known: dict[str, _Definition] = {}
        self._written: dict[str, int] = {}
        self._read: set[str] = set()
        self._kept: list[Step | None] = []

    def kept(self) -> list[Step]:
        led_to = {it.target for it in self._found}
        goes_on = True
        for index, step in enumerate(self._found):
            if step.address in led_to or not goes_on:
                self._known.clear()
            told = self._told(index, step)
            self._kept.append(told)
            self._note(index, told, is_start=not goes_on)
            goes_on = not step.is_end
        return [it for it in self._kept if it is not None]

    def _note(self, index: int, step: Step, *, is_start: bool) -> None:
        self._read.update(step.rs)
        if step.is_call:
            self._known.clear()
        if not step.rd:
            return
        before = {it: self._written.get(it, 0) for it in (*step.rs, step.rd)}
        self._written[step.rd] = before[step.rd] + 1
        self._read.discard(step.rd)
        self._known.pop(step.rd, None)
        if not (is_start or step.is_call):  # else a table may lead to it
            self._known[step.rd] = _Definition(index, step, before)

    # --- what wrote a register

    def _before(self, index: int, step: Step, register: str, *, stays: bool = False) -> Step | None:
        """The instruction that wrote a register only for this one, which is the last that needs it: it can be told
        here, as what it read is still the same, unless it `stays` where it is."""
        it = self._known.get(register)
        if it is None or register in self._read:
            return None
        if register != step.rd and register in self._live[index]:
            return None
        same = stays or all(
            self._written.get(name, 0) == count for name, count in it.before.items() if name != register
        )
        is_own = stays or register not in it.step.rs or self._written[register] == it.before[register] + 1
        return it.step if same and is_own else None

    def _drop(self, register: str) -> None:
        """Leaves out what wrote a register."""
        it = self._known.pop(register)
        self._kept[it.index] = None
        self._written[register] = it.before[register]

    def _mark(self, register: str, step: Step) -> None:
        """Puts another instruction where that is which wrote a register."""
        it = self._known.pop(register)
        self._kept[it.index] = step

    # --- groups, by their last instruction

    def _told(self, index: int, step: Step) -> Step:
        for rule in _RULES.get(step.name, ()):
            told = rule(self, index, step)
            if told is not None:
                return told
        return step

    def field(self, index: int, step: Step) -> Step | None:
        """SLLI and SRLI or SRAI: some of the bits, moved to another place."""
        first = self._before(index, step, step.rs[0])
        is_half = step.name.endswith("w")
        if first is None or first.name != ("slliw" if is_half else "slli") or None in (first.number, step.number):
            return None
        left, right, bits = first.number or 0, step.number or 0, _HALF if is_half else _WORD
        self._drop(step.rs[0])
        is_signed, size = step.name.startswith("sra"), bits - max(left, right)
        address, rd, rs = step.address, step.rd, first.rs
        if left > right:
            if size == _HALF and not is_half:  # an index, and how large elements are
                return Step(address, "slli", rd, rs, left - right)
            return Step(address, "sbfiz" if is_signed else "ubfiz", rd, rs, ((1 << bits - left) - 1) << left - right)
        if left < right:
            mask = ((1 << bits - right) - 1) << right - left
            return Step(address, "sbfx" if is_signed else "ubfx", rd, rs, mask)
        extended = {8: "xtb", 16: "xth", 32: "xtw"}.get(size)
        if extended is not None:
            return Step(address, ("s" if is_signed else "u") + extended, rd, rs)
        mask = (1 << size) - 1
        return Step(address, "sbfx", rd, rs, mask) if is_signed else Step(address, "andi", rd, rs, mask)

    def shifted(self, index: int, step: Step) -> Step | None:
        """SLLI and ADD: an element of an array."""
        if len(step.rs) != 2 or step.rs[0] == step.rs[1]:
            return None
        for at, register in enumerate(step.rs):
            first = self._before(index, step, register)
            if first is not None and first.name == "slli" and first.number:
                self._drop(register)
                return replace(step, rs=(step.rs[1 - at], first.rs[0]), shift=first.number)
        return None

    def element(self, index: int, step: Step) -> Step | None:
        """ADD and an access without displacement: of an element."""
        is_store = step.name in STORES
        register = step.rs[-1]
        if step.number or (is_store and step.rs[0] == register):
            return None
        first = self._before(index, step, register)
        if first is None or first.name != "add" or len(first.rs) != 2 or "tp" in first.rs:
            return None
        self._drop(register)
        return replace(step, rs=(*step.rs[:-1], *first.rs), shift=first.shift)

    def packed(self, index: int, step: Step) -> Step | None:
        """Two numbers of 32 bits in one: SLLI and OR, with what has zeros above."""
        for high, low in (step.rs, step.rs[::-1]):
            first, second = self._before(index, step, high), self._before(index, step, low)
            if high == low or first is None or second is None or second.name != "uxtw":
                continue
            if (first.name, first.number) == ("slli", _HALF):
                self._drop(high)
                self._drop(low)
                return Step(step.address, PACK, step.rd, (second.rs[0], first.rs[0]), shift=_HALF)
        return None

    def stored(self, index: int, step: Step) -> Step | None:
        """A store of two such numbers: of two members that lie side by side, as compilers make one store of two."""
        register, base = step.rs
        first = self._before(index, step, register) if register != base else None
        if first is None or first.name != PACK:
            return None
        self._drop(register)
        return replace(step, name=STORE_BOTH, rs=(*first.rs, base))

    def extended(self, index: int, step: Step) -> Step | None:
        """SEXT.W of what has been computed with 32 bits, and has its sign above already."""
        first = self._before(index, step, step.rs[0])
        if first is None or first.name not in _WITH_SIGN:
            return None
        self._drop(step.rs[0])
        return replace(first, address=step.address, rd=step.rd)

    def equality(self, index: int, step: Step) -> Step | None:
        """SLTIU with 1, or SLTU with zero, and what subtracts before: whether two are equal."""
        if step.name == "sltiu" and step.number == 1:
            name, register = "seq", step.rs[0]
        elif step.name == "sltu" and step.rs[0] == ZERO:
            name, register = "sne", step.rs[1]
        else:
            return None
        first = self._before(index, step, register)
        if first is not None and first.name in _DIFFERENCES and ZERO not in first.rs:
            self._drop(register)
            number = None if first.number is None else first.number * _DIFFERENCES[first.name]
            return Step(step.address, name, step.rd, first.rs, number)
        return Step(step.address, name, step.rd, (register,), 0)

    def inverted(self, index: int, step: Step) -> Step | None:
        """A comparison and XORI with 1: the opposite."""
        first = self._before(index, step, step.rs[0]) if step.number == 1 else None
        if first is None or first.name not in _COMPARISONS or first.name.startswith("f"):
            return None
        self._drop(step.rs[0])
        opposite = OPPOSITES[condition(first)]
        return replace(first, address=step.address, rd=step.rd, condition=opposite)

    def asked(self, index: int, step: Step) -> Step | None:
        """A branch by whether a register is zero, which a comparison or a mask left for it."""
        register = step.rs[0]
        if step.rs[1:] != (ZERO,):
            return None
        first = self._before(index, step, register)
        if step.name in ("blt", "bge"):
            if first is None or first.name not in ("slli", "slliw") or first.number is None:
                return None
            self._drop(register)
            bit = (_HALF if first.name == "slliw" else _WORD) - 1 - first.number
            return replace(step, name="tbnz" if step.name == "blt" else "tbz", rs=first.rs, number=1 << bit)
        if first is not None and first.name == "andi" and _is_bit(first.number):
            self._drop(register)
            return replace(step, name="tbz" if step.name == "beq" else "tbnz", rs=first.rs, number=first.number)
        first = self._before(index, step, register, stays=True)
        if first is None or not (first.name in ("and", "andi") or first.name in _COMPARISONS):
            return None
        self._mark(register, replace(first, asks=True, rd=""))
        holds = condition(first) if first.name in _COMPARISONS else "ne"
        return replace(step, rs=(), condition=holds if step.name == "bne" else OPPOSITES[holds])


def _is_bit(number: int | None) -> bool:
    return number is not None and number > 0 and number & number - 1 == 0


_Rule = Callable[[_Groups, int, Step], Step | None]
_RULES: dict[str, tuple[_Rule, ...]] = {
    **dict.fromkeys(("srli", "srai", "srliw", "sraiw"), (_Groups.field,)),
    "add": (_Groups.shifted,),
    "or": (_Groups.packed,),
    "sext.w": (_Groups.extended,),
    **dict.fromkeys((*LOADS, *STORES), (_Groups.element,)),
    "sd": (_Groups.stored, _Groups.element),
    **dict.fromkeys(("sltiu", "sltu"), (_Groups.equality,)),
    "xori": (_Groups.inverted,),
    **dict.fromkeys(("beq", "bne", "blt", "bge"), (_Groups.asked,)),
}
