"""Follow the address of a module's thread-local block through a function's registers: local dynamic access (ELF TLS,
4.2), where code asks once for the block and adds each variable's place in it by itself."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import capstone

from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.errors import ImageError
from liveso.machine import Machine

_Sites = frozenset[int | None]
_Holders = dict[str | tuple[str, int], _Sites]
"""By register, or word of the frame (base and displacement), the sites that its value came from; None stands for
another value. What is not in it is not followed."""

_SHORT = range(-128, 128)  # a displacement that takes one byte, where it is not the linker that fills it in
_UNKNOWN: _Sites = frozenset((None,))
_ONLY_READ = ("cmp", "test")
_IDLE = ("nop", "endbr")
_ENDS = ("ud2", "hlt", "int3")
_MOST_STEPS = 100_000  # instructions to look at, some again: ten seconds
_MOST_DECODED = 1 << 20  # bytes of functions: half a gigabyte as capstone keeps instructions
_LARGEST_LAST, _DEEPEST = 1024, 3  # bytes of a function that never returns, and calls in it


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
class Accesses:
    """All accesses by way of the block's address, and the instructions that may be such or hide one."""

    found: tuple[Access, ...]
    unclear: tuple[int, ...]


def accesses(image: Image, functions: Table, sites: Iterable[int], last_calls: frozenset[int]) -> Accesses:
    """The accesses after the code at `sites`, the addresses of displacements, has asked for the block. What is at
    `last_calls` never returns. Raises ImageError where that is more than can be followed."""
    tracer = _Tracer(image, functions, frozenset(sites), last_calls)
    tracer.trace()
    return Accesses(tuple(tracer.found[it] for it in sorted(tracer.found)), tuple(sorted(tracer.unclear)))


@dataclass(frozen=True, slots=True)
class _Function:
    """A decoded function: each instruction by its address, and by the one behind it. `is_whole`: up to the end."""

    instructions: dict[int, capstone.CsInsn]
    before: dict[int, capstone.CsInsn]
    is_whole: bool


