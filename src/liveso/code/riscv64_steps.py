"""RISC-V instructions as capstone writes them, told by their operands: the names that assemblers have for special cases
of an instruction, and its compressed form, are the instruction itself (The RISC-V Instruction Set Manual, Volume I,
"RISC-V Assembly Programmer's Handbook" and "C Extension")."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from liveso.code.decode import Listing

ZERO = "zero"
RETURN_ADDRESS = "ra"
BRANCHES = frozenset({"beq", "bne", "blt", "bge", "bltu", "bgeu"})
LOADS = frozenset({"lb", "lbu", "lh", "lhu", "lw", "lwu", "ld", "flw", "fld"})
STORES = frozenset({"sb", "sh", "sw", "sd", "fsw", "fsd"})
CALL, TAIL_CALL = "jal", "j"
CALL_REGISTER, JUMP_REGISTER = "jalr", "jr"
RETURN = "ret"
CONSTANT = "li"
PAGE = "auipc"
_MEMORY = re.compile(r"(-?(?:0x)?[0-9a-f]+)?\((\w+)\)$")
_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|\d+)$")
_UPPER = 12  # bits below the immediate of LUI and AUIPC
_PADDING = ("nop", "unimp")
_WITH_ZERO = {
    "beqz": ("beq", 1), "bnez": ("bne", 1), "bltz": ("blt", 1), "bgez": ("bge", 1), "blez": ("bge", 0),
    "bgtz": ("blt", 0), "snez": ("sltu", 0), "sltz": ("slt", 1), "sgtz": ("slt", 0), "neg": ("sub", 0),
    "negw": ("subw", 0),
}  # fmt: skip
"""Names for an instruction with the zero register: where it stands among those that are read."""
_COPIES = {"fmv.d": "fmv", "fmv.s": "fmv", "fmv.x.d": "fmv", "fmv.d.x": "fmv", "fmv.x.w": "fmv", "fmv.w.x": "fmv"}
_SIZED = frozenset({"feq", "flt", "fle"})


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction: `rd` is the register that it writes, `rs` are those that it reads in the order of its operands,
    those of memory last, `number` its constant operand, `target` the address that it goes to or, for AUIPC, leaves.
    Those that write the zero register write none. Of LI, `number` is all of the constant.

    What says one thing together with others is told at the last of them: `shift` is how far to the left the last
    register is shifted that is added, or accessed by, and `asks` says that the result of a comparison is only for a
    branch, whose `condition` it is then: that, and no registers, is what the branch has.
    """

    address: int
    name: str
    rd: str = ""
    rs: tuple[str, ...] = ()
    number: int | None = None
    target: int | None = None
    shift: int = 0
    asks: bool = False
    condition: str = ""

    @property
    def is_branch(self) -> bool:
        """Whether it goes on at its target, or at the next instruction."""
        return self.name in BRANCHES

    @property
    def is_end(self) -> bool:
        """Whether the next instruction is only reached from elsewhere."""
        return self.name in (TAIL_CALL, JUMP_REGISTER, RETURN)

    @property
    def is_call(self) -> bool:
        return self.name in (CALL, CALL_REGISTER)


def steps(instructions: Listing) -> list[Step]:
    """The instructions of a function without its padding; AUIPC and JALR, which call what is far away together, are a
    call."""
    found: list[Step] = []
    for address, _size, mnemonic, operands in instructions:
        step = _step(mnemonic, operands)
        if step is None:
            continue
        target = None if step.target is None else address + step.target
        if step.name == "jalr to" and found and found[-1].name == PAGE and (found[-1].rd,) == step.rs:
            page = found.pop()
            leads_to = (page.target or 0) + (step.number or 0)
            found.append(Step(page.address, CALL if step.rd else TAIL_CALL, step.rd or page.rd, (), None, leads_to))
            continue
        if step.name == "jalr to":
            step = _indirect(step)
        found.append(replace(step, address=address, target=target))
    return found


def _indirect(step: Step) -> Step:
    """JALR, to an address in a register."""
    is_return = not step.rd and step.rs == (RETURN_ADDRESS,) and not step.number
    name = CALL_REGISTER if step.rd else RETURN if is_return else JUMP_REGISTER
    return replace(step, name=name, number=None, rs=() if is_return else step.rs)


