"""The instructions of one function, in a form in which two versions of it can be compared."""

import re
from dataclasses import dataclass

import numpy as np

from liveso.code.imports import decoder, slot_names, stub_names
from liveso.elf import Image, Machine
from liveso.elf.data import data_layout

_MEMORY = re.compile(r"(?:(\w+) ptr )?(?:(\w\w):)?\[([^\]]*)\]")
_LAST_TERM = re.compile(r"(?:([+-]) |^)(0x[0-9a-f]+|\d+)$")
_NUMBER = re.compile(r"(?<![\w.])-?(?:0x[0-9a-f]+|\d+)(?![\w.])")
_REGISTER = re.compile(r"[a-z][a-z0-9]+")
_WIDTHS = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "tbyte": 10, "xmmword": 16, "ymmword": 32, "zmmword": 64}
_MOVES = frozenset({"mov", "movabs", "movzx", "movsx", "movsxd"})
_ONLY_READ = frozenset({"cmp", "test", "push", "bt", "call", "ucomiss", "ucomisd", "comiss", "comisd"})


@dataclass(frozen=True, slots=True)
class Place:
    """What an instruction refers to by an address: `kind` is "data" (of the library, `offset` from its start), "tls"
    (`offset` in the block), "import" (`name`), "function" or "own code" (`offset` is the address), or "constant"."""

    kind: str
    offset: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call: `callee` is None where it goes through a pointer, `constants` are arguments by their number.

    `is_about_stack`: an argument is the address of a local variable.
    """

    address: int
    callee: Place | None
    constants: dict[int, int]
    is_about_stack: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction without what differs between versions for no reason.

    `outline` is its operation with whole registers and without numbers; two instructions of one outline can be
    compared. `base` is the register that memory is addressed by, `displacement` the number that is added, in bytes,
    `width` the size of the access in bytes, or of the result where only an address is formed (0: not known).
    `immediate` is a constant operand.
    """

    address: int
    outline: str
    base: str
    displacement: int | None
    width: int
    immediate: int | None
    place: Place | None

    @property
    def operation(self) -> str:
        return self.outline.split(" ", 1)[0]

    @property
    def is_call(self) -> bool:
        leaves = self.place is None or self.place.kind not in ("own code", "constant")
        return self.operation == "call" or (self.operation == "jmp" and leaves)

    @property
    def written_register(self) -> str:
        """The whole register that it writes, if its first operand is one."""
        first = self.outline.partition(" ")[2].split(",")[0]
        return "" if self.operation in _ONLY_READ or self.operation[0] == "j" or "[" in first else first

    @property
    def exact(self) -> tuple[object, ...]:
        """Equal for two instructions that do the same. The places of variables and of other functions are compared
        elsewhere."""
        place = self.place.kind if self.place else ""
        name = self.place.name if self.place else ""
        return self.outline, self.displacement, self.width, self.immediate, place, name