class _Tracer:
    def __init__(self, image: Image, functions: Table, sites: frozenset[int], last_calls: frozenset[int]) -> None:
        self._machine: Machine = image.machine
        self._image, self._sites, self._last_calls = image, sites, last_calls
        self._decoder = capstone.Cs(image.machine.capstone_architecture, image.machine.capstone_mode)
        self._decoder.detail = True
        self._starts: list[int] = functions["start"].tolist()
        self._ends: list[int] = functions["end"].tolist()
        self._functions: dict[int, _Function] = {}
        self._entered: dict[int, _Holders] = {}
        self._returning: dict[int, bool] = {}
        self._waiting: dict[int, deque[int]] = {}
        self._work: deque[int] = deque()
        self._elsewhere: dict[int, _Holders] = {}
        self._steps = self._decoded = 0
        self.found: dict[int, Access] = {}
        self.unclear: set[int] = set()

    def trace(self) -> None:
        for site in self._sites:
            index = self._index(site)
            if index is not None:
                self._enter(self._starts[index], {})
        self._settle()
        while self._enter_what_nothing_leads_to():
            self._settle()
        self.found.clear()
        self.unclear.clear()  # only what registers hold in the end tells
        for address, holders in self._entered.items():
            index, instruction = self._index(address), self._instruction(address)
            if index is None or instruction is None:
                self.unclear.add(address)
            else:
                list(self._step(index, instruction, holders))
        self.unclear.update(site for site in self._sites if self._index(site) is None)
        for index in self._waiting:
            function = self._functions[index]
            if not function.is_whole:
                self.unclear.add(self._starts[index])
            self.unclear.update(it.address for it in function.instructions.values() if self._looks_like_one(it))

    # --- the order of things

    def _settle(self) -> None:
        while self._work:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise ImageError("its code asks for a thread-local block in so many places that it cannot be followed")
            address = self._work.popleft()
            index = self._index(address)
            instruction = self._instruction(address)
            if index is None or instruction is None:
                continue
            if index not in self._waiting:
                self._waiting[index] = deque(self._functions[index].instructions)
            holders = self._entered[address]
            for follower, after in self._step(index, instruction, holders):
                if follower != self._ends[index]:  # what would run past the end of the function does not come there
                    self._enter(follower, after)

    def _enter(self, address: int, holders: _Holders) -> None:
        """Go on at an address with what the registers hold there, and what they may hold there on other ways."""
        before = self._entered.get(address)
        joined = holders if before is None else _joined(before, holders)
        if before != joined:
            self._entered[address] = joined
            self._work.append(address)

    def _enter_what_nothing_leads_to(self) -> bool:
        """Cases of a switch, and what runs when an exception passes: entered from anywhere in the function."""
        for index, waiting in self._waiting.items():
            instructions = self._functions[index].instructions
            while waiting and (
                waiting[0] in self._entered or instructions[waiting[0]].mnemonic.startswith((*_IDLE, *_ENDS))
            ):
                waiting.popleft()
            if waiting:
                self._enter(waiting[0], self._elsewhere.get(index, {}))
                return True
        return False

    # --- one instruction

    def _step(self, index: int, it: capstone.CsInsn, holders: _Holders) -> Iterator[tuple[int, _Holders]]:
        """What runs after an instruction, with what the registers hold then."""
        following = it.address + it.size
        if it.mnemonic.startswith(_IDLE):
            yield following, holders
        elif it.group(capstone.CS_GRP_CALL):
            self._result(it, holders)
            kept = self._machine.kept_registers
            after = {name: sites for name, sites in holders.items() if isinstance(name, tuple) or name in kept}
            site = self._site_before(index, it)
            if site is not None:
                after[self._machine.result_register] = frozenset((site,))
            self._leaves(index, after)
            if self._returns(self._callee(it)):
                yield following, after
        elif it.group(capstone.CS_GRP_JUMP):
            self._result(it, holders)
            target = self._target(it)
            if target is not None and self._index(target) == index:
                yield target, holders
            elif target is not None:
                stack = self._machine.stack_pointer
                held = {it: sites for it, sites in holders.items() if it[0] != stack or int(it[1]) >= 0}
                if held:  # a part of the function that lies elsewhere: where another is called, nothing is held
                    yield target, held
            else:
                self._leaves(index, holders)
            if _plain(it) != "jmp":
                yield following, holders
        elif not it.group(capstone.CS_GRP_RET) and not it.mnemonic.startswith(_ENDS):
            yield following, self._after(it, holders)

    def _leaves(self, index: int, holders: _Holders) -> None:
        """Note with what a function goes on at a place that is not known."""
        before = self._elsewhere.get(index)
        self._elsewhere[index] = holders if before is None else _joined(before, holders)

    def _returns(self, target: int | None, depth: int = 0) -> bool:
        """Whether a call may come back: a small function that only calls what does not, does not either."""
        if target in self._last_calls:
            return False
        index = self._index(target) if target is not None else None
        if index is None or depth == _DEEPEST or self._ends[index] - self._starts[index] > _LARGEST_LAST:
            return True
        if index not in self._returning:
            self._returning[index] = any(
                it.group(capstone.CS_GRP_RET)
                or (it.group(capstone.CS_GRP_JUMP) and self._index(self._target(it) or 0) != index)
                for it in self._reached(index, depth)
            )
        return self._returning[index]

    def _reached(self, index: int, depth: int) -> Iterator[capstone.CsInsn]:
        """The instructions of a function that may run, without what only exceptions lead to."""
        waiting, seen = [self._starts[index]], set[int]()
        while waiting:
            address = waiting.pop()
            it = self._instruction(address) if self._index(address) == index else None
            if it is None or address in seen:
                continue
            seen.add(address)
            yield it
            is_jump = bool(it.group(capstone.CS_GRP_JUMP))
            target = self._target(it) if is_jump else None
            if target is not None:
                waiting.append(target)
            is_end = it.mnemonic.startswith(_ENDS) or (is_jump and _plain(it) == "jmp")
            if not is_end and not (it.group(capstone.CS_GRP_CALL) and not self._returns(self._callee(it), depth + 1)):
                waiting.append(address + it.size)

    def _after(self, it: capstone.CsInsn, holders: _Holders) -> _Holders:
        """What is held where after an instruction, which is looked at on the way."""
        if not holders:
            return holders
        result = self._result(it, holders)
        stack = self._machine.stack_pointer
        written = {self._whole(it.reg_name(register)) for register in it.regs_access()[1]}
        first = it.operands[0] if it.operands else None
        place = self._place(it, first) if first is not None else None
        is_store = place is not None and it.mnemonic not in (*_ONLY_READ, "push")
        after: _Holders = {}
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
        if result is not None and first is not None:
            target = place or (self._whole(it.reg_name(first.reg)) if first.type == capstone.CS_OP_REG else None)
            if target is not None:
                after[target] = result
        return after

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

    def _held(self, it: capstone.CsInsn, operand: capstone.x86.X86Op, holders: _Holders) -> _Sites | None:
        """What an operand holds, if that is followed."""
        if operand.type == capstone.CS_OP_REG:
            return holders.get(self._whole(it.reg_name(operand.reg)))
        place = self._place(it, operand)
        return holders.get(place) if place is not None else None

    def _result(self, it: capstone.CsInsn, holders: _Holders) -> _Sites | None:
        """Where the result of an instruction comes from, if it is followed; an access ends there."""
        held = [self._held(it, operand, holders) for operand in it.operands]
        memory = next((operand.mem for operand in it.operands if operand.type == capstone.CS_OP_MEM), None)
        if memory is not None:
            followed = self._addressed(it, memory, holders)
            if followed is not None:
                return followed
        if len(held) == 2 and it.operands[0].size == self._machine.word:
            if it.mnemonic == "mov" and held[1] is not None:
                return held[1]
            if it.mnemonic.startswith("cmov") and any(held):
                return (held[0] or _UNKNOWN) | (held[1] or _UNKNOWN)
            if it.mnemonic == "add" and held[0] is not None and it.imm_size == self._machine.displacement_size:
                self._access(it, it.imm_offset, it.operands[1].imm, held[0], True)
                return None
            if it.mnemonic == "add" and memory is None and any(held) and not all(held):
                return held[0] or held[1]
        if it.mnemonic in _ONLY_READ or self._is_cleared(it):
            return None
        for operand, sites in zip(it.operands, held, strict=True):
            # what is the block's address on one way only is not read as such
            if sites is not None and None not in sites and operand.access != capstone.CS_AC_WRITE:
                self.unclear.add(it.address)  # computed with
        return None

    def _addressed(self, it: capstone.CsInsn, memory: capstone.x86.X86OpMem, holders: _Holders) -> _Sites | None:
        """Look at memory that is addressed by way of the block's address; what is returned is followed."""
        found = [
            sites
            for part in (memory.base, memory.index)
            if part and (sites := holders.get(self._whole(it.reg_name(part)))) is not None
        ]
        is_scaled = memory.scale != 1 and holders.get(self._whole(it.reg_name(memory.index) or "")) is not None
        is_address = it.mnemonic == "lea"
        if len(found) == 1 and not is_scaled and self._has_long_displacement(it):
            self._access(it, it.disp_offset, memory.disp, found[0], is_address)
        elif len(found) == 1 and not is_scaled and is_address and not memory.disp:
            return found[0]
        elif any(None not in sites for sites in found):
            self.unclear.add(it.address)
        return None

    def _is_cleared(self, it: capstone.CsInsn) -> bool:
        first, _comma, second = it.op_str.partition(", ")
        return it.mnemonic in ("xor", "sub", "pxor") and first == second

    def _has_long_displacement(self, it: capstone.CsInsn) -> bool:
        # capstone's own size is that of the operand where the instruction is about 16 bits
        return bool(it.disp_offset) and ((it.imm_offset or it.size) - it.disp_offset == self._machine.displacement_size)

    def _access(self, it: capstone.CsInsn, at: int, number: int, sites: _Sites, is_address: bool) -> None:
        known = frozenset(site for site in sites if site is not None)
        # a small number in four bytes is the linker's; what comes from elsewhere passed by a call that never returns
        if known and (len(known) == len(sites) or number in _SHORT):
            self.found[it.address] = Access(it.address, it.address + at, number, known, is_address)
        elif 0 <= number <= self._image.block_size:
            self.unclear.add(it.address)

    def _looks_like_one(self, it: capstone.CsInsn) -> bool:
        """Whether an instruction has a small number in four bytes, as the linker leaves it, and was not followed."""
        if it.address in self.found or not self._has_long_displacement(it):
            return False
        memory = next((operand.mem for operand in it.operands if operand.type == capstone.CS_OP_MEM), None)
        return (
            memory is not None
            and not it.mnemonic.startswith("nop")
            and bool(memory.base)
            and it.reg_name(memory.base) != self._machine.program_counter
            and memory.disp in _SHORT
        )

    def _site_before(self, index: int, it: capstone.CsInsn) -> int | None:
        """The site of a call that asks for the block: the instruction before it refers to the slot."""
        before = self._functions[index].before.get(it.address)
        if before is None or not before.disp_size:
            return None
        place = before.address + int(before.disp_offset)
        return place if place in self._sites else None

    def _target(self, it: capstone.CsInsn) -> int | None:
        operand = it.operands[0] if it.operands else None
        return int(operand.imm) if operand is not None and operand.type == capstone.CS_OP_IMM else None

    def _callee(self, it: capstone.CsInsn) -> int | None:
        """Where a call leads to: for one through a slot of the GOT, the function of the image there, or the slot."""
        operand = it.operands[0] if it.operands else None
        if operand is None or operand.type != capstone.CS_OP_MEM:
            return self._target(it)
        if operand.mem.index or it.reg_name(operand.mem.base) != self._machine.program_counter:
            return None
        slot = int(it.address + it.size + operand.mem.disp)
        return self._slots.get(slot, slot)

    @cached_property
    def _slots(self) -> dict[int, int]:
        """The functions that words of the image lead to by themselves, by the addresses of the words."""
        relocations = self._image.relocations
        rows = relocations[relocations["type"] == self._machine.relative]
        return dict(rows[["offset", "addend"]][self._image.are_code(rows["addend"].astype("<i8"))].tolist())

    def _whole(self, register: str) -> str:
        return self._machine.register_parts.get(register, register)

    # --- functions

    def _index(self, address: int) -> int | None:
        index = bisect_right(self._starts, address) - 1
        return index if index >= 0 and address < self._ends[index] else None

    def _instruction(self, address: int) -> capstone.CsInsn | None:
        index = self._index(address)
        if index is None:
            return None
        if index not in self._functions:
            start, end = self._starts[index], self._ends[index]
            self._decoded += end - start
            if self._decoded > _MOST_DECODED:
                raise ImageError("its code that asks for a thread-local block is too large to be followed")
            code = list(self._decoder.disasm(self._image.bytes_at(start, end - start), start))
            behind = {it.address + it.size: it for it in code}
            self._functions[index] = _Function({it.address: it for it in code}, behind, end in behind)
        return self._functions[index].instructions.get(address)


def _plain(it: capstone.CsInsn) -> str:
    return str(it.mnemonic).removeprefix("notrack ").removeprefix("bnd ")


def _joined(one: _Holders, other: _Holders) -> _Holders:
    return {name: one.get(name, _UNKNOWN) | other.get(name, _UNKNOWN) for name in one.keys() | other.keys()}
