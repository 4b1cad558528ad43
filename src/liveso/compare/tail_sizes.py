"""Objects that end in an array of any length: what an allocator is given for one is a constant and a variable.

`char s[1]` at the end of a structure that becomes `char s[]` changes the constant and nothing else. Where it gets
smaller, and the array stays where it was, an object from before has all that new code asks for, and more. Where it gets
larger, an object from before has too little.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from liveso.code import CALLS, Code, Form, Instruction, Operation, frame_registers
from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.operations import ADDS, REGISTER, parts, summand
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import Kind, Witness

MAKERS = frozenset(
    {"malloc", "calloc", "realloc", "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t"}
    | {"g_malloc", "g_malloc0", "g_try_malloc", "g_try_malloc0", "g_realloc", "apr_palloc", "apr_pcalloc"}
    | {"CRYPTO_malloc", "CRYPTO_zalloc", "gcry_malloc", "gcry_calloc", "gcry_xmalloc"}
    | {"PyMem_Malloc", "PyMem_RawMalloc", "PyObject_Malloc"}
)
"""Allocators whose objects are freed without their size. `g_slice_alloc` is none: `g_slice_free1` must be told the
same."""
_OWN = "an allocator of its own"
_FILLS = frozenset({"memset", "memcpy", "memmove", "__memset_chk", "__memcpy_chk", "__memmove_chk"})
_KEEPS = ("push ", "pop ", "stp ", "ldp ")
"""By which a function keeps a register for its caller."""
_LARGEST_END = 64  # bytes of padding, and of an element that an array at the end does not have any more
_BEFORE_END = 8  # bytes: the array begins no further before the constant, which may count a closing zero and padding


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call of an allocator, by its index, that gets a sum."""

    call: int
    callee: str


