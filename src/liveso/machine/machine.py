"""What the rest of the code must know of a processor."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from liveso.machine.calls import Calls
from liveso.machine.entry_jump import EntryJump
from liveso.machine.frames import FrameRegisters
from liveso.machine.part_encoding import PartEncoding
from liveso.machine.words import CodeWords, Words


def nothing_known(_code: bytes, _at: int) -> None:
    """What is known of an instruction that capstone does not know, where there are no such."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of a processor's psABI supplement that the rest of the code needs.

    `relative` … `tls_descriptor` are relocation types (psABI, "Relocation"); `word` is in bytes.
    `kernel_name` is what the kernel calls it (uname(2)).
    `displacement_size` is that of the field by which an instruction refers to memory relative to itself, in
    bytes. `minus_one_passed` are the instructions that make -1 the first argument of a call, as compilers write them.
    `branch_opcodes` are followed by a displacement; a byte after one of `operand_opcodes` (the last byte of the opcode)
    that equals the second of `relative_operand` under the mask that is the first says that a displacement relative to
    the instruction follows; `address_opcode` forms an address without access, `load_opcode` loads what lies at one, and
    `compare_opcodes` compare two operands; under the mask that is the first of `whole_word`, the byte before equals its
    second where they are about whole words. `general_dynamic_prefix` stands before the instruction that forms the
    address of a thread-local variable's slot, and not before that of the module's; where `thread_segment` begins, a
    word has the thread pointer. Arguments are passed in
    `argument_registers`, in this order, results in
    `result_register`, and `kept_registers` hold the same after a call; `register_parts` lead from
    names of parts to the whole register's. `far_section` is the flag of sections that displacements do not reach.
    A `jump` stands at the entries of functions, behind an `entry_mark`, where indirect branches may lead; a
    `guarded_entry` is such a mark and does more. The lowest bit of an image's `guard_property` (.note.gnu.property)
    says that indirect branches may lead to marks only. `has_blocks_above`: thread-local blocks at a fixed distance from
    the thread pointer lie above it (ELF TLS, 3: variant I). What a `tls_offset` relocation leaves in a word is less
    than the place in the block by `block_bias`.
    `call_opcode` is the one of `branch_opcodes` that calls, and `near_branch_opcodes` are followed by a displacement of
    one byte. `padding` are the bytes that may stand between functions.
    What the kernel sets in code to be told of it is a `breakpoint`.
    Where instructions tell by themselves where the next one begins, and form addresses in parts, `code_words` tells of
    the words of code at an address what each does with registers, which it numbers as the processor does, and `parts`
    gives them others. `stack_number` and `frame_number` are those of the registers by which a frame is accessed.
    `freed_registers` have a bit for each that calls may change, `linker_registers` those that stubs and veneers of
    linkers change, and `descriptor_registers` those that calls for a TLS descriptor do; these keep all others.
    Functions get something in `given_registers`, and leave something in `returned_registers`.
    `extended_words` are the places, in bytes, of instructions that load half a word and extend its sign, and
    `adds_words` says of code that begins with the last instruction which forms an address whether it loads such
    from there, and adds it to the address.
    `undecoded` tells the size of an instruction that capstone does not know, at an offset of code, and the displacement
    by which it refers to memory relative to its end, if it does; None where that is not known either.
    `adds_place` says of code that begins with the reference to a slot of thread-local storage whether it goes on to add
    a place in the block, so that the slot stands for all of it.
    `reached_behind` says of such code how far behind the variable it gets, in bytes, by numbers of its own.
    `without_registers` leaves of words of code what they do, without the numbers of the registers that they do it with.
    `leaves_highest` says of code whether it leaves a number in a register whose highest 32 bits are one of some.
    `unnamed_writers` are the names of instructions that write registers which they do not name, some of
    `unnamed_written`; `reading` are those that leave all general registers as they are, or as large as they were, and
    `asking` those of them that set the flags which conditions are about. `push` and `pop` are the names of
    those that keep a register on the stack, and give it back, where there are such. An instruction whose name matches
    `selects` leaves one of two registers; its condition is the group, or the last operand, and `opposites` have a
    condition for that which is its contrary, so that one of both is left.
    `frames` are what unwinding a thread's frames needs, where they can be unwound.
    `start_up_is_described`: compilers' start-up functions (crtbeginS.o) have unwind entries.
    `calls` say how a stopped thread is let make a call, where that is known.
    """

    name: str
    kernel_name: str
    e_machine: int
    word: int
    none: int
    relative: int
    absolute: int
    glob_dat: int
    jump_slot: int
    copy: int
    indirect_relative: int
    tls_module: int
    tls_offset: int
    tls_static_offset: int
    tls_descriptor: int
    capstone_architecture: int
    capstone_mode: int
    argument_registers: tuple[str, ...]
    kept_registers: frozenset[str]
    result_register: str
    stack_pointer: str
    frame_pointer: str
    register_parts: dict[str, str]
    minus_one_passed: tuple[bytes, ...]
    extended_words: Callable[[bytes], Words]
    adds_words: Callable[[bytes], bool]
    undecoded: Callable[[bytes, int], tuple[int, int | None] | None] = nothing_known
    program_counter: str = ""
    displacement_size: int = 0
    branch_opcodes: tuple[bytes, ...] = ()
    operand_opcodes: frozenset[int] = frozenset()
    relative_operand: tuple[int, int] = (0, 0)
    address_opcode: int = 0
    load_opcode: int = 0
    general_dynamic_prefix: bytes = b""
    thread_segment: str = ""
    compare_opcodes: tuple[int, ...] = ()
    whole_word: tuple[int, int] = (0, 0)
    far_section: int = 0
    jump: EntryJump | None = None
    call_opcode: bytes = b""
    entry_mark: bytes = b""
    guarded_entry: bytes = b""
    guard_property: int = 0
    has_blocks_above: bool = False
    block_bias: int = 0
    near_branch_opcodes: frozenset[int] = frozenset()
    padding: frozenset[int] = frozenset()
    breakpoint: bytes = b""
    frames: FrameRegisters | None = None
    code_words: Callable[[bytes, int], CodeWords] | None = None
    stack_number: int = 0
    frame_number: int = 0
    parts: PartEncoding | None = None
    freed_registers: int = 0
    linker_registers: int = 0
    descriptor_registers: int = 0
    given_registers: int = 0
    returned_registers: int = 0
    reached_behind: Callable[[bytes], int] | None = None
    without_registers: Callable[[Words], Words] | None = None
    leaves_highest: Callable[[bytes, frozenset[int]], bool] | None = None
    adds_place: Callable[[bytes], bool] | None = None
    start_up_is_described: bool = False
    unnamed_writers: re.Pattern[str] = re.compile(r"(?!)")
    unnamed_written: tuple[str, ...] = ()
    reading: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()
    push: str = ""
    pop: str = ""
    selects: re.Pattern[str] = re.compile(r"(?!)")
    opposites: Mapping[str, str] = field(default_factory=dict)
    calls: Calls | None = None

    @property
    def jump_size(self) -> int:
        """The bytes of an entry jump; 0 where there is none."""
        return self.jump.size if self.jump else 0

    @property
    def slot_relocations(self) -> frozenset[int]:
        """Relocations that leave the address of a function or variable in a word."""
        return frozenset({self.relative, self.absolute, self.glob_dat, self.jump_slot, self.indirect_relative})

    @property
    def tls_relocations(self) -> frozenset[int]:
        """Relocations that leave a module ID or an offset of thread-local storage in a word."""
        return frozenset({self.tls_module, self.tls_offset, self.tls_static_offset, self.tls_descriptor})
