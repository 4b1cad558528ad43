"""The forms of RISC-V instructions, in the words that AArch64 code is told in."""

from collections.abc import Iterator

from liveso.code.form import Form, Operation
from liveso.code.formed_addresses import Found
from liveso.code.riscv64_groups import PACK, STORE_BOTH, condition
from liveso.code.riscv64_steps import (
    CALL,
    CALL_REGISTER,
    CONSTANT,
    JUMP_REGISTER,
    LOADS,
    PAGE,
    RETURN,
    RETURN_ADDRESS,
    STORES,
    TAIL_CALL,
    ZERO,
    Step,
)
from liveso.machine import RISCV64

_WIDTHS = {"b": 1, "h": 2, "w": 4, "d": 8}
_LOADED = {"lb": "ldrsb", "lbu": "ldrb", "lh": "ldrsh", "lhu": "ldrh"}
_STORED = {"sb": "strb", "sh": "strh"}
_SIGNED = {"lb": True, "lh": True, "lbu": False, "lhu": False, "lwu": False}
"""Not LW: numbers of 32 bits are kept with their sign, or what would be one, whatever they are (RISC-V ELF psABI,
"Integer Calling Convention")."""
_BITS = {
    "and": "and", "andi": "and", "or": "orr", "ori": "orr", "xor": "eor", "xori": "eor",
    "sll": "lsl", "slli": "lsl", "sllw": "lsl", "slliw": "lsl", "srl": "lsr", "srli": "lsr", "srlw": "lsr",
    "srliw": "lsr", "sra": "asr", "srai": "asr", "sraw": "asr", "sraiw": "asr",
}  # fmt: skip
_FIELDS = frozenset({"ubfx", "sbfx", "ubfiz", "sbfiz"})
_MULTIPLIES = {"mul": "mul", "mulw": "mul", "mulh": "smulh", "mulhu": "umulh", "mulhsu": "sumulh"}
_OTHERS = {
    PACK: "orr", "add": "add", "addw": "add", "sub": "sub", "subw": "sub", "div": "sdiv", "divw": "sdiv",
    "divu": "udiv", "divuw": "udiv", "rem": "srem", "remw": "srem", "remu": "urem", "remuw": "urem", "ebreak": "brk",
    "ecall": "svc",
}  # fmt: skip
_COMPARES = frozenset({"slt", "slti", "sltu", "sltiu", "sgt", "sgtu", "seq", "sne"})
_FLOAT_COMPARES = frozenset({"feq", "flt", "fle"})
_BRANCH_CONDITIONS = {
    "beq": "eq", "bne": "ne", "blt": "lt", "bge": "ge", "bltu": "lo", "bgeu": "hs", "bgt": "gt", "ble": "le",
    "bgtu": "hi", "bleu": "ls",
}  # fmt: skip
_WITH_ZERO_FIRST = {"lt": "gt", "ge": "le", "lo": "hi", "hs": "ls", "eq": "eq", "ne": "ne"}
_ATOMIC = {"amoadd": "xadd", "amoand": "and", "amoor": "orr", "amoxor": "eor", "amoswap": "swp"}
_LOWER_FLOAT = ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmin", "fmax", "fmadd", "fmsub", "fnmadd", "fnmsub")


def found_of(step: Step) -> Iterator[Found]:
    """The form of an instruction; a comparison, and what depends on it, are two, of which the second stands one byte
    further on."""
    name, address = step.name, step.address
    if step.condition and not step.rs:
        yield Found(address, _conditional(step.condition), step.target)
    elif name in ("tbz", "tbnz"):
        text = f"{name} {step.rs[0]}"
        yield Found(address, Form(Operation.BITS, text, immediate=step.number, leads_to_code=True), step.target)
    elif name in _BRANCH_CONDITIONS:
        yield from _branch(step)
    elif name in _COMPARES or name in _FLOAT_COMPARES:
        yield from _comparison(step)
    elif name == STORE_BOTH:
        for at, register in enumerate(step.rs[:2]):
            number = (step.number or 0) + at * _WIDTHS["w"]
            yield Found(address + at, _access(Step(address, "sw", rs=(register, step.rs[2]), number=number)), None)
    elif name == PAGE:
        yield Found(address, Form(Operation.PAGE, f"auipc {step.rd}", written=(step.rd,)), step.target)
    elif name == CALL and step.rd == RETURN_ADDRESS:
        yield Found(address, Form(Operation.CALL, "bl ", leads_to_code=True), step.target)
    elif name == TAIL_CALL:
        yield Found(address, Form(Operation.JUMP, "b ", leads_to_code=True), step.target)
    else:
        yield Found(address, _form(step), None)


def _conditional(name: str) -> Form:
    return Form(Operation.OTHER, f"b.{name} ", leads_to_code=True)


def _branch(step: Step) -> Iterator[Found]:
    name, rs, number = _BRANCH_CONDITIONS[step.name], step.rs, step.number
    if len(rs) == 2 and ZERO in rs:
        name = name if rs[1] == ZERO else _WITH_ZERO_FIRST[name]
        rs, number = (rs[0] if rs[1] == ZERO else rs[1],), 0
    if number == 0 and name in ("eq", "ne") and len(rs) == 1:
        text = f"{'cbz' if name == 'eq' else 'cbnz'} {rs[0]}"
        yield Found(step.address, Form(Operation.OTHER, text, leads_to_code=True), step.target)
        return
    yield Found(step.address, _compare(rs, number), None)
    yield Found(step.address + 1, _conditional(name), step.target)


