"""Constants that code knows by their address: `if (it->text != empty) free(it->text)`.

All bytes of the code are tried at once first: few form an address in a register that is compared soon afterwards. Only
these are decoded.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain

import numpy as np

from liveso.code.constants import FORMING, Formed, formed_constants
from liveso.code.form import Form, Operation
from liveso.code.functions import functions
from liveso.code.instructions import Code, Place, Reader
from liveso.code.operations import parts
from liveso.code.start_up import is_start_up
from liveso.elf import Image, Section, once_per_image
from liveso.machine import CodeWords, Machine
from liveso.side_by_side import side_by_side

_COMPARES = ("cmp", "subs")
_AS_FAR = 96  # bytes from the address to the comparison
_MOST_STEPS = 48  # instructions from the address to the comparison, on the way there
_AROUND = 128  # instructions: where the comparison is in code whose instructions have one size
_REX_R, _REX_B = 4, 1  # AMD64 Manual 3, 1.2.7: they extend the two registers that ModRM names


@dataclass(frozen=True, slots=True)
class ComparedConstant:
    """The function that starts at `inside` compares a pointer with the address of a constant, which it forms at
    `place`. It `may_be_end` of an array that the pointer goes along: the function adds to the pointer."""

    address: int
    inside: int
    place: int
    may_be_end: bool


@once_per_image
def compared_constants(image: Image) -> tuple[ComparedConstant, ...]:
    """In the order of places, as far as functions have unwind entries. Raises ImageError as `functions` does."""
    known = functions(image)
    if not len(known):
        return ()
    starts, ends, reader = known["start"].astype("<i8"), known["end"].astype("<i8"), Reader(image)
    suspects: dict[int, dict[int, int]] = defaultdict(dict)
    for section in image.sections:
        if not (section.is_code and section.has_bytes) or is_start_up(section):
            continue
        for place, target in _candidates(image, section):
            index = int(np.searchsorted(starts, place, side="right")) - 1
            if index >= 0 and place < ends[index]:
                suspects[index][place] = target

    def compared(index: int) -> list[ComparedConstant]:
        start, end = int(starts[index]), int(ends[index])
        return _compared(image, reader.read(start, end), start, suspects[index])

    found = chain.from_iterable(side_by_side(compared, list(suspects)))
    return tuple(sorted(found, key=lambda it: it.place))


def _candidates(image: Image, section: Section) -> list[tuple[int, int]]:
    """What look like instructions that form the address of a constant in a register which what looks like a comparison
    of whole words names soon afterwards: their addresses, and that of the constant."""
    machine, content = image.machine, np.frombuffer(image.section_bytes(section), np.uint8)
    formed = formed_constants(image)
    if machine.code_words is not None:
        return _candidates_in_words(formed, section, machine.code_words(content.tobytes(), section.address))
    inside = (formed.places >= section.address) & (formed.places < section.end)
    at, targets = formed.places[inside] - section.address, formed.targets[inside]
    registers = (content[at + 2] >> 3 & 7) + 8 * (content[at] & _REX_R > 0)
    whole, wide = machine.whole_word
    compares = np.flatnonzero((content[:-2] & whole == wide) & np.isin(content[1:-1], machine.compare_opcodes))
    prefix, operand = content[compares], content[compares + 2]
    first = (operand >> 3 & 7) + 8 * (prefix & _REX_R > 0)
    second = np.where(operand >> 6 == 3, (operand & 7) + 8 * (prefix & _REX_B > 0), 255)
    low = np.searchsorted(compares, at + FORMING).tolist()
    high = np.searchsorted(compares, at + FORMING + _AS_FAR).tolist()
    named = first.tolist(), second.tolist()
    found = []
    for place, target, register, begin, end in zip(
        at.tolist(), targets.tolist(), registers.tolist(), low, high, strict=True
    ):
        if register in named[0][begin:end] or register in named[1][begin:end]:
            found.append((place + section.address, target))
    return found


def _candidates_in_words(formed: Formed, section: Section, words: CodeWords) -> list[tuple[int, int]]:
    """The same where instructions have one size, which tell what they compare."""
    found = []
    inside = (formed.places >= section.address) & (formed.places < section.end)
    compares = np.flatnonzero(words.compares)
    places, targets = formed.places[inside], formed.targets[inside]
    numbers = words.numbers(places).tolist()
    for at, place, target in zip(numbers, places.tolist(), targets.tolist(), strict=True):
        low, high = np.searchsorted(compares, (at - _AROUND, at + _AROUND)).tolist()
        register = int(words.result[at])
        if ((words.reads[compares[low:high]] >> register) & 1).any():
            found.append((place, target))
    return found


def _compared(image: Image, code: Code, inside: int, suspects: dict[int, int]) -> list[ComparedConstant]:
    own = {image.machine.stack_pointer, image.machine.frame_pointer}
    found = []
    for index, address in enumerate(code.addresses):
        form = code.forms[index]
        target = suspects.get(address)
        if target is None or form.operation is not Operation.ADDRESS or code.targets[index] != target:
            continue
        for register in form.written:
            other = _compared_with(code, index, register)
            if other is not None:
                is_end = _is_advanced(code, *other, own, image.machine)
                found.append(ComparedConstant(target, inside, address, is_end))
    return found


def _compared_with(code: Code, index: int, register: str) -> tuple[int, str] | None:
    """The comparison of a register after the instruction at `index`, on one of the ways that go on from there: its
    index, and the register that it is compared with; no register where that is memory."""
    waiting, seen = [(index + 1, 0)], {index}
    while waiting:
        at, steps = waiting.pop(0)
        if at in seen or at >= len(code) or steps > _MOST_STEPS:
            continue
        seen.add(at)
        form = code.forms[at]
        name, operands = parts(form.outline)
        if name in _COMPARES:
            sides = list(operands[-2:])
            if register in sides and len(sides) == 2:
                other = sides[1 - sides.index(register)]
                return at, "" if "[" in other else other
        is_base = register in form.outline.partition("[")[2]  # of a table, a jump's for example
        if register in form.written or is_base or form.operation in (Operation.CALL, Operation.RETURN):
            continue
        if form.leads_to_code and (target := code.targets[at]) is not None:
            following = code.index_at(target)
            waiting += [] if following is None else [(following, steps + 1)]
        if form.operation is not Operation.JUMP:
            waiting.append((at + 1, steps + 1))
    return None


def _is_advanced(code: Code, index: int, register: str, own: set[str], machine: Machine) -> bool:
    """Whether the function, in a loop, adds a number to what the instruction at `index` compares: to that register, or
    to the word of memory that this was read from, or that is compared, if it is the function's own or a variable."""
    ways = _Ways(code, machine)
    read = index if not register else _reading(code, index, register)
    word = code[read].place if read is not None else None
    slot = code.forms[read] if read is not None and code.forms[read].base in own else None
    loaded: set[str] = {register} if register else set()
    for at, form in enumerate(code.forms):
        is_same_word = _is_word(code, at, slot, word)
        if form.operation is Operation.MOVE and is_same_word:
            loaded |= set(form.written)
        is_written = (is_same_word and form.is_store) or bool(loaded & set(form.written))
        if is_written and (_adds_number(form) or _adds_to(form, loaded)):
            held = register if not is_same_word and register in form.written and read is None else ""
            if ways.lead(at, index, held) and ways.lead(index, at, held):
                return True
    return False