class TailSizes:
    """Looks for sums of a constant and a variable that are sizes of objects."""

    def __init__(self, versions: TwoVersions) -> None:
        self._versions = versions
        self._machine = versions.readers[0].machine

    def told(
        self,
        found: Iterable[Witness],
        codes: tuple[Code, Code],
        pairs: Iterable[tuple[Instruction, Instruction, bool]],
        is_alone: bool,
        i: int,
    ) -> list[Witness]:
        """The witnesses of one function, `found`, with another constant in a sum told as what it is: `pairs` are the
        instructions that belong together. `is_alone`: all others of the function do the same.

        One by which no allocator is asked is added, too, where an address formed that way would not be told by itself:
        it may be the same size.
        """
        rooms: dict[tuple[int, int], Witness] = {}
        for a, b, is_isolated in pairs:
            constants = _added(a), _added(b)
            if None in constants or constants[0] == constants[1] or self._machine.stack_pointer in a.form.written:
                continue
            old, new = (abs(it or 0) for it in constants)
            callee = self._allocator(codes, (a, b), (old, new), is_alone)
            is_sum = a.operation is not Operation.ADDRESS and 0 < old - new <= _LARGEST_END
            if callee or (callee is not None and is_sum):
                room = Witness(Kind.ROOM, old, new, self._versions.name(i), a.address, b.address, callee)
                rooms[a.address, b.address] = replace(room, is_isolated=is_isolated, is_alone=is_alone)
        asked = {at for at, it in rooms.items() if it.callee}
        kept = [it for it in found if it.kind is not Kind.ADDRESS or (it.old_address, it.new_address) not in asked]
        return [*kept, *rooms.values()]

    def _allocator(
        self,
        codes: tuple[Code, Code],
        pair: tuple[Instruction, Instruction],
        constants: tuple[int, int],
        is_alone: bool,
    ) -> str | None:
        """The allocator that is asked for a sum; empty where none is. None where that tells nothing."""
        first, second = (self._asked(side, codes[side], it.address) for side, it in enumerate(pair))
        if first is None or second is None or first.callee != second.callee:
            return ""
        is_address = pair[0].operation is Operation.ADDRESS
        old, new = constants
        end = min(old, new)
        has_array = [self._has_array(code, it.call, end) for code, it in zip(codes, (first, second), strict=True)]
        if any(has_array) if new > old else all(has_array) and is_alone:
            return first.callee
        if new < old and not is_address:
            return first.callee if is_alone or any(has_array) else ""
        return None

    # --- the size

    def _asked(self, side: int, code: Code, address: int) -> _Asked | None:
        """The only call of an allocator that gets the sum which is formed at an address; None where anything else is
        done with it."""
        index = code.index_at(address)
        if index is None or len(code.forms[index].written) != 1:
            return None
        register = code.forms[index].written[0]
        if register in self._machine.kept_registers:
            return self._asked_by_copy(side, code, index, register)
        return self._call_with(side, code, index + 1, register)

    def _call_with(self, side: int, code: Code, start: int, register: str) -> _Asked | None:
        """The next call, if it allocates what the register says, which nothing else reads before."""
        for index in range(start, len(code)):
            form = code.forms[index]
            if form.operation in CALLS and (it := code[index]).is_call:
                return self._allocation(side, index, it, register)
            if form.operation in (Operation.JUMP, Operation.RETURN):
                break
            if register in REGISTER.findall(form.outline):
                is_copy = form.operation is Operation.MOVE and form.source == register and len(form.written) == 1
                return self._call_with(side, code, index + 1, form.written[0]) if is_copy else None
        return None

    def _asked_by_copy(self, side: int, code: Code, start: int, register: str) -> _Asked | None:
        """The same for a register that is kept for several calls: one allocates, others fill what it made."""
        found: _Asked | None = None
        for index, form in enumerate(code.forms):
            if index == start or register not in REGISTER.findall(form.outline) or form.outline.startswith(_KEEPS):
                continue
            is_own = form.base == self._machine.stack_pointer and form.operation is Operation.MOVE
            if is_own and form.is_store == (index < start):
                continue  # keeps it for the caller, or gives it back
            is_copy = form.operation is Operation.MOVE and not form.is_store and form.source == register
            if index < start and form.written == (register,):
                continue  # another value
            if index < start or not is_copy or form.written[0] not in self._machine.argument_registers:
                return None
            asked = self._call_with(side, code, index + 1, form.written[0])
            if asked is not None and found is None:
                found = asked
            elif not self._fills(code, index + 1, form.written[0]):
                return None
        return found

    def _fills(self, code: Code, start: int, register: str) -> bool:
        """Whether the next call clears or copies as many bytes as the register says."""
        for index in range(start, len(code)):
            if code.forms[index].operation in CALLS and (it := code[index]).is_call:
                name = it.imported
                return name in _FILLS and self._number(register) in SIZE_ARGUMENTS[name]
            if code.forms[index].operation in (Operation.JUMP, Operation.RETURN):
                break
        return False

    def _allocation(self, side: int, index: int, it: Instruction, register: str) -> _Asked | None:
        """A call that allocates as many bytes as the register says. One by a pointer, as a program's own allocator is
        called, is taken to get them first."""
        if it.place is None:
            return _Asked(index, "a function pointer") if self._number(register) == 0 else None
        name = it.imported
        if name and name not in MAKERS:
            return None
        sizes = self._versions.allocators[side].size_arguments(it.place)
        return _Asked(index, name or _OWN) if self._number(register) in sizes else None

    def _number(self, register: str) -> int | None:
        arguments = self._machine.argument_registers
        return arguments.index(register) if register in arguments else None

    # --- the object

    def _has_array(self, code: Code, call: int, end: int) -> bool:
        """Whether the function uses what the call returned at the offset at which an array may begin that ends it."""
        return any(max(0, end - _BEFORE_END) < offset <= end for offset in self._offsets(code, call))

    def _offsets(self, code: Code, call: int) -> Iterator[int]:
        """The offsets at which what a call returned is accessed, or of which the address is formed, in the order of the
        addresses, through copies in registers and words of the frame."""
        own = frame_registers(code, self._machine)
        held = {self._machine.result_register: 0}
        for index in range(call + 1, len(code)):
            form = code.forms[index]
            if form.operation is Operation.CALL:
                is_filled = code[index].imported in _FILLS
                filled = held.get(self._machine.argument_registers[0]) if is_filled else None
                kept = self._machine.kept_registers
                held = {it: shift for it, shift in held.items() if it in kept or it.startswith(tuple(own))}
                if filled is not None:
                    held[self._machine.result_register] = filled
                continue
            slot = f"{form.base}{form.displacement}" if form.base in own else ""
            inside = {form.base, *REGISTER.findall(form.outline.partition("[")[2].partition("]")[0])}
            bases = [held[it] for it in inside if it in held and code.targets[index] is None]
            yield from (shift + (form.displacement or 0) for shift in bases)
            self._follow(form, slot, bases, held)
            yield from (held[it] for it in form.written if it in held)

    def _follow(self, form: Form, slot: str, bases: list[int], held: dict[str, int]) -> None:
        value: int | None = None
        name, operands = parts(form.outline)
        if form.operation is Operation.MOVE and form.immediate is None:
            value = held.get(form.source or ("" if form.is_store else slot))
        elif form.operation is Operation.ADDRESS and bases:
            value = bases[0] + (form.displacement or 0)
        elif name in ADDS and operands and form.immediate is not None and operands[0] in held:
            value = held[operands[0]] + summand(name, form.immediate)
        for target in (*form.written, *((slot,) if form.is_store and slot else ())):
            held.pop(target, None)
            if value is not None:
                held[target] = value


def _added(it: Instruction) -> int | None:
    """The constant that an instruction adds to a register."""
    if it.operation is Operation.ADDRESS:
        return it.displacement
    name, _operands = parts(it.outline)
    return it.form.immediate if name in ADDS and "[" not in it.outline and it.form.immediate is not None else None
