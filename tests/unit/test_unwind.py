"""Stacks in memory that no process has: sound ones, damaged ones, and hostile ones."""

import random
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from liveso.errors import TargetError
from liveso.machine import AARCH64, RISCV64, X86_64, FrameRegisters, Machine
from liveso.process.exports import Exports
from liveso.process.mapped import MappedObjects
from liveso.process.memory import Memory, Unreadable
from liveso.process.memory_map import MappedFile, Mapping
from liveso.process.safe_point import unsafe
from liveso.process.unwind import Stack, unwind

BASE, STACK, SIZE = 0x7F0000000000, 0x7FFF00000000, 0x4000
TABLE, FRAMES, CODE = 0x400, 0x600, 0x1000  # in the image
RBP, RSP, RIP = 6, 7, 16
SEGMENT = struct.Struct("<IIQQQQQQ")
ROOM = 0x100  # of code for each function

# DW_CFA: def_cfa rsp+8, the return address at CFA-8; what stands in every CIE of x86-64
COMMON = b"\x0c\x07\x08\x90\x01"


def cie(letters: bytes = b"zR", instructions: bytes = COMMON, return_address: int = RIP) -> bytes:
    data = b"\x1b"  # pcrel sdata4
    factors = b"\x01\x78" + bytes((return_address,))
    return entry(struct.pack("<I", 0) + b"\x01" + letters + b"\0" + factors + bytes((len(data),)) + data + instructions)


def entry(content: bytes) -> bytes:
    content += b"\0" * (-len(content) % 4)
    return struct.pack("<I", len(content)) + content


