"""What instructions do, by their names on all machines, where it matters for what code does with memory."""

import re
from functools import lru_cache

from liveso.code.form import Form
from liveso.code.instructions import Code

_OPERAND = re.compile(r"\[[^\]]*\]!?|[^,\[\]\s][^,\[\]]*")
REGISTER = re.compile(r"[a-z][a-z0-9]+")
"""What names of registers look like in an outline, as those of operations do."""
SHIFTS = frozenset({"shl", "sal", "shr", "sar", "rol", "ror", "lsl", "lsr", "asr"})
MASKS = frozenset({"and", "or", "xor", "test", "bt", "bts", "btr", "ands", "orr", "eor", "bic", "tst", "tbz", "tbnz"})
TESTS = frozenset({"tst", "tbz", "tbnz"})
"""AArch64: those that mask a register, and leave no result in one."""
LEFT, RIGHT = frozenset({"shl", "sal", "lsl"}), frozenset({"shr", "sar", "lsr", "asr"})
SELECTS_BITS = frozenset({"and", "ands", *RIGHT})
"""Instructions that leave some of the bits."""
BIT_NUMBERS = frozenset({"bt", "bts", "btr"})
"""Whose constant is the number of a bit."""
_SUBTRACTS = frozenset({"sub", "dec", "subs"})
ADDS = frozenset({"add", "inc", "adds", "xadd"}) | _SUBTRACTS
"""Instructions that add or subtract."""
EXTENDS = {"cdqe": 4, "cwde": 2, "sxtw": 4, "uxtw": 4, "uxtb": 1, "uxth": 2, "sxtb": 1, "sxth": 2}
"""Instructions that make a wider number of one of so many bytes."""
FIELDS = frozenset({"ubfx", "sbfx", "bfi", "bfxil", "ubfiz", "sbfiz"})
"""AArch64: those that take bits out of a word, or put some into it."""
FACTORS = frozenset({"imul", "mul", "madd", "msub", "smull", "umull"})
"""Instructions that multiply."""
NEGATES = "neg"
ENCODES = frozenset({NEGATES, "not", "mvn", "bswap", "rev", "rev16", "rev32"})
"""Instructions that give a number another form, from which the same, or its like, makes it again."""
HIDE, HIDES = "xor", frozenset({"xor", "eor"})
"""Instructions that do so with a mask, and what they are called in a Use."""
COMPARES = frozenset({"cmp", "cmn", "ccmp", "cbz", "cbnz"})
WHOLE_NUMBERS = SHIFTS | MASKS | ADDS | FACTORS | COMPARES
FLOAT = re.compile(
    r"v?(add|sub|mul|div|sqrt|min|max|u?comi|cvtt?s[sd]2|fn?m[a-z]+)[a-z0-9]*s[sd](2si)?$|f(add|sub|mul|div|cmp|cvtz)"
)
ONES = frozenset({"pcmpeqb", "pcmpeqw", "pcmpeqd", "vpcmpeqb", "vpcmpeqw", "vpcmpeqd"})
"""Which leave all bits set where both operands are one register."""
ZEROS = frozenset({"xor", "pxor", "xorps", "xorpd", "vpxor", "vxorps", "vxorpd"})
"""Which leave zero where both operands are one register."""
_CONDITION = re.compile(
    r"(?:j|set|cmov)(n?[a-z]{1,2}) |"
    r"(?:b\.|(?:cset|csetm|csel|cinc|cinv|cneg|csinc|csinv|csneg|fcsel|ccmp|ccmn|fccmp) )(?:.*, )?([a-z]{2})\b|cbn?z"
)
SELECTS = frozenset({"csel", "fcsel"})
"""AArch64: those that leave one of two registers."""
CHANGED_OPERAND = re.compile(r"(?:lsl|lsr|asr|ror|[su]xt[bhwx])(?: |$)")
"""AArch64: how the operand before is shifted, or extended."""
_OPPOSITES = {
    **{"ne": "e", "eq": "e", "z": "e", "nz": "e", "ge": "l", "nl": "l", "lt": "l", "le": "g", "gt": "g", "ng": "g"},
    **{"ns": "s", "mi": "s", "pl": "s", "ae": "b", "nb": "b", "lo": "b", "cc": "b", "hs": "b", "cs": "b"},
    **{"be": "a", "na": "a", "hi": "a", "ls": "a"},
}
SIGNED, UNSIGNED = frozenset({"l", "g"}), frozenset({"b", "a"})
"""The conditions, as `condition` has them, about numbers that may be below zero, and about others."""
_SIGNED_NAMES = {"sar": "shr", "idiv": "div", "asr": "lsr", "sdiv": "udiv", "ldrsb": "ldrb", "ldrsh": "ldrh"}
_SIGNED_NAMES |= {"ldrsw": "ldr"}
_SIGNED_CONDITIONS = {"l": "b", "g": "a", "le": "be", "ge": "ae", "lt": "lo", "gt": "hi"}
_ABOUT_ORDER = re.compile(r"(j|set|cmov|b\.)([lg]e?|[lg]t)$")
_LARGER = {"l": "g", "le": "ge", "b": "a", "be": "ae", "lt": "gt", "lo": "hi", "ls": "hs"}
_ABOUT_SIZE = re.compile(r"(j|set|cmov|b\.)([lgba]e?|[lg]t|lo|hi|ls|hs)$")
_SHIFT = re.compile(r"#(\d+)$")
_AS_FAR = 5  # instructions from a comparison to what depends on it


