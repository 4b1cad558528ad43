"""What a function calls, computes and compares with, and the texts it refers to, in words that both versions share."""

import re
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from liveso.code import CALLS, Code, Form, Instruction, Operation, Reader, Shapes, frame_registers
from liveso.code.imports import slot_names, stub_names
from liveso.code.operations import COMPARES, condition, parts
from liveso.compare.function_labels import Labels
from liveso.compare.matching import Matching
from liveso.elf import Image, printable
from liveso.elf.data import constant_sections
from liveso.elf.tables import Table

_LONGEST_TEXT = 1000  # bytes
_LEAST_TEXT = 2  # characters
_LEAST_LETTERS = 4  # bytes of a constant that is the beginning of a text
_LARGEST_CONSTANT = 16  # bytes
_LAYOUT_CHARACTERS = str.maketrans("", "", "\t\n\r\x1b")
_SOURCE_FILE = re.compile(r"\.(c|cc|cpp|cxx|h|hh|hpp|inc|y|l|rs)$")
_AS_FAR = 24  # instructions before a number of a line
_MOST_ON_WAYS = 48  # instructions from there to the call that gets it
_POINTER = "a function by pointer"
_NAMELESS = "a function without a name"
_SIGNS = {"e": "= ", "l": "< ", "b": "< ", "g": "> ", "a": "> "}
_FLOATS = {"sd": "<d", "ss": "<f"}
"""How the instructions that end so lay out a number."""


@dataclass(slots=True)
class Content:
    """What one function has, each with the words for it."""

    names: dict[Hashable, str] = field(default_factory=dict)
    calls: Counter[Hashable] = field(default_factory=Counter)
    constants: Counter[Hashable] = field(default_factory=Counter)
    comparisons: Counter[Hashable] = field(default_factory=Counter)
    texts: Counter[Hashable] = field(default_factory=Counter)

    @property
    def counted(self) -> tuple[tuple[Counter[Hashable], dict[Hashable, str]], ...]:
        return tuple((it, self.names) for it in (self.calls, self.constants, self.comparisons, self.texts))