def _adds_number(form: Form) -> bool:
    return form.outline.startswith(("inc ", "dec ")) or (
        form.outline.startswith(("add ", "sub ")) and form.immediate is not None
    )


class _Ways:
    """Where control gets in a function, as far as branches say where they lead."""

    def __init__(self, code: Code, machine: Machine) -> None:
        self._code, self._machine = code, machine

    def lead(self, start: int, goal: int, held: str = "") -> bool:
        """Whether control gets from the instruction at one index to that at another, and the register `held`, if there
        is one, holds the same on the way, or what was added to that."""
        seen, waiting = {start}, [start]
        while waiting:
            index = waiting.pop()
            following = self._following(index)
            if goal in following:
                return True
            fresh = [it for it in following if it not in seen and not (held and self._ends(it, held))]
            seen.update(fresh)
            waiting += fresh
        return False

    def _following(self, index: int) -> list[int]:
        form, target = self._code.forms[index], self._code.targets[index]
        following = [] if form.operation in (Operation.JUMP, Operation.RETURN) else [index + 1]
        led_to = self._code.index_at(target) if target is not None and form.leads_to_code else None
        if led_to is not None and form.operation is not Operation.CALL:
            following.append(led_to)
        return [it for it in following if it < len(self._code)]

    def _ends(self, index: int, register: str) -> bool:
        """Whether another value comes into a register."""
        form = self._code.forms[index]
        if form.operation is Operation.CALL:
            return register not in self._machine.kept_registers
        return register in form.written and not (_adds_number(form) or _adds_to(form, {register}))


def _reading(code: Code, index: int, register: str) -> int | None:
    """The instruction before the one at `index` that moves a word of memory into a register."""
    for at in range(index - 1, -1, -1):
        if register in code.forms[at].written:
            return at if code.forms[at].operation is Operation.MOVE and "[" in code.forms[at].outline else None
    return None


def _is_word(code: Code, at: int, slot: Form | None, word: Place | None) -> bool:
    form = code.forms[at]
    if slot is not None:
        return (form.base, form.displacement) == (slot.base, slot.displacement)
    return word is not None and word.kind == "data" and code.targets[at] is not None and code[at].place == word


def _adds_to(form: Form, registers: set[str]) -> bool:
    return form.operation is Operation.ADDRESS and form.base in registers and not form.scale