@lru_cache(1 << 17)
def _step(mnemonic: str, operands: str) -> Step | None:
    """An instruction at the address zero; None for padding."""
    name = mnemonic.removeprefix("c.")
    if name in _PADDING:
        return None
    parts = [it.strip() for it in operands.split(",") if it.strip()]
    if name in ("lwsp", "ldsp", "swsp", "sdsp", "fldsp", "fsdsp"):
        name = name.removesuffix("sp")
    name = {"addi16sp": "addi", "addi4spn": "addi"}.get(name, name)
    special = _jump(name, parts) or _constant(name, parts)
    if special is not None:
        return special
    registers, number = [], None
    for part in parts:
        memory = _MEMORY.match(part)
        if memory:
            registers.append(memory[2])
            number = int(memory[1] or "0", 0)
        elif _NUMBER.match(part):
            number = int(part, 0)
        else:
            registers.append(part)
    if name in BRANCHES:
        return Step(0, name, rs=tuple(registers), target=number)
    if name in STORES:
        return Step(0, name, rs=tuple(registers), number=number)
    if name.startswith(("fence", "ecall", "ebreak")):
        return Step(0, name)
    if mnemonic.startswith("c.") and name not in ("mv", *LOADS) and len(registers) + (number is not None) == 2:
        registers.insert(1, registers[0])  # the first register is also read
    return _computing(name, registers, number)


def _jump(name: str, parts: list[str]) -> Step | None:
    """What goes elsewhere, or a branch by one register."""
    if name == "ret":
        return Step(0, RETURN)
    if name == "j":
        return Step(0, TAIL_CALL, target=int(parts[0], 0))
    if name == "jal":
        rd = parts[0] if len(parts) > 1 else RETURN_ADDRESS
        return Step(0, CALL, rd, target=int(parts[-1], 0))
    if name == "jr" or (name == "jalr" and len(parts) == 1):
        return Step(0, "jalr to", RETURN_ADDRESS if name == "jalr" else "", (parts[0],), 0)
    if name == "jalr":
        return Step(0, "jalr to", "" if parts[0] == ZERO else parts[0], (parts[1],), int(parts[2], 0))
    if name in _WITH_ZERO and name.startswith("b"):
        whole, at = _WITH_ZERO[name]
        return Step(0, whole, rs=(ZERO, parts[0]) if at == 0 else (parts[0], ZERO), target=int(parts[1], 0))
    return None


def _constant(name: str, parts: list[str]) -> Step | None:
    if name in (CONSTANT, "lui"):
        number = int(parts[1], 0)
        return Step(0, CONSTANT, parts[0], number=number if name == CONSTANT else _upper(number))
    if name == PAGE:
        return Step(0, PAGE, parts[0], target=_upper(int(parts[1], 0)))
    return None


def _upper(number: int) -> int:
    """What LUI makes of its immediate."""
    return (number & 0xFFFFF ^ 0x80000) - 0x80000 << _UPPER


def _computing(name: str, registers: list[str], number: int | None) -> Step | None:
    rd, *rs = registers or [""]
    if name in _WITH_ZERO:
        name, at = _WITH_ZERO[name]
        rs.insert(at, ZERO)
    elif name == "seqz":
        name, number = "sltiu", 1
    elif name == "not":
        name, number = "xori", -1
    elif name == "addiw" and number == 0:
        name, number = "sext.w", None
    elif name == "addi" and number == 0:
        name, number = "mv", None
    name = _COPIES.get(name, name)
    if name.partition(".")[0] in _SIZED:
        name = name.partition(".")[0]
    if name in ("add", "or", "xor") and ZERO in rs:
        rs.remove(ZERO)
        name = "mv"
    if name in ("addi", "ori", "xori", "addiw") and rs == [ZERO]:
        return Step(0, CONSTANT, rd, number=number)
    if name == "mv" and rs == [ZERO]:
        return Step(0, CONSTANT, rd, number=0)
    if rd == ZERO and not name.startswith(("amo", "sc.")):
        return None  # nothing, or a hint
    return Step(0, name, "" if rd == ZERO else rd, tuple(rs), number)
