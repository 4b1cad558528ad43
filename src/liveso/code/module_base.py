"""Follow the address of a module's thread-local block through the functions that ask for it: local dynamic access (ELF
TLS, 4.2), where code asks once for the block and adds each variable's place in it by itself.

Code that asks by a descriptor (https://www.fsfla.org/~lxoliva/writeups/TLS/RFC-TLSDESC-x86.txt) gets how far the block
lies from the thread pointer, and adds that, too. Such a call keeps all registers but its result.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import capstone

from liveso.code.block_address import Access, BlockAddress, Holders, joined
from liveso.code.decoded_functions import ENDS, DecodedFunctions, plain_name, relative_address, target_of
from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.errors import ImageError

_IDLE = ("nop", "endbr")
_FURTHEST = 32  # instructions between the reference to a descriptor and its call
_MOST_STEPS = 100_000  # instructions to look at, some again: ten seconds


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
    return tracer.accesses()


class _Tracer:
    """What registers hold at each instruction, whatever the way by which it is reached."""

    def __init__(self, image: Image, functions: Table, sites: frozenset[int], last_calls: frozenset[int]) -> None:
        self._machine, self._sites = image.machine, sites
        self._functions = DecodedFunctions(image, functions, last_calls)
        self._block = BlockAddress(image.machine, image.block_size)
        relocations = image.relocations
        self._descriptors = frozenset(
            relocations["offset"][relocations["type"] == image.machine.tls_descriptor].tolist()
        )
        self._asking: set[int] = set()
        self._entered: dict[int, Holders] = {}
        self._waiting: dict[int, deque[int]] = {}
        self._work: deque[int] = deque()
        self._elsewhere: dict[int, Holders] = {}
        self._steps = 0

    def trace(self) -> None:
        for site in self._sites:
            index = self._functions.index(site)
            if index is not None:
                self._enter(self._functions.starts[index], {})
        self._settle()
        while self._enter_what_nothing_leads_to():
            self._settle()

    def accesses(self) -> Accesses:
        """What the instructions do with that which registers hold in the end."""
        found: dict[int, Access] = {}
        unclear = set(self._sites - self._asking)
        for address, holders in self._entered.items():
            instruction = self._functions.instruction(address)
            if instruction is None:
                unclear.add(address)
            elif _computes(instruction):
                effect = self._block.effect(instruction, holders)
                if effect.access is not None:
                    found[address] = effect.access
                if effect.is_unclear:
                    unclear.add(address)
        for index in self._waiting:
            function = self._functions[index]
            if not function.is_whole:
                unclear.add(self._functions.starts[index])
            unclear.update(
                address
                for address, it in function.instructions.items()
                if address not in found and self._block.looks_like_one(it)
            )
        return Accesses(tuple(found[it] for it in sorted(found)), tuple(sorted(unclear)))

    def _settle(self) -> None:
        while self._work:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise ImageError("its code asks for a thread-local block in so many places that it cannot be followed")
            address = self._work.popleft()
            index = self._functions.index(address)
            instruction = self._functions.instruction(address)
            if index is None or instruction is None:
                continue
            if index not in self._waiting:
                self._waiting[index] = deque(self._functions[index].instructions)
            for follower, after in self._step(index, instruction, self._entered[address]):
                if follower != self._functions.ends[index]:  # what would run past the end does not come there
                    self._enter(follower, after)

    def _enter(self, address: int, holders: Holders) -> None:
        """Go on at an address with what the registers hold there, and what they may hold there on other ways."""
        before = self._entered.get(address)
        both = holders if before is None else joined(before, holders)
        if before != both:
            self._entered[address] = both
            self._work.append(address)

    def _enter_what_nothing_leads_to(self) -> bool:
        """Cases of a switch, and what runs when an exception passes: entered from anywhere in the function."""
        for index, waiting in self._waiting.items():
            instructions = self._functions[index].instructions
            while waiting and (
                waiting[0] in self._entered or instructions[waiting[0]].mnemonic.startswith((*_IDLE, *ENDS))
            ):
                waiting.popleft()
            if waiting:
                self._enter(waiting[0], self._elsewhere.get(index, {}))
                return True
        return False

    def _step(self, index: int, it: capstone.CsInsn, holders: Holders) -> Iterator[tuple[int, Holders]]:
        """What runs after an instruction, with what the registers hold then."""
        following = it.address + it.size
        if it.mnemonic.startswith(_IDLE):
            yield following, holders
        elif it.group(capstone.CS_GRP_CALL):
            descriptor = self._descriptor_reference(index, it)
            kept, result = self._machine.kept_registers, self._machine.result_register
            after = {
                name: sites
                for name, sites in holders.items()
                if isinstance(name, tuple) or name in kept or (descriptor is not None and name != result)
            }
            site = self._site_before(index, it) if descriptor is None else descriptor
            if site in self._sites:
                self._asking.add(site)
                after[result] = frozenset((site,))
            self._leaves(index, after)
            if self._functions.returns(it):
                yield following, after
        elif it.group(capstone.CS_GRP_JUMP):
            target = target_of(it)
            if target is not None and self._functions.index(target) == index:
                yield target, holders
            elif target is not None:
                stack = self._machine.stack_pointer
                held = {it: sites for it, sites in holders.items() if it[0] != stack or int(it[1]) >= 0}
                if held:  # a part of the function that lies elsewhere: where another is called, nothing is held
                    yield target, held
            else:
                self._leaves(index, holders)
            if plain_name(it) != "jmp":
                yield following, holders
        elif _computes(it):
            yield following, self._block.after(it, holders)

    def _leaves(self, index: int, holders: Holders) -> None:
        """Note with what a function goes on at a place that is not known."""
        before = self._elsewhere.get(index)
        self._elsewhere[index] = holders if before is None else joined(before, holders)

    def _site_before(self, index: int, it: capstone.CsInsn) -> int | None:
        """The site of a call that asks for the block: the instruction before it refers to the slot."""
        before = self._functions[index].before.get(it.address)
        if before is None or not before.disp_size:
            return None
        return int(before.address + before.disp_offset)

    def _descriptor_reference(self, index: int, it: capstone.CsInsn) -> int | None:
        """The address of the displacement by which code refers to the descriptor that a call asks, if it is one."""
        result = self._machine.result_register
        operand = it.operands[0] if it.operands else None
        if not self._descriptors or operand is None or operand.type != capstone.CS_OP_MEM:
            return None
        if it.reg_name(operand.mem.base) != result or operand.mem.index or operand.mem.disp:
            return None
        before = self._functions[index].before
        earlier = before.get(it.address)
        for _step in range(_FURTHEST):
            if earlier is None or earlier.group(capstone.CS_GRP_CALL):
                return None
            if result in self._block.written(earlier):
                is_one = (
                    earlier.mnemonic == "lea"
                    and relative_address(earlier, earlier.operands[1], self._machine) in self._descriptors
                )
                return int(earlier.address + earlier.disp_offset) if is_one else None
            earlier = before.get(earlier.address)
        return None


def _computes(it: capstone.CsInsn) -> bool:
    """Whether an instruction does anything with registers: not where it only ends or fills the function."""
    return not it.mnemonic.startswith((*_IDLE, *ENDS)) and not it.group(capstone.CS_GRP_RET)
