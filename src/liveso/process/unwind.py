"""The frames of a stopped thread, unwound by the tables (.eh_frame) that its objects have in memory.

Only what the tables say counts: nothing is guessed from frame pointers or from what lies on the stack. So a stack is
complete, to the frame that says of itself that it is the oldest, or it is not.
"""

import struct
from dataclasses import dataclass

from liveso.machine import FrameRegisters
from liveso.process import expressions, frame_rules
from liveso.process.frame_rules import Description, Row, description_at
from liveso.process.mapped import MappedObject, MappedObjects
from liveso.process.memory import Memory, Unreadable

_MOST_FRAMES = 256
_MOST_BYTES = 1 << 16  # of unwind entries: what is decoded takes milliseconds for a thousand
_MASK = (1 << 64) - 1
_WORD = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Frame:
    """A function's frame: the instruction that it stands at, or that it returns to; a `place` in the function, which is
    before that instruction where it returns to it, since there another function may begin; the `function`, by where its
    unwind entry begins; its stack pointer; the image that it is of; and whether a signal was delivered here, so that
    its caller is what the signal interrupted."""

    pc: int
    place: int
    function: int
    stack_pointer: int
    image: MappedObject
    is_signal_frame: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """The frames of a thread, the newest first. `reason` says why they are not complete."""

    frames: tuple[Frame, ...]
    is_complete: bool
    reason: str = ""


def unwind(registers: bytes, objects: MappedObjects) -> Stack:
    """The frames of a thread that stands still with these registers (struct user_regs_struct, as PTRACE_GETREGSET gives
    it for NT_PRSTATUS). Whatever its memory holds, the answer is a Stack."""
    facts = objects.machine.frames
    if facts is None:
        return Stack((), False, f"frames of {objects.machine.name} cannot be unwound")
    if len(registers) < max(facts.places) + _WORD.size:
        return Stack((), False, "its registers are not known")
    values = {number: int(_WORD.unpack_from(registers, at)[0]) for number, at in enumerate(facts.places)}
    frames: list[Frame] = []
    is_interrupted, size = True, 0
    try:
        while len(frames) < _MOST_FRAMES:
            pc, stack_pointer = values[facts.program_counter], values[facts.stack_pointer]
            if facts.signal_return and objects.memory.content(pc, len(facts.signal_return)) == facts.signal_return:
                frames.append(Frame(pc, pc, pc, stack_pointer, objects.at(pc), is_signal_frame=True))
                size, is_interrupted = size + len(facts.places) * _WORD.size, True
                values = _interrupted(objects.memory, stack_pointer + facts.interrupted_at, facts)
                continue
            place = pc if is_interrupted else pc - 1
            image = objects.at(place)
            described, row, function = description_at(objects.memory, image, place)
            is_interrupted = described.is_signal_frame
            frames.append(Frame(pc, place, function, stack_pointer, image, is_interrupted))
            size += described.length
            if size > _MOST_BYTES:
                raise Unreadable("its unwind entries are longer than those of any stack")
            caller = _caller(values, described, row, objects.memory, facts)
            if caller is None:
                return Stack(tuple(frames), True)
            if not is_interrupted and caller[facts.stack_pointer] < stack_pointer + (not _may_be_a_leaf(values, facts)):
                raise Unreadable(f"the caller of {pc:#x} in {image.name} is not further up the stack")
            values = caller
    except Unreadable as error:
        return Stack(tuple(frames), False, str(error))
    return Stack(tuple(frames), False, f"it has more than {_MOST_FRAMES} frames")


def _may_be_a_leaf(values: dict[int, int], facts: FrameRegisters) -> bool:
    """Whether a register can have the return address, and the function no memory on the stack: it has made no call."""
    return facts.program_counter != facts.return_address and facts.return_address in values


def _interrupted(memory: Memory, at: int, facts: FrameRegisters) -> dict[int, int]:
    """The registers that a signal's frame on the stack has. Raises Unreadable."""
    content = memory.content(at & _MASK, max(facts.places) + _WORD.size)
    return {number: int(_WORD.unpack_from(content, place)[0]) for number, place in enumerate(facts.places)}


def _caller(
    values: dict[int, int], described: Description, row: Row, memory: Memory, facts: FrameRegisters
) -> dict[int, int] | None:
    """The registers of a frame's caller, as far as they are known; None where it has none. Raises Unreadable."""
    if described.return_address != facts.return_address:
        raise Unreadable(f"its unwind table has the return address in register {described.return_address}")
    if row.expression:
        cfa = expressions.evaluate(row.expression, values, memory)
    elif row.register in values:
        cfa = (values[row.register] + row.offset) & _MASK
    else:
        raise Unreadable(f"its unwind table needs register {row.register}, which is not known in this frame")
    caller = {number: values[number] for number in facts.kept if number in values}
    caller[facts.stack_pointer] = cfa
    has_return_address = False
    for number, rule in row.rules:
        kind = rule.kind
        if kind == frame_rules.AT:
            caller[number] = memory.word((cfa + rule.number) & _MASK)
        elif kind == frame_rules.UNDEFINED:
            if number == facts.return_address:
                return None
            caller.pop(number, None)
            continue
        elif kind == frame_rules.VALUE:
            caller[number] = (cfa + rule.number) & _MASK
        elif kind == frame_rules.REGISTER:
            if rule.number not in values:
                raise Unreadable(f"its unwind table needs register {rule.number}, which is not known in this frame")
            caller[number] = values[rule.number]
        else:
            value = expressions.evaluate(rule.expression, values, memory, cfa)
            caller[number] = memory.word(value) if kind == frame_rules.AT_EXPRESSION else value
        has_return_address |= number == facts.return_address
    if not has_return_address and _may_be_a_leaf(values, facts):
        caller[facts.return_address] = values[facts.return_address]
        has_return_address = True
    if not has_return_address or facts.stack_pointer not in caller:
        raise Unreadable("its unwind table does not say where a function returns to")
    caller[facts.program_counter] = caller.pop(facts.return_address) & facts.address_bits
    return caller
