"""What one instruction does with the address of a module's thread-local block, which registers and words of the stack
hold: it copies it, accesses a variable by way of it, or does what cannot be followed."""

from dataclasses import dataclass

import capstone

from liveso.machine import Machine

Sites = frozenset[int | None]
"""The sites, addresses of displacements, of the code that asked for the block; None stands for another value."""
Holders = dict[str | tuple[str, int], Sites]
"""By register, or word of the frame (base and displacement), the sites that its value came from. What is not in it is
not followed."""

SHORT = range(-128, 128)
"""The displacements that take one byte, where it is not the linker that fills them in."""
UNKNOWN: Sites = frozenset((None,))
_ONLY_READ = ("cmp", "test")


@dataclass(frozen=True, slots=True)
class Access:
    """An instruction that adds a variable's place in the block to the block's address.

    `place` is the address of that number in the instruction, `offset` the number, in bytes; `sites` are the addresses
    of the displacements by which the code that asked for the block refers to its slot. `forms_address`: the variable is
    not accessed here.
    """

    instruction: int
    place: int
    offset: int
    sites: frozenset[int]
    forms_address: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """`followed` is where the result of an instruction comes from, if it is followed, `access` the access that it is,
    and `is_unclear` says that it may be one, or hides one."""

    followed: Sites | None = None
    access: Access | None = None
    is_unclear: bool = False