@lru_cache(1 << 14)
def parts(outline: str) -> tuple[str, tuple[str, ...]]:
    """The name of an instruction and its operands, from Form.outline."""
    name, _space, text = outline.removeprefix("lock ").partition(" ")
    return name, tuple(it.strip() for it in _OPERAND.findall(text))


def condition(code: Code, index: int, as_far: int = _AS_FAR) -> str:
    """The condition of what depends on the comparison at `index`, or on another operation, no further than some
    instructions; one and its opposite are the same."""
    for form in code.forms[index : index + as_far]:
        found = _CONDITION.match(form.outline)
        if found:
            name = found[1] or found[2] or "e"
            return _OPPOSITES.get(name, name)
    return ""


def is_signed(name: str, condition_name: str) -> bool | None:
    """Whether an instruction takes a number for one that may be below zero: a shift, or a comparison that a condition
    depends on; None where it says nothing about that."""
    if name in SHIFTS:
        return True if name in ("sar", "asr") else False if name in RIGHT else None
    return True if condition_name in SIGNED else False if condition_name in UNSIGNED else None


@lru_cache(1 << 14)
def without_direction(outline: str) -> str:
    """What an instruction does, whether it adds a number or takes it away."""
    name, space, operands = outline.partition(" ")
    return f"{'inc' if name == 'dec' else 'add' if name == 'sub' else name}{space}{operands}"


@lru_cache(1 << 14)
def without_sign(outline: str) -> str:
    """What an instruction does, whether the numbers may be below zero or not."""
    name, space, operands = outline.partition(" ")
    found = _ABOUT_ORDER.match(name)
    name = f"{found[1]}{_SIGNED_CONDITIONS.get(found[2], found[2])}" if found else _SIGNED_NAMES.get(name, name)
    return f"{name}{space}{operands}"


@lru_cache(1 << 14)
def without_order(outline: str) -> str:
    """What an instruction does, whether it depends on a number's being larger or smaller: one and its opposite, which
    is the other way through a branch, are not the same."""
    name, space, operands = outline.partition(" ")
    found = _ABOUT_SIZE.match(name)
    return f"{found[1]}{_LARGER.get(found[2], found[2])}{space}{operands}" if found else outline


@lru_cache(1 << 14)
def terms(form: Form) -> tuple[tuple[str, int], ...] | None:
    """The registers that memory, or an address, is told by, each with what it is multiplied by; None where that has an
    unusual form."""
    if not form.outline.partition("[")[1]:
        return ((form.base, 1),) if form.base else None
    inside = form.outline.partition("[")[2].partition("]")[0]
    found = []
    for text in (it.strip() for it in inside.split("+")):
        register, _star, scaled = text.partition("*")
        found.append((register, form.scale if scaled else 1))
    if "," in inside:  # AArch64: an index, and how it is shifted or extended
        base, *rest = (it.strip() for it in inside.split(","))
        shift = _SHIFT.search(rest[1]) if len(rest) > 1 else None
        found = [(base, 1), (rest[0], 1 << int(shift[1]) if shift else 1)]
    return tuple(found) if all(register.isalnum() and factor for register, factor in found) else None


def summand(name: str, constant: int) -> int:
    """What one of ADDS with a constant adds, with sign."""
    return -constant if name in _SUBTRACTS else constant