def _compare(rs: tuple[str, ...], number: int | None) -> Form:
    if len(rs) == 1:
        return Form(Operation.OTHER, f"cmp {rs[0]}, N", immediate=number)
    return Form(Operation.OTHER, f"cmp {', '.join(rs)}")


def _comparison(step: Step) -> Iterator[Found]:
    """What compares, and leaves 1 or 0, or is only asked by a branch."""
    rs, number, holds = step.rs, step.number, condition(step)
    if len(rs) == 2 and ZERO in rs:
        holds = holds if rs[1] == ZERO else _WITH_ZERO_FIRST[holds]
        rs, number = (rs[0] if rs[1] == ZERO else rs[1],), 0
    if step.name.startswith("f"):
        yield Found(step.address, Form(Operation.OTHER, f"fcmp {', '.join(rs)}"), None)
    else:
        yield Found(step.address, _compare(rs, number), None)
    if not step.asks and step.rd:
        yield Found(step.address + 1, Form(Operation.OTHER, f"cset {step.rd}, {holds}", written=(step.rd,)), None)


def _form(step: Step) -> Form:
    name, rs = step.name, step.rs
    written = (step.rd,) if step.rd else ()
    if name in LOADS or name in STORES:
        return _access(step)
    if name in (CALL_REGISTER, CALL):
        return Form(Operation.CALL, f"blr {''.join(rs)}")
    if name == JUMP_REGISTER:
        return Form(Operation.JUMP, f"br {rs[0]}")
    if name == RETURN:
        return Form(Operation.RETURN, "ret ")
    if name == CONSTANT:
        return Form(Operation.MOVE, f"mov {step.rd}, N", immediate=step.number, written=written)
    if name in ("mv", "sext.w"):  # numbers of 32 bits are kept so, whatever they are
        return Form(Operation.MOVE, f"mov {step.rd}, {rs[0]}", written=written, source=rs[0])
    if name in ("addi", "addiw"):
        width = RISCV64.word if name == "addi" else RISCV64.word // 2
        return Form(Operation.ADDRESS, f"add {step.rd}, {rs[0]}, N", rs[0], step.number, width, written=written)
    if name.startswith(("amo", "lr.", "sc.")):
        return _atomic(step)
    if name == "xori" and step.number == -1:
        return Form(Operation.OTHER, f"mvn {step.rd}, {rs[0]}", written=written)
    if name in ("sub", "subw") and rs[0] == ZERO:
        return Form(Operation.OTHER, f"neg {step.rd}, {rs[1]}", written=written)
    if name == "fmv":
        return Form(Operation.MOVE, f"fmov {step.rd}, {rs[0]}", written=written, source=rs[0])
    if name.startswith("fsgnj.") and rs[0] == rs[-1]:
        return Form(Operation.MOVE, f"fmov {step.rd}, {rs[0]}", written=written, source=rs[0])
    return _computing(step, written)


def _computing(step: Step, written: tuple[str, ...]) -> Form:
    name, operation = step.name, Operation.OTHER
    operands = [step.rd, *step.rs] if step.rd else [*step.rs]
    if name in _BITS:
        operation, name = Operation.BITS, _BITS[name]
    elif name in _FIELDS:
        operation = Operation.BIT_FIELD
    elif name in _MULTIPLIES:
        operation, name = Operation.MULTIPLY, _MULTIPLIES[name]
    elif name.startswith("f"):
        name = _float(name)
    else:
        name = _OTHERS.get(name, name)
    if step.asks:
        name = "tst"
    if step.number is not None:
        operands.append("N")
    number = step.number
    if step.shift:
        operands.append("lsl N")
        number = step.shift
    return Form(operation, f"{name} {', '.join(operands)}", immediate=number, written=written)


def _float(name: str) -> str:
    """The name of an instruction about floating-point numbers, without what size they have."""
    kind, _dot, sizes = name.partition(".")
    if kind in _LOWER_FLOAT or not sizes:
        return kind
    if kind == "fcvt":
        to, _dot, source = sizes.partition(".")
        if source[:1] in ("w", "l"):
            return "ucvtf" if source.endswith("u") else "scvtf"
        return "fcvt" if to in ("d", "s") else "fcvtzu" if to.endswith("u") else "fcvtzs"
    return kind


def _access(step: Step) -> Form:
    name, is_store = step.name, step.name in STORES
    base, *index = step.rs[1:] if is_store else step.rs
    register = step.rs[0] if is_store else step.rd or ZERO
    memory = [base, *index, *([f"lsl #{step.shift}"] if step.shift else ())]
    told = _STORED.get(name, "str") if is_store else _LOADED.get(name, "ldr")
    return Form(
        Operation.MOVE,
        f"{told} {register}, [{', '.join(memory)}]",
        base,
        step.number or 0,
        _WIDTHS[name.removesuffix("u")[-1]],
        written=(step.rd,) if step.rd else (),
        source=register if is_store else "",
        is_store=is_store,
        is_signed=_SIGNED.get(name),
    )


def _atomic(step: Step) -> Form:
    """What reads and writes memory at once, as AArch64 has it, or x86-64 where that has no name for it."""
    kind, size, *_order = step.name.split(".")
    told = {"lr": "ldxr", "sc": "stxr"}.get(kind) or _ATOMIC.get(kind, kind)
    *others, base = step.rs
    registers = [step.rd, *others] if step.rd else others
    return Form(
        Operation.OTHER,
        f"{told} {', '.join(registers)}, [{base}]",
        base,
        0,
        _WIDTHS[size],
        written=(step.rd,) if step.rd else (),
        is_store=kind != "lr",
    )