class BlockAddress:
    """Looks at instructions of a machine whose threads have blocks of `block_size` bytes."""

    def __init__(self, machine: Machine, block_size: int) -> None:
        self._machine, self._block_size = machine, block_size

    def effect(self, it: capstone.CsInsn, holders: Holders) -> Effect:
        """What an instruction does, if `holders` have the block's address before it."""
        held = [self._held(it, operand, holders) for operand in it.operands]
        memory = next((operand.mem for operand in it.operands if operand.type == capstone.CS_OP_MEM), None)
        effect = self._addressed(it, memory, holders) if memory is not None else Effect()
        if effect.followed is not None:
            return effect
        access, is_unclear = effect.access, effect.is_unclear
        if len(held) == 2 and it.operands[0].size == self._machine.word:
            if it.mnemonic == "mov" and held[1] is not None:
                return Effect(held[1], access, is_unclear)
            if it.mnemonic.startswith("cmov") and any(held):
                return Effect((held[0] or UNKNOWN) | (held[1] or UNKNOWN), access, is_unclear)
            if it.mnemonic == "add" and held[0] is not None and it.imm_size == self._machine.displacement_size:
                return self._access(it, it.imm_offset, it.operands[1].imm, held[0], True)
            if it.mnemonic == "add" and held[0] is not None and self._is_thread_pointer(it, memory):
                return Effect(held[0])
            if it.mnemonic == "add" and memory is None and any(held) and not all(held):
                return Effect(held[0] or held[1], access, is_unclear)
        if it.mnemonic not in _ONLY_READ and not _is_cleared(it):
            # what is the block's address on one way only is not read as such
            is_unclear |= any(
                sites is not None and None not in sites and operand.access != capstone.CS_AC_WRITE
                for operand, sites in zip(it.operands, held, strict=True)
            )
        return Effect(None, access, is_unclear)

    def after(self, it: capstone.CsInsn, holders: Holders) -> Holders:
        """What is held where after an instruction that goes on with the next one."""
        if not holders:
            return holders
        followed = self.effect(it, holders).followed
        stack = self._machine.stack_pointer
        written = self.written(it)
        first = it.operands[0] if it.operands else None
        place = self._place(it, first) if first is not None else None
        is_store = place is not None and it.mnemonic not in (*_ONLY_READ, "push")
        after: Holders = {}
        for name, sites in holders.items():
            if isinstance(name, str):
                if name not in written:
                    after[name] = sites
            elif (
                is_store
                and place is not None
                and first is not None
                and name[0] == place[0]
                and place[1] - self._machine.word < name[1] < place[1] + first.size
            ):
                continue
            elif name[0] not in written:
                after[name] = sites
            elif name[0] == stack and (moved := self._stack_moves(it)) is not None:
                after[stack, name[1] - moved] = sites
        if followed is not None and first is not None:
            target = place or (self._whole(it.reg_name(first.reg)) if first.type == capstone.CS_OP_REG else None)
            if target is not None:
                after[target] = followed
        return after

    def written(self, it: capstone.CsInsn) -> set[str]:
        """The registers, whole, that an instruction writes."""
        return {self._whole(it.reg_name(register)) for register in it.regs_access()[1]}

    def looks_like_one(self, it: capstone.CsInsn) -> bool:
        """Whether an instruction has a small number in four bytes, as the linker leaves it."""
        if not self._has_long_displacement(it):
            return False
        memory = next((operand.mem for operand in it.operands if operand.type == capstone.CS_OP_MEM), None)
        return (
            memory is not None
            and not it.mnemonic.startswith("nop")
            and bool(memory.base)
            and it.reg_name(memory.base) != self._machine.program_counter
            and memory.disp in SHORT
        )

    def _stack_moves(self, it: capstone.CsInsn) -> int | None:
        """By how many bytes the stack pointer goes up; None where that is not known."""
        word = self._machine.word
        if it.mnemonic in ("push", "pop"):
            return -word if it.mnemonic == "push" else word
        if it.mnemonic in ("add", "sub") and it.operands[1].type == capstone.CS_OP_IMM:
            return int(it.operands[1].imm) * (1 if it.mnemonic == "add" else -1)
        return None

    def _place(self, it: capstone.CsInsn, operand: capstone.x86.X86Op) -> tuple[str, int] | None:
        """The word of the function's own frame that an operand is."""
        if operand.type != capstone.CS_OP_MEM or operand.mem.index:
            return None
        base = it.reg_name(operand.mem.base) if operand.mem.base else ""
        own = (self._machine.stack_pointer, self._machine.frame_pointer)
        return (base, operand.mem.disp) if base in own else None

    def _held(self, it: capstone.CsInsn, operand: capstone.x86.X86Op, holders: Holders) -> Sites | None:
        """What an operand holds, if that is followed."""
        if operand.type == capstone.CS_OP_REG:
            return holders.get(self._whole(it.reg_name(operand.reg)))
        place = self._place(it, operand)
        return holders.get(place) if place is not None else None

    def _addressed(self, it: capstone.CsInsn, memory: capstone.x86.X86OpMem, holders: Holders) -> Effect:
        """What an instruction does with memory that is addressed by way of the block's address."""
        found = [
            sites
            for part in (memory.base, memory.index)
            if part and (sites := holders.get(self._whole(it.reg_name(part)))) is not None
        ]
        is_scaled = memory.scale != 1 and holders.get(self._whole(it.reg_name(memory.index) or "")) is not None
        is_address = it.mnemonic == "lea"
        if len(found) == 1 and not is_scaled and self._has_long_displacement(it):
            return self._access(it, it.disp_offset, memory.disp, found[0], is_address)
        if len(found) == 1 and not is_scaled and is_address and not memory.disp:
            return Effect(found[0])
        return Effect(is_unclear=any(None not in sites for sites in found))

    def _is_thread_pointer(self, it: capstone.CsInsn, memory: capstone.x86.X86OpMem | None) -> bool:
        """Whether an operand is the word that holds its own address (ELF TLS, 3.4.6): descriptors yield what comes on
        top of it."""
        return (
            memory is not None
            and not (memory.base or memory.index or memory.disp)
            and it.reg_name(memory.segment) == self._machine.thread_segment
        )

    def _access(self, it: capstone.CsInsn, at: int, number: int, sites: Sites, is_address: bool) -> Effect:
        known = frozenset(site for site in sites if site is not None)
        # a small number in four bytes is the linker's; what comes from elsewhere passed by a call that never returns
        if known and (len(known) == len(sites) or number in SHORT):
            return Effect(access=Access(it.address, it.address + at, number, known, is_address))
        return Effect(is_unclear=0 <= number <= self._block_size)

    def _has_long_displacement(self, it: capstone.CsInsn) -> bool:
        # capstone's own size is that of the operand where the instruction is about 16 bits
        return bool(it.disp_offset) and ((it.imm_offset or it.size) - it.disp_offset == self._machine.displacement_size)

    def _whole(self, register: str) -> str:
        return self._machine.register_parts.get(register, register)


def joined(one: Holders, other: Holders) -> Holders:
    """What is held where two ways meet."""
    return {name: one.get(name, UNKNOWN) | other.get(name, UNKNOWN) for name in one.keys() | other.keys()}


def _is_cleared(it: capstone.CsInsn) -> bool:
    first, _comma, second = it.op_str.partition(", ")
    return it.mnemonic in ("xor", "sub", "pxor") and first == second