def image(
    *functions: bytes,
    letters: bytes = b"zR",
    common: bytes = COMMON,
    machine: Machine = X86_64,
) -> bytearray:
    """An ELF object whose functions take ROOM bytes of code each, and have these call frame instructions."""
    assert machine.frames is not None
    first = cie(letters, common, machine.frames.return_address)
    frames, rows = bytearray(first), []
    for index, instructions in enumerate(functions):
        place, start = FRAMES + len(frames), CODE + index * ROOM
        rows.append((start - TABLE, place - TABLE))
        body = struct.pack("<IiI", place + 4 - FRAMES, start - (place + 8), ROOM) + b"\0" + instructions
        frames += entry(body)
    content = bytearray(SIZE)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    struct.pack_into("<16sHHIQQQIHHHHHH", content, 0, header, 3, machine.e_machine, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    SEGMENT.pack_into(content, 64, 1, 5, 0, 0, 0, SIZE, SIZE, 0x1000)
    table = struct.pack("<BBBBiI", 1, 0x1B, 0x03, 0x3B, FRAMES - TABLE - 4, len(rows))
    table += b"".join(struct.pack("<ii", *row) for row in rows)
    SEGMENT.pack_into(content, 120, 0x6474E550, 4, TABLE, TABLE, 0, len(table), len(table), 4)
    SEGMENT.pack_into(content, 176, 2, 6, 0x300, 0x300, 0, 16, 16, 8)
    content[TABLE : TABLE + len(table)] = table
    content[FRAMES : FRAMES + len(frames)] = frames
    return content


class Space:
    """The memory of a process with one object and one stack."""

    def __init__(self, content: bytes | bytearray, *words: int, machine: Machine = X86_64) -> None:
        self.machine = machine
        self.parts = {BASE: bytes(content), STACK: struct.pack(f"<{len(words)}Q", *words).ljust(0x2000, b"\0")}
        self.reads = 0

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        for start, content in self.parts.items():
            if start <= address < start + len(content):
                return content[address - start : address - start + size]
        raise OSError(5, "there is nothing")

    def objects(self) -> MappedObjects:
        return MappedObjects(Memory(self.read), [mapping(BASE, BASE + SIZE)], self.machine)

    def stack(self, pc: int, sp: int = STACK, **others: int) -> Stack:
        return unwind(
            registers(
                {frames_of(self.machine).program_counter: pc, frames_of(self.machine).stack_pointer: sp}
                | {int(name[1:]): value for name, value in others.items()},
                self.machine,
            ),
            self.objects(),
        )


def mapping(start: int, end: int, offset: int = 0, path: str = "/lib/libsome.so", inode: int = 7) -> Mapping:
    return Mapping(start, end, 5, False, offset, MappedFile("fe:00", inode, path))


def frames_of(machine: Machine) -> FrameRegisters:
    assert machine.frames is not None
    return machine.frames


def registers(values: dict[int, int], machine: Machine = X86_64) -> bytes:
    content = bytearray(272)
    for number, value in values.items():
        struct.pack_into("<Q", content, frames_of(machine).places[number], value)
    return bytes(content)


def function(index: int) -> int:
    return BASE + CODE + index * ROOM


END = b"\x07\x10"  # DW_CFA_undefined: the return address


def test_frames_are_followed_to_the_one_that_has_no_caller() -> None:
    space = Space(image(b"\x0e\x10", b"", END), 0, function(1) + 9, function(2) + 9)
    stack = space.stack(function(0) + 4)
    assert stack.is_complete and not stack.reason
    assert [it.pc for it in stack.frames] == [function(0) + 4, function(1) + 9, function(2) + 9]
    assert [it.stack_pointer for it in stack.frames] == [STACK, STACK + 16, STACK + 24]
    assert {it.image.name for it in stack.frames} == {"libsome.so"}


def test_the_row_is_that_of_the_instruction() -> None:
    """push %rbp; mov %rsp, %rbp: the frame pointer holds from the fifth byte on."""
    rows = b"\x41\x0e\x10\x86\x02\x43\x0d\x06"
    space = Space(image(rows, END), function(1) + 1, function(1) + 2, function(1) + 3)
    assert space.stack(function(0)).frames[1].pc == function(1) + 1
    assert space.stack(function(0) + 1).frames[1].pc == function(1) + 2
    assert space.stack(function(0) + 4, STACK, r6=STACK + 8).frames[1].pc == function(1) + 3


def test_the_size_of_arguments_does_not_matter() -> None:
    """DW_CFA_GNU_args_size, where arguments are pushed in a function that catches exceptions."""
    assert Space(image(b"\x2e\x10\x41\x0e\x10", END), 0, function(1) + 1).stack(function(0) + 1).is_complete


def test_a_call_at_the_end_of_a_function_belongs_to_that_function() -> None:
    """A function that never returns is called last: behind the call another function begins."""
    space = Space(image(b"", END, b"\x0e\x80\x40"), function(2))
    stack = space.stack(function(0))
    assert stack.is_complete
    assert stack.frames[1].function == function(1)


def test_what_a_signal_interrupted_is_found_by_its_instruction_itself() -> None:
    """The frame of the signal gives its caller by an expression: the stack pointer is saved at 24(%rsp), the program
    counter at 16(%rsp). The interrupted stack may lie below."""
    common = b"\x0f\x03\x77\x18\x06" + b"\x10\x10\x02\x77\x10"
    space = Space(image(b"", letters=b"zRS", common=common), 0, 0, function(0), STACK - 0x100)
    frame = space.stack(function(0)).frames[0]
    assert frame.is_signal_frame
    space = Space(image(b"", letters=b"zRS", common=common), 0, 0, function(0), STACK)
    assert "more than 256 frames" in space.stack(function(0)).reason


PLT = b"\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"  # as linkers describe .plt: rsp+8 + ((rip&15)>=11)<<3


@pytest.mark.parametrize(("at", "word"), [(0, 0), (10, 0), (11, 1), (15, 1)])
def test_the_stub_that_a_linker_makes_is_described_by_an_expression(at: int, word: int) -> None:
    words = [1, 1]
    words[word] = function(1) + 1
    stack = Space(image(PLT, END), *words).stack(function(0) + at)
    assert stack.is_complete


def test_a_register_that_calls_do_not_keep_is_not_known_in_the_caller() -> None:
    """DW_CFA_def_cfa of r10: the caller's is lost, the newest frame's own is not."""
    content = image(b"", b"\x0c\x0a\x08", END)
    assert "register 10" in Space(content, function(1) + 1).stack(function(0), STACK, r10=STACK).reason
    assert Space(content, function(2) + 1).stack(function(1), STACK, r10=STACK).is_complete


LOOPS: list[tuple[bytes, str]] = [
    (b"\x0e\x00", "not further up|cannot be read"),  # the caller's stack pointer is the same
    (b"\x0c\x06\x08", "not further up|cannot be read"),  # from rbp, which is 0
    (b"\x08\x03" * 15 + b"\x0a" * 2500, "states"),
    (b"\x0b", "cannot be decoded"),
    (b"\x01" + b"\0" * 8, "no known compiler"),
    (b"\x12\x07\x7f", "no known compiler"),
    (b"\x3f", "cannot be decoded"),
    (b"\x0f\x01\x22", "without operands"),
    (b"\x0f\x03\x2f\xfd\xff", "DW_OP_skip"),
    (b"\x0f\x02\xa3\x7f", "DW_OP_entry_value|cannot be decoded"),
    (b"\x0f\xff\xff\xff\xff\x7f\x00", "cannot be decoded"),
    (b"\x0f\x80\x01" + b"\x30" * 128, "longer"),
    (b"\x08\x10", "returns to"),
    (b"\x09\x10\x32", "register 50"),
    (b"\x0e" + b"\xff" * 40 + b"\x01", "cannot be read|not further up|no code"),
    (b"".join(b"\x08" + bytes((it,)) for it in range(100)), "longer"),
    (b"\0" * 9000, "bytes"),
]


@pytest.mark.parametrize(("instructions", "reason"), LOOPS)
def test_a_hostile_unwind_table_ends_the_stack(instructions: bytes, reason: str) -> None:
    stack = Space(image(instructions[:8000] if len(instructions) < 9000 else instructions), *[function(0)] * 8).stack(
        function(0) + ROOM - 1
    )
    assert not stack.is_complete
    assert any(it in stack.reason for it in reason.split("|")), stack.reason


def test_a_stack_that_leads_on_for_ever_is_cut() -> None:
    stack = Space(image(b""), *[function(0) + 1] * 1000).stack(function(0))
    assert not stack.is_complete and len(stack.frames) == 256


def test_a_stack_that_takes_long_to_decode_is_cut() -> None:
    stack = Space(image(b"\x2e\x00" * 1500), *[function(0) + 1] * 1000).stack(function(0))
    assert not stack.is_complete and len(stack.frames) < 30 and "longer than those of any stack" in stack.reason


def test_code_without_a_table_or_a_file_ends_the_stack() -> None:
    content = image(b"")
    assert "no unwind entry" in Space(content).stack(function(0) - 1).reason
    assert "no unwind entry" in Space(content).stack(function(3)).reason
    assert "no code is mapped" in Space(content).stack(0).reason
    assert "no code is mapped" in Space(content).stack((1 << 64) - 1).reason
    made = MappedObjects(Memory(Space(content).read), [mapping(BASE, BASE + SIZE, path="", inode=0)], X86_64)
    assert "made at run time" in unwind(registers({RIP: BASE}), made).reason
    later = MappedObjects(Memory(Space(content).read), [mapping(BASE, BASE + SIZE, offset=0x1000)], X86_64)
    assert "without its header" in unwind(registers({RIP: BASE}), later).reason


def test_a_stack_that_cannot_be_read_is_not_complete() -> None:
    stack = Space(image(b"")).stack(function(0), STACK + 0x2000)
    assert not stack.is_complete and "cannot be read" in stack.reason


def test_a_machine_whose_frames_are_not_known_is_not_unwound() -> None:
    unknown = replace(X86_64, name="other", frames=None)
    objects = MappedObjects(Memory(Space(image(b"")).read), [mapping(BASE, BASE + SIZE)], unknown)
    assert unwind(registers({}), objects) == Stack((), False, "frames of other cannot be unwound")
    assert unwind(b"", Space(image(b"")).objects()).reason == "its registers are not known"


# DW_CFA: def_cfa sp+0; where the frame pointer and the return address lie at CFA-16, CFA+16 and they; the oldest
BY_REGISTER = {
    "aarch64": (b"\x0c\x1f\x00", b"\x0e\x10\x9d\x02\x9e\x01", b"\x07\x1e"),
    "riscv64": (b"\x0c\x02\x00", b"\x0e\x10\x88\x02\x81\x01", b"\x07\x01"),
}
"""What call frame instructions are for machines whose calls leave the return address in a register."""
SIGNED = {"aarch64": 0x55 << 48, "riscv64": 0}
"""What a return address is authenticated by (FEAT_PAuth)."""
by_machine = pytest.mark.parametrize("machine", [AARCH64, RISCV64], ids=lambda it: it.name)


def calling(machine: Machine, *functions: bytes, words: tuple[int, ...] = ()) -> Space:
    return Space(image(*functions, common=BY_REGISTER[machine.name][0], machine=machine), *words, machine=machine)


def return_address(machine: Machine, value: int) -> dict[str, int]:
    return {f"r{frames_of(machine).return_address}": value}


@by_machine
def test_a_function_that_has_made_no_call_returns_to_where_a_register_says(machine: Machine) -> None:
    (_common, frame, oldest), signed = BY_REGISTER[machine.name], SIGNED[machine.name]
    space = calling(machine, b"", frame, oldest, words=(0, function(2) + 8 | signed))
    stack = space.stack(function(0) + 4, **return_address(machine, function(1) + 8 | signed))
    assert stack.is_complete, stack.reason
    assert [it.pc for it in stack.frames] == [function(0) + 4, function(1) + 8, function(2) + 8]
    assert [it.stack_pointer for it in stack.frames] == [STACK, STACK, STACK + 16]


@by_machine
def test_a_function_that_was_called_by_another_has_no_register_for_its_return_address(machine: Machine) -> None:
    _common, _frame, oldest = BY_REGISTER[machine.name]
    stack = calling(machine, b"", b"", oldest).stack(function(0), **return_address(machine, function(1) + 8))
    assert not stack.is_complete and "does not say where a function returns to" in stack.reason
    assert len(stack.frames) == 2


@by_machine
def test_what_a_signal_interrupted_is_followed_on(machine: Machine) -> None:
    (_common, frame, oldest), facts = BY_REGISTER[machine.name], frames_of(machine)
    interrupted = registers(
        {
            facts.return_address: function(2) + 4,
            facts.stack_pointer: STACK + 0x1000,
            facts.program_counter: function(0) + 8,
        },
        machine,
    )
    between = [0] * (facts.interrupted_at // 8)
    words = (0, function(3), *between, *struct.unpack(f"<{len(interrupted) // 8}Q", interrupted))
    space = calling(machine, b"", frame, oldest, words=words)
    code = bytearray(space.parts[BASE])
    code[CODE + 3 * ROOM : CODE + 3 * ROOM + 8] = facts.signal_return  # no table describes it
    space.parts[BASE] = bytes(code)
    stack = space.stack(function(1) + 4)
    assert stack.is_complete, stack.reason
    assert [it.pc for it in stack.frames] == [function(1) + 4, function(3), function(0) + 8, function(2) + 4]
    assert [it.is_signal_frame for it in stack.frames] == [False, True, False, False]


def test_whatever_memory_holds_there_is_an_answer_and_no_error() -> None:
    chance = random.Random(13)
    sound = image(b"\x41\x0e\x10\x86\x02\x43\x0d\x06", PLT, END)
    ends = 0
    for _round in range(3000):
        content = bytearray(sound)
        for _change in range(chance.randrange(1, 6)):
            low, high = chance.choice([(0, 232), (TABLE, TABLE + 40), (FRAMES, FRAMES + 120), (0x300, 0x310)])
            content[chance.randrange(low, high)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        space = Space(content, *[chance.choice([function(1) + 1, function(2) + 1, STACK, 0]) for _word in range(6)])
        objects = space.objects()
        stack = unwind(registers({RIP: function(0) + chance.randrange(8), RSP: STACK, RBP: STACK + 8}), objects)
        assert stack.is_complete == (not stack.reason)
        ends += stack.is_complete
        assert unsafe(stack, None, objects, b"")  # nothing here is started as programs are
        assert space.reads < 3000
    assert 100 < ends < 2900


@pytest.mark.parametrize("error", [OSError(5, "no"), TargetError("gone")])
def test_an_error_of_reading_is_an_answer(error: Exception) -> None:
    def read(_address: int, _size: int) -> bytes:
        raise error

    objects = MappedObjects(Memory(read), [mapping(BASE, BASE + SIZE)], X86_64)
    assert "cannot be read" in unwind(registers({RIP: BASE}), objects).reason


def test_what_was_decoded_for_one_process_is_not_taken_for_another_that_differs() -> None:
    """Both have the same object by name, place, and build ID; the second has another entry in memory."""
    assert Space(image(END)).stack(function(0)).is_complete
    assert not Space(image(b"")).stack(function(0)).is_complete


@pytest.mark.parametrize("tag", [4, 0x6FFFFEF5])  # DT_HASH, DT_GNU_HASH
@pytest.mark.parametrize("row", [(0, 0, 0, 0), (1, 1, 1, 0), (1, 0, 1, 0), (0xFFFFFFFF,) * 4, (1, 2, 0, 2)])
def test_a_hostile_hash_table_is_an_error(tag: int, row: tuple[int, ...]) -> None:
    content = image(END)
    struct.pack_into("<qQqQqQqQ", content, 0x2000, tag, 0x2100, 6, 0x2200, 5, 0x2300, 0, 0)
    content[0x2100:0x2200] = b"\xff" * 256 if row[0] else b"\0" * 256
    struct.pack_into("<4I", content, 0x2100, *row)
    SEGMENT.pack_into(content, 176, 2, 6, 0x2000, 0x2000, 0, 64, 64, 8)
    objects = Space(content).objects()

    def outcome(ask: Callable[[], object]) -> object:
        try:
            return ask()
        except Unreadable as error:
            return str(error)

    exports = Exports(objects.memory, objects.at(function(0)))
    assert outcome(lambda: exports.definitions("malloc")) in (
        [],
        "the hash table of libsome.so is damaged",
    ) or "cannot be read" in str(outcome(lambda: exports.definitions("malloc")))
    assert isinstance(outcome(lambda: exports.functions_at(function(0))), frozenset | str)