class Side:
    """One version. `partners` lead from its functions to those of the old version: by these they are known in both."""

    def __init__(
        self, image: Image, shapes: Shapes, labels: Labels, partners: dict[int, int], matching: Matching
    ) -> None:
        self._image, self._shapes, self._labels = image, shapes, labels
        self._partners, self._ambiguous = partners, matching.ambiguous
        self._starts = {start: index for index, start in enumerate(shapes.functions["start"].tolist())}
        # what relocation writes is no text, and no number that a person could read
        self._constants = [range(it.address, it.end) for it in constant_sections(image) if not it.is_writable]
        self._slots = slot_names(image)
        self._stubs = stub_names(image, self._slots)
        self._texts: dict[int, str] = {}

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._image)

    def size(self, index: int) -> int:
        start, end = self._shapes.functions[index].item()
        return int(end - start)

    def code(self, index: int) -> Code:
        return self._reader.read(*self._shapes.functions[index].item())

    def content(self, code: Code, lines: frozenset[int], index: int) -> Content:
        """What is counted of the function `index`. Neither is its own name, as errors have it, nor are the constants at
        `lines`."""
        machine = self._image.machine
        found = Content()
        own = frame_registers(code, machine)
        for at, it in enumerate(code):
            if it.operation in CALLS and it.is_call:
                callee = self._callee(it)
                if callee:
                    found.calls[callee[0]] += 1
                    found.names[callee[0]] = callee[1]
            elif it.place is not None and it.place.kind == "constant":
                self._read_constant(it, code.targets[at] or 0, found)
            if parts(it.outline)[0] in (*COMPARES, "test") and (compared := _compared(it.form)) is not None:
                sign = _SIGNS.get(condition(code, at), "")
                found.comparisons[f"{sign}{compared}"] += 1
            elif at in lines:
                continue
            elif it.form.immediate is not None and own.isdisjoint(it.form.written):
                found.constants[_number(it.form.immediate)] += 1
            elif it.operation is Operation.ADDRESS and it.displacement and it.form.base not in own:
                found.constants[_number(it.displacement)] += 1
        del found.texts[self._labels.name(index)]
        return found

    def lines(self, code: Code) -> frozenset[int]:
        """The indexes of instructions that hand on `__LINE__`: as the argument, or in the word of an object, behind the
        name of a source file, as asserts and the errors of some libraries have it."""
        machine = self._image.machine
        files = [index for index in range(len(code)) if self._is_source_file(code, index)]
        if not files:
            return frozenset()
        holders = {it for at in files for it in code.forms[at].written}
        named: dict[int, tuple[str, ...]] = {at: code.forms[at].written for at in files}
        named |= {at: it.written for at, it in enumerate(code.forms) if it.source in holders & machine.kept_registers}
        behind = dict(pairwise(machine.argument_registers))
        candidates = {behind.get(register) for registers in named.values() for register in registers}
        words = {
            (it.base, (it.displacement or 0) + machine.word)
            for it in code.forms
            if it.is_store and it.source in holders
        }
        found = set[int]()
        for index, form in enumerate(code.forms):
            if form.is_store and (form.base, form.displacement) in words:
                found.add(index if form.immediate is not None else _loaded_at(code, index))
            elif form.operation is not Operation.MOVE or form.immediate is None:
                continue
            elif candidates.intersection(form.written):
                before = {behind.get(it) for at in _to_call(code, index) for it in named.get(at, ())}
                found |= {index} if before.intersection(form.written) else set()
        return frozenset(it for it in found if code.forms[it].immediate)

    def _is_source_file(self, code: Code, index: int) -> bool:
        target = code.targets[index]
        is_formed = target is not None and code.forms[index].operation is Operation.ADDRESS
        return is_formed and bool(_SOURCE_FILE.search(self._text(target or 0)))

    def _callee(self, it: Instruction) -> tuple[Hashable, str] | None:
        """What identifies a function that is called in both versions, and what it is called; None for a jump to a part
        of a function that lies elsewhere."""
        place = it.place
        if place is None or place.kind not in ("import", "function"):
            return _POINTER, _POINTER
        if place.kind == "import":
            return place.name, printable(place.name)
        key, name = self._known_as(place.offset), self._labels.names.get(place.offset, "")
        if not key:
            return (name, name) if name else None
        return key, name or _NAMELESS

    def _known_as(self, address: int) -> Hashable:
        """The same for one function in both versions; nothing where none starts there."""
        index = self._starts.get(address)
        if index is None:
            return None
        if self._labels.name(index):
            return self._labels.name(index)
        if self._shapes.shapes[index] in self._ambiguous:
            return "alike", self._shapes.shapes[index]
        return ("matched", self._partners[index]) if index in self._partners else ("new", index)

    def _read_constant(self, it: Instruction, target: int, found: Content) -> None:
        form = it.form
        text = self._text(target) if form.operation is Operation.ADDRESS else ""
        if text:
            found.texts[text] += not _SOURCE_FILE.search(text)
        elif form.operation not in (Operation.ADDRESS, Operation.PAGE) and self._is_constant(target):
            mnemonic = parts(form.outline)[0]
            width = min(form.width, _LARGEST_CONSTANT)
            layout = _FLOATS.get(mnemonic[-2:], "")
            width = struct.calcsize(layout) if layout else width
            content = self._image.bytes_at(target, width)
            letters = content.rstrip(b"\0")
            if len(letters) >= _LEAST_LETTERS and letters.isascii() and letters.decode().isprintable():
                found.texts[letters.decode()] += 1
                return
            value = struct.unpack(layout, content)[0] if layout else int.from_bytes(content, "little")
            found.constants[f"{value:g}" if layout else _number(value)] += 1

    def _text(self, address: int) -> str:
        """The text that begins at an address in the constants; empty where what lies there is none."""
        if address not in self._texts:
            self._texts[address] = self._read_text(address)
        return self._texts[address]

    def _is_constant(self, address: int) -> bool:
        return any(address in span for span in self._constants)

    def _read_text(self, address: int) -> str:
        if not self._is_constant(address):
            return ""
        content, end, _rest = self._image.bytes_at(address, _LONGEST_TEXT).partition(b"\0")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return ""
        is_text = bool(end) and len(text) >= _LEAST_TEXT and text.translate(_LAYOUT_CHARACTERS).isprintable()
        return printable(text) if is_text else ""

    def identity(self, index: int) -> tuple[int, bytes] | None:
        """What a function without a name that has look-alikes is told by; None for others."""
        shape = self._shapes.shapes[index]
        is_alike = shape in self._ambiguous and not self._labels.name(index)
        return (shape, self.meanings_of(index).tobytes()) if is_alike else None

    @cached_property
    def look_alikes(self) -> frozenset[tuple[int, bytes] | None]:
        return frozenset(map(self.identity, range(len(self._labels))))

    def meanings_of(self, index: int) -> Table:
        """Numbers for what the fields of a function lead to: the same for the same thing in both versions, 0 for what
        is not told."""
        low, high = self._shapes.bounds[index]
        found: Table = self._meanings[low:high]
        return found

    @cached_property
    def _meanings(self) -> Table:
        fields = self._shapes.fields
        targets, inverse = np.unique(fields["target"].astype("<i8"), return_inverse=True)
        pairs = np.array([self._meaning(it) for it in targets.tolist()], "<i8").reshape(-1, 2)[inverse.reshape(-1)]
        found: Table = np.where(self._form_addresses(), pairs[:, 0], pairs[:, 1])
        return found

    def _meaning(self, target: int) -> tuple[int, int]:
        """Numbers for what lies at an address, if an instruction forms it, and if it loads what lies there."""
        if self._is_constant(target):
            content = self._image.bytes_at(target, _LARGEST_CONSTANT)
            return hash(self._text(target)), hash(content) if self._image.machine.address_opcode else 0
        key = self._stubs.get(target) or self._slots.get(target) or self._known_as(target)
        return (hash(key), hash(key)) if key else (0, 0)

    def _form_addresses(self) -> Table:
        """Which fields an instruction has that forms an address, as the byte of its opcode says."""
        places = self._shapes.fields["place"].astype("<i8")
        found = np.zeros(len(places), np.bool_)
        for section in self._image.sections:
            if section.is_code and section.has_bytes:
                inside = np.flatnonzero((places >= section.address + 2) & (places < section.end))
                content = np.frombuffer(self._image.section_bytes(section), np.uint8)
                opcodes = content[places[inside] - 2 - section.address]
                found[inside] = opcodes == self._image.machine.address_opcode
        return found