class Reader:
    """Reads the functions of one image."""

    def __init__(self, image: Image) -> None:
        self.machine = image.machine
        self._image = image
        self._layout = data_layout(image)
        self._slots = slot_names(image)
        self._stubs = stub_names(image, self._slots)
        self._tls = thread_local_slots(image)
        self._code = [it for it in image.sections if it.is_code]

    def read(self, start: int, end: int) -> list[Instruction]:
        """The instructions from `start` to `end`. What cannot be decoded ends the list."""
        content = self._image.bytes_at(start, end - start)
        return [
            self._instruction(address, size, mnemonic, operands, range(start, end))
            for address, size, mnemonic, operands in decoder(self._image).disasm_lite(content, start)
            if not mnemonic.startswith(("nop", "endbr", "int3"))
        ]

    def _instruction(self, address: int, size: int, mnemonic: str, operands: str, function: range) -> Instruction:
        place, base, displacement, width, text = None, "", None, 0, operands
        operation = "mov" if mnemonic in _MOVES else mnemonic.removeprefix("bnd ").removeprefix("notrack ")
        memory = _MEMORY.search(operands)
        if memory:
            last = _LAST_TERM.search(memory[3])
            displacement = int(last[2], 0) * (-1 if last[1] == "-" else 1) if last else 0
            terms = memory[3][: last.start()].strip() if last else memory[3]
            if terms == self.machine.program_counter:
                place = self.place(address + size + displacement)
                displacement, terms = None, place.kind
            base, terms = self._whole(terms.split(" ")[0]), self._wholes(terms)
            width = _WIDTHS.get(memory[1] or "", 0)
            if operation == "lea":
                result = operands.split(",")[0]
                width = self.machine.word if self._whole(result) == result else self.machine.word // 2
            text = f"{operands[: memory.start()]}{memory[2] or ''}[{terms}]{operands[memory.end() :]}"
        immediate = None
        if (operation[0] == "j" or operation == "call") and operands.startswith("0x"):
            target = int(operands, 0)
            place = Place("own code", target) if target in function else self.place(target)
            text = ""
        else:
            number = _NUMBER.search(text, text.rfind("]") + 1)
            if number:
                immediate = int(number[0], 0)
                text = text[: number.start()] + "N" + text[number.end() :]
        return Instruction(address, f"{operation} {self._wholes(text)}", base, displacement, width, immediate, place)

    def place(self, target: int) -> Place:
        """What lies at an address of the image."""
        if target in self._stubs:
            return Place("import", 0, self._stubs[target])
        if target in self._tls:
            return Place("tls", self._tls[target])
        if target in self._slots:
            return Place("import", 0, self._slots[target])
        if self._layout.holds(target):
            return Place("data", target - self._layout.span.start)
        if any(it.address <= target < it.end for it in self._code):
            return Place("function", target)
        return Place("constant")

    def variable(self, target: int) -> Place | None:
        """The variable at an address, or behind a slot of thread-local storage, if there is one."""
        if target in self._tls:
            return Place("tls", self._tls[target])
        return Place("data", target - self._layout.span.start) if self._layout.holds(target) else None

    def _whole(self, register: str) -> str:
        return self.machine.register_parts.get(register, register)

    def _wholes(self, text: str) -> str:
        return _REGISTER.sub(lambda match: self._whole(match[0]), text)


def thread_local_slots(image: Image) -> dict[int, int]:
    """The slots that lead to the image's own thread-local variables, with the place in its block, in bytes; a slot of
    the module alone is not among them."""
    machine = image.machine
    kinds = {machine.tls_offset, machine.tls_static_offset, machine.tls_descriptor}
    found = {}
    modules = image.relocations[(image.relocations["type"] == machine.tls_module) & (image.relocations["symbol"] == 0)]
    for offset in modules["offset"].tolist():
        # the second word of the pair has no relocation where the variable is the image's own
        found[offset] = int.from_bytes(image.bytes_at(offset + machine.word, machine.word), "little")
    for offset, kind, index, addend in image.relocations[np.isin(image.relocations["type"], sorted(kinds))].tolist():
        if index == 0 or image.symbols[index].is_defined:
            # code refers to the pair of module and offset by its first word (ELF TLS, 3.4.6)
            slot = offset - (machine.word if kind == machine.tls_offset else 0)
            found[slot] = addend + (image.symbols[index].value if index else 0)
    return found


def call_sites(instructions: list[Instruction], machine: Machine) -> dict[int, CallSite]:
    """The calls of a function, by their addresses, with the constants that were put into the arguments' registers since
    the call before, directly or by way of another register."""
    found: dict[int, CallSite] = {}
    constants: dict[str, int] = {}
    on_stack: set[str] = set()
    for it in instructions:
        if it.is_call:
            arguments = {n: constants[it] for n, it in enumerate(machine.argument_registers) if it in constants}
            found[it.address] = CallSite(it.address, it.place, arguments, bool(on_stack))
            constants.clear()
            on_stack.clear()
            continue
        register = it.written_register
        value = it.immediate if it.operation == "mov" and "[" not in it.outline else None
        if it.operation == "mov" and value is None:
            value = constants.get(it.outline.rpartition(", ")[2])
        if register:
            constants.pop(register, None)
            on_stack.discard(register)
            if value is not None:
                constants[register] = value
        if it.operation == "lea" and it.base in (machine.stack_pointer, machine.frame_pointer):
            on_stack.update({register} & set(machine.argument_registers))
    return found