def _to_call(code: Code, start: int) -> set[int]:
    """The indexes of instructions that run before the same call as the one at `start`: back to the call or branch
    before, and on, by each way, to the first calls."""
    found, index = {start}, start
    while index > 0 and start - index < _AS_FAR and not _ends_stretch(code.forms[index - 1]):
        index -= 1
        found.add(index)
    ways, most = [start], len(found) + _MOST_ON_WAYS
    while ways and len(found) < most:
        index = ways.pop()
        form = code.forms[index]
        if form.operation in (Operation.CALL, Operation.RETURN):
            continue
        following = [index + 1] if form.operation is not Operation.JUMP else []
        if form.leads_to_code:
            following.append(bisect_left(code.addresses, code.targets[index] or 0))
        new = {it for it in following if it < len(code)} - found
        found |= new
        ways += new
    return found


def _loaded_at(code: Code, index: int) -> int:
    """The index of the instruction that loads the register which the one at `index` stores."""
    register = code.forms[index].source
    before = range(index - 1, max(-1, index - _AS_FAR), -1)
    return next((it for it in before if register in code.forms[it].written), index)


def _ends_stretch(form: Form) -> bool:
    return form.operation in (Operation.CALL, Operation.JUMP, Operation.RETURN)


def _compared(form: Form) -> str | None:
    """What a comparison compares with: a constant, or `another value`; None where it tests bits."""
    name, operands = parts(form.outline)
    if name.startswith("cb"):
        return "0"
    if name == "test":
        return "0" if len(set(operands)) == 1 else None
    return "another value" if form.immediate is None else _number(form.immediate)


def _number(value: int) -> str:
    """A constant in words: large ones and masks as programmers write them."""
    return str(value) if abs(value) < 4096 else hex(value)
