"""What a function does with members of objects and with variables: which constants it stores there, compares and masks
them with, and what it hands on.

A function is gone through in the order of addresses. Where a branch leads to, registers hold what they did there, if it
comes before, in what the instruction before leaves open.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from math import prod

from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.form import Form, Operation
from liveso.code.instructions import Code, Instruction, keeps_frame
from liveso.code.values import Source, Spot, Value, signed
from liveso.elf import Image, Machine
from liveso.elf.data import data_layout

_OPERAND = re.compile(r"\[[^\]]*\]!?|[^,\[\]\s][^,\[\]]*")
_MOST_HELD = 256  # registers and words of the stack that are remembered at a branch
_SMALL_STEP = 4  # bytes: what goes on in such steps leads through bytes, and not from object to object
_WORD = 8
_INDEXED = "index"
"""The operation that adds an index to a pointer."""
_REGISTER = re.compile(r"[a-z][a-z0-9]+")
_SHIFTS = frozenset({"shl", "sal", "shr", "sar", "rol", "ror", "lsl", "lsr", "asr"})
_MASKS = frozenset({"and", "or", "xor", "test", "bt", "bts", "btr", "ands", "orr", "eor", "bic", "tst", "tbz", "tbnz"})
_BIT_NUMBERS = frozenset({"bt", "bts", "btr"})
ADDS = frozenset({"add", "sub", "inc", "dec", "adds", "subs", "xadd"})
"""Instructions that add or subtract."""
_FIELDS = frozenset({"ubfx", "sbfx", "bfi", "bfxil", "ubfiz", "sbfiz"})
FACTORS = frozenset({"imul", "mul"})
"""Instructions that multiply."""
_COMPARES = frozenset({"cmp", "cmn", "ccmp", "cbz", "cbnz"})
_WHOLE_NUMBERS = _SHIFTS | _MASKS | ADDS | FACTORS | _COMPARES
_CONDITION = re.compile(r"(?:j|set|cmov)(n?[a-z]{1,2}) |(?:b\.|cset |csel |cinc )(?:.*, )?([a-z]{2})\b|cbn?z")
_OPPOSITES = {
    **{"ne": "e", "eq": "e", "z": "e", "nz": "e", "ge": "l", "nl": "l", "lt": "l", "le": "g", "gt": "g", "ng": "g"},
    **{"ns": "s", "mi": "s", "pl": "s", "ae": "b", "nb": "b", "lo": "b", "cc": "b", "hs": "b", "cs": "b"},
    **{"be": "a", "na": "a", "hi": "a", "ls": "a"},
}
_AS_FAR = 5  # instructions from a comparison to what depends on it
_FLOAT = re.compile(
    r"v?(add|sub|mul|div|sqrt|min|max|u?comi|cvtt?s[sd]2|fn?m[a-z]+)[a-z0-9]*s[sd](2si)?$|f(add|sub|mul|div|cmp|cvtz)"
)
_NO_ALLOCATORS = (
    "mem",
    "_Zd",
    "b",
    "q",
    "__mem",
    "explicit",
    "g_slice_free",
    "g_realloc",
    "re",
    "CRYPTO_re",
    "CRYPTO_cl",
)
"""What the names of functions begin with that are given a size and make no new object."""
_FREES = frozenset({"free", "_ZdlPv", "_ZdaPv", "g_free", "cfree", "_ZdlPvm"})
_ZEROS = frozenset({"xor", "pxor", "xorps", "xorpd", "vpxor", "vxorps", "vxorpd"})


class How(StrEnum):
    """What code does with a place in memory."""

    READ = "read"
    STORE = "store"
    EQUAL = "equal"
    """Compares it for equality with a constant."""
    ORDER = "order"
    """Compares it with a constant as larger or smaller."""
    MASK = "mask"
    SHIFT = "shift"
    ADD = "add"
    FACTOR = "factor"
    DIVIDE = "divide"
    """Divides by it."""
    FREE = "free"
    CALL = "call"
    """Calls the function whose address lies there."""
    FOLLOW = "follow"
    """Accesses memory at the address that lies there."""
    HAND = "hand"
    """Hands it, or its address, to another function."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the instruction at `address` does with `spot`. `constant` is the one it does it with, with sign. `what`
    describes what it stores there (Value.described, or the last operation with a constant), or the arguments of a call.
    `is_float`: as a floating-point number; False where as a whole number, None where that is not told. `is_fresh`: in
    an object that a function just returned. `changes`: it leaves another value there. `is_element`: in an array,
    with an index."""

    address: int
    spot: Spot
    how: How
    constant: int | None = None
    what: tuple[object, ...] = ()
    is_float: bool | None = None
    is_fresh: bool = False
    changes: bool = False
    is_element: bool = False


def uses(image: Image, code: Code) -> list[Use]:
    """What a function does, in the order of addresses."""
    return _Walk(image, code).found


@lru_cache(1 << 14)
def _parts(outline: str) -> tuple[str, tuple[str, ...]]:
    name, _space, text = outline.removeprefix("lock ").partition(" ")
    return name, tuple(it.strip() for it in _OPERAND.findall(text))


class _Walk:
    def __init__(self, image: Image, code: Code) -> None:
        self._image, self._code = image, code
        self._machine: Machine = image.machine
        self._stack = {self._machine.stack_pointer}
        if keeps_frame(code, self._machine):
            self._stack.add(self._machine.frame_pointer)
        self._advancing = self._advancing_places()
        self.found: list[Use] = []
        self._values: dict[str, Value] = {
            it: Value(Source.ARGUMENT, at) for at, it in enumerate(self._machine.argument_registers)
        }
        at_target: dict[int, dict[str, Value]] = {}
        goes_on = True
        self._index = 0
        for index, it in enumerate(code):
            self._index = index
            if not goes_on:
                self._values = {}
            if it.address in at_target:
                self._values = _joined(at_target[it.address], self._values)
            self._step(index, it)
            if it.form.leads_to_code and it.place is not None and it.operation is not Operation.CALL:
                at_target.setdefault(it.place.offset, dict(islice(self._values.items(), _MOST_HELD)))
            goes_on = it.operation not in (Operation.JUMP, Operation.RETURN)

    def _advancing_places(self) -> dict[str, list[range]]:
        """The registers and words of the stack that hold pointers which go on in small steps, with the instructions, by
        their indexes, between which they do: a loop, or from the step to where the register is overwritten."""
        forms, found = self._code.forms, dict[str, list[range]]()
        stepped = [(index, place) for index, form in enumerate(forms) if (place := _stepped(form))]
        if not stepped:
            return found
        loops = self._loops()
        led, written = dict[str, list[int]](), dict[str, list[int]]()
        for index, form in enumerate(forms):
            if form.base and form.operation is not Operation.ADDRESS:
                led.setdefault(form.base, []).append(index)
                if form.base in self._stack and form.written:
                    led.setdefault(_word(form), []).append(index)
            for register in form.written:
                written.setdefault(register, []).append(index)
        for index, place in stepped:
            writers = written.get(place, [])
            at = bisect_right(writers, index)
            after = range(index, writers[at] if at < len(writers) else index)
            around = [
                it for it in (*(loop for loop in loops if index in loop), after) if _any_in(led.get(place, []), it)
            ]
            if around:
                found.setdefault(place, []).extend(around)
        return found

    def _loops(self) -> list[range]:
        """The instructions from where a branch leads back to, up to that branch."""
        addresses, found = self._code.addresses, []
        for index, (form, target) in enumerate(zip(self._code.forms, self._code.targets, strict=True)):
            if form.leads_to_code and target is not None and form.operation is not Operation.CALL:
                start = bisect_left(addresses, target, 0, index + 1)
                if start <= index and addresses[start] == target:
                    found.append(range(start, index + 1))
        return found

    def _advances(self, place: str, index: int) -> bool:
        return any(index in it for it in self._advancing.get(place, ()))

    # --- one instruction

    def _step(self, index: int, it: Instruction) -> None:
        form = it.form
        if it.is_call:
            self._call(it)
        elif form.operation in (Operation.JUMP, Operation.RETURN):
            held = self._values.get(self._machine.result_register)
            if form.operation is Operation.RETURN and held is not None and held.source is Source.ADDRESS:
                self._store(it, Spot("result", 0, 0), held)
        elif form.operation is Operation.ADDRESS:
            self._set(form.written, self._address(index, it))
        elif "[" in form.outline:
            self._access(index, it)
        else:
            self._compute(index, it)

    def _set(self, places: tuple[str, ...], value: Value | None) -> None:
        for place in places:
            if value is None:
                self._values.pop(place, None)
            else:
                self._values[place] = value

    def _address(self, index: int, it: Instruction) -> Value | None:
        form = it.form
        if it.place is not None:
            return Value(Source.ADDRESS, self._code.targets[index] or 0, it.place.kind)
        held = self._values.get(form.base)
        if held is not None and held.spot is not None and held.last is None and "*" in form.outline:
            if 0 < held.spot.width < _WORD:
                self._add(it.address, held.spot, How.READ, is_float=False)
        if held is None or "*" in form.outline or "+" in form.outline or form.base in self._stack:
            return None
        return held.after("add", form.displacement or 0, it.address)

    def _call(self, it: Instruction) -> None:
        arguments = [self._values.get(register) for register in self._machine.argument_registers]
        _name, operands = _parts(it.outline)
        target = operands[0] if operands else ""
        if it.place is None:
            spot = self._spot(it) if "[" in target else None
            held = self._values.get(target)
            spot = spot or (held.spot if held is not None and held.last is None else None)
            if spot is not None:
                given = tuple(() if value is None else value.described for value in arguments)
                self._add(it.address, spot, How.CALL, what=given)
        first = arguments[0]
        if it.place is not None and it.place.kind == "import" and it.place.name.partition("@")[0] in _FREES:
            if first is not None and first.spot is not None and first.last is None:
                self._add(it.address, first.spot, How.FREE)
        self._hand(it, arguments)
        self._allocate(it, arguments)
        for register in [register for register in self._values if not register.startswith("[")]:
            if register not in self._machine.kept_registers:
                del self._values[register]
        name = it.place.name if it.place is not None and it.place.kind == "import" else ""
        self._values[self._machine.result_register] = Value(Source.RESULT, it.address, name)

    def _hand(self, it: Instruction, arguments: list[Value | None]) -> None:
        """Variables that a call is given, or their addresses."""
        name = it.place.name.partition("@")[0] if it.place is not None and it.place.kind == "import" else ""
        for value in arguments:
            if value is None or value.last is not None:
                continue
            if value.spot is not None and value.spot.kind in ("data", "tls"):
                self._add(it.address, value.spot, How.HAND, what=(name, False))
            elif value.source is Source.ADDRESS and value.name == "data":
                start = data_layout(self._image).span.start
                self._add(it.address, Spot("data", value.number - start, 0), How.HAND, what=(name, True))

    def _allocate(self, it: Instruction, arguments: list[Value | None]) -> None:
        """The sizes that an allocator of another library is given, as `constant` their product; 0 if not known."""
        name = it.place.name.partition("@")[0] if it.place is not None and it.place.kind == "import" else ""
        sizes = SIZE_ARGUMENTS.get(name, ()) if not name.startswith(_NO_ALLOCATORS) else ()
        if sizes:
            known = [value.constant for at in sizes if (value := arguments[at]) is not None]
            size = prod(it for it in known if it is not None) if None not in known and len(known) == len(sizes) else 0
            self._add(it.address, Spot("allocator", 0, 0), How.HAND, size, what=(name,))

    def _access(self, index: int, it: Instruction) -> None:
        form = it.form
        name, operands = _parts(form.outline)
        if it.place is None and form.base in self._stack:
            self._own_word(form, name, operands)
            return
        spot = self._spot(it)
        if name.startswith(("stp", "ldp")):
            self._pair(it, name, operands, spot)
            return
        registers = [operand for operand in operands if "[" not in operand]
        if spot is None:
            held = self._values.get(registers[0]) if registers else None
            if held is not None and held.spot is not None and held.last is None and _FLOAT.match(name):
                self._add(it.address, held.spot, How.READ, is_float=True)
            self._set(form.written, self._constant_at(index, form, it))
            return
        if form.is_store and (form.operation is Operation.MOVE or name.startswith(("mov", "vmov", "st", "set"))):
            held = None
            if form.immediate is not None and form.operation is Operation.MOVE and not form.source:
                held = Value(Source.CONSTANT, form.immediate)
            elif registers:
                held = self._held(registers[0])
            self._store(it, spot, held)
            return
        changes = form.is_store
        if name in _COMPARES or name in _MASKS or name in _SHIFTS or name in ADDS or name in FACTORS:
            constant = form.immediate if form.immediate is not None else self._constant_of(registers)
            constant = 1 if name in ("inc", "dec") else constant
            self._operate(index, it.address, spot, name, constant, changes)
            result = Value(Source.MEMORY, 0, "", spot)
            if constant is not None:
                result = result.after(name, constant, it.address)
            self._set(form.written, result if not form.is_store else None)
            return
        if name in ("div", "idiv"):
            self._add(it.address, spot, How.DIVIDE, is_float=False)
            self._divide(it.address, None)
            return
        is_float = True if _FLOAT.match(name) else (False if name.startswith("cvtsi2") else None)
        self._add(it.address, spot, How.READ, is_float=is_float, changes=changes)
        base = self._values.get(form.base)
        plain = form.operation is Operation.MOVE or name.startswith(("mov", "vmov", "ld"))
        if plain and form.written:
            advances = spot.kind == "element" and spot.width == self._machine.word and base is None
            self._set(form.written, Value(Source.MEMORY, 0, "", spot, advances=advances))
            if form.base in form.written[1:]:
                self._values.pop(form.base, None)
        else:
            self._set(form.written, None)

    def _own_word(self, form: Form, name: str, operands: tuple[str, ...]) -> None:
        word = _word(form)
        if form.is_store:
            held = None
            if form.operation is Operation.MOVE and form.immediate is not None and not form.source:
                held = Value(Source.CONSTANT, form.immediate)
            elif name.startswith(("mov", "st")) and operands:
                held = self._held(next((it for it in operands if "[" not in it), ""))
            elif name in ADDS:
                held = self._values.get(word)
            self._set((word,), held)
            return
        held = self._values.get(word)
        if held is not None and self._advances(word, self._index):
            held = Value(held.source, held.number, held.name, held.spot, held.last, held.at, True)
        if name.startswith(("mov", "ld")):
            self._set(form.written, held)
            return
        constant = form.immediate
        if held is not None and held.spot is not None and held.last is None and name in _WHOLE_NUMBERS:
            self._operate(self._index, self._code.addresses[self._index], held.spot, name, constant, False)
        if held is not None and constant is not None and name in _WHOLE_NUMBERS:
            held = held.after(name, constant, self._code.addresses[self._index])
            self._set(form.written, held)
        else:
            self._set(form.written, None)

    def _pair(self, it: Instruction, name: str, operands: tuple[str, ...], spot: Spot | None) -> None:
        """AArch64: two registers at once."""
        registers = [operand for operand in operands if "[" not in operand][:2]
        if spot is None or len(registers) < 2:
            self._set(it.form.written, None)
            return
        for at, register in enumerate(registers):
            part = Spot(spot.kind, spot.offset + at * spot.width, spot.width)
            if name.startswith("st"):
                self._store(it, part, self._held(register))
            else:
                self._add(it.address, part, How.READ)
                self._set((register,), Value(Source.MEMORY, 0, "", part))

    def _compute(self, index: int, it: Instruction) -> None:
        form = it.form
        name, operands = _parts(form.outline)
        if name in _ZEROS and len(operands) > 1 and len(set(operands[-2:])) == 1:
            self._set(form.written, Value(Source.CONSTANT, 0))
            return
        if form.operation is Operation.MOVE:
            held = Value(Source.CONSTANT, form.immediate) if form.immediate is not None else self._held(form.source)
            self._set(form.written, held)
            return
        if name.startswith(("movd", "movq", "movap", "movss", "movsd", "vmov")) and len(operands) == 2:
            self._set(form.written, self._held(operands[1]))
            return
        if name in ("cdqe", "sxtw", "uxtw", "uxtb", "uxth", "sxtb", "sxth"):
            if len(operands) > 1:
                self._set(form.written, self._held(operands[1]))
            return
        if name in ("div", "idiv") and operands:
            divisor = self._values.get(operands[0])
            if divisor is not None and divisor.spot is not None and divisor.last is None:
                self._add(it.address, divisor.spot, How.DIVIDE, is_float=False)
            self._divide(it.address, self._constant_of(operands))
            return
        if name.startswith("cmov"):
            self._set(form.written, _either(self._held(operands[0]), self._held(operands[1])))
            return
        source = operands[1] if len(operands) >= 3 else operands[0] if operands else ""
        held = self._values.get(source)
        constant = form.immediate
        if name in ("inc", "dec"):
            constant = 1
        if name in ("cbz", "cbnz") or (name == "test" and len(set(operands)) == 1):
            constant, name = 0, "cmp"
        elif constant is None and name in _WHOLE_NUMBERS and len(operands) > 1:
            constant = self._constant_of(operands[-1:])
        is_plain = held is not None and (
            held.last is None or (name in _COMPARES and held.last[0] in ADDS)  # a count that was just moved on
        )
        if held is not None and held.spot is not None and is_plain:
            if name in _WHOLE_NUMBERS or name in _FIELDS:
                number = None if constant is None else constant - _added(held)
                self._operate(index, it.address, held.spot, name, number, False)
            elif _FLOAT.match(name):
                self._add(it.address, held.spot, How.READ, is_float=True)
        elif len(operands) == 2 and (name in _WHOLE_NUMBERS or _FLOAT.match(name)):
            other = self._values.get(operands[1])
            if other is not None and other.spot is not None and other.last is None:
                self._add(it.address, other.spot, How.READ, is_float=name not in _WHOLE_NUMBERS)
        elif (
            held is not None and held.spot is not None and (name in _MASKS or name in _FIELDS) and constant is not None
        ):
            self._operate(index, it.address, held.spot, name, constant, False)  # behind a shift
        if not form.written:
            return
        if name == "add" and constant is not None and held is not None and held.source is Source.ADDRESS:
            self._set(form.written, replace(held, number=held.number + constant))
        elif constant is not None and name in _WHOLE_NUMBERS:
            before = held or Value(Source.RESULT, 0, "computed")
            self._set(form.written, before.after(name, constant, it.address))
        else:
            others = [self._values.get(operand) for operand in reversed(operands)]
            pointer = next((it for it in others if it is not None and it.spot is not None and _is_variable(it)), None)
            if name == "add" and pointer is not None:
                self._set(form.written, pointer.after(_INDEXED, 0, it.address))
                return
            last = next((one for one in others if one is not None and one.last is not None), None)
            made = None if last is None else Value(Source.RESULT, 0, "computed", None, last.last, last.at)
            self._set(form.written, made)

    def _divide(self, address: int, constant: int | None) -> None:
        """x86-64: a quotient in one register, the remainder in another."""
        made = Value(Source.RESULT, 0, "computed")
        for register, name in (("rax", "div"), ("rdx", "rem")):
            self._set((register,), None if constant is None else made.after(name, constant, address))

    # --- what is found

    def _held(self, register: str) -> Value | None:
        if register in ("xzr", "wzr"):
            return Value(Source.CONSTANT, 0)
        return self._values.get(register)

    def _constant_of(self, registers: list[str] | tuple[str, ...]) -> int | None:
        held = self._held(registers[-1]) if registers else None
        return None if held is None else held.constant

    def _constant_at(self, index: int, form: Form, it: Instruction) -> Value | None:
        """What a load from constant memory leaves, where the image has it."""
        target = self._code.targets[index]
        is_known = it.place is not None and it.place.kind == "constant" and target is not None
        if it.place is not None and it.place.kind == "import":
            return Value(Source.ADDRESS, 0, it.place.name)
        if not is_known or target is None or not 0 < form.width <= 16 or not form.written:
            return None
        if not self._image.are_filled(target, target + form.width):
            return None
        return Value(Source.CONSTANT, int.from_bytes(self._image.bytes_at(target, form.width), "little"))

    def _spot(self, it: Instruction) -> Spot | None:
        form = it.form
        if it.place is not None:
            return Spot(it.place.kind, it.place.offset, form.width) if it.place.kind in ("data", "tls") else None
        if not form.base or form.displacement is None or form.base in self._stack:
            return None
        memory = form.outline[form.outline.find("[") : form.outline.find("]")]
        held = self._pointer(form.base, memory)
        if held is not None and held.source is Source.ADDRESS:
            shift = held.last[1] if held.last is not None and held.last[0] == "add" else 0
            if held.name == "data":
                start = data_layout(self._image).span.start
                return Spot("data", held.number + shift + form.displacement - start, form.width)
            return Spot(held.name or "object", form.displacement + shift, form.width)
        if held is not None and held.spot is not None and held.spot.kind in ("data", "tls"):
            self._add(it.address, held.spot, How.FOLLOW)
        if held is not None and held.last is not None and held.last[0] == _INDEXED:
            return Spot("element", form.displacement, form.width)
        if "+" in memory or "*" in memory or "," in memory or self._advances(form.base, self._index):
            return Spot("element", form.displacement, form.width)
        if held is not None and (held.advances or held.source is Source.CONSTANT):
            return Spot("element", form.displacement, form.width)
        shift = held.last[1] if held is not None and held.last is not None and held.last[0] == "add" else 0
        return Spot("object", form.displacement + shift, form.width)

    def _pointer(self, base: str, memory: str) -> Value | None:
        """What the register holds that memory is addressed by: of two, the one that leads to something known."""
        known = [self._values.get(it) for it in (base, *_REGISTER.findall(memory)) if it]
        leading = (it for it in known if it is not None and (it.source is Source.ADDRESS or _is_variable(it)))
        return next(leading, known[0] if known else None)

    def _operate(self, index: int, address: int, spot: Spot, name: str, constant: int | None, changes: bool) -> None:
        how = (
            How.MASK if name in _MASKS or name in _FIELDS
            else How.SHIFT if name in _SHIFTS
            else How.ADD if name in ADDS
            else How.FACTOR if name in FACTORS
            else How.EQUAL if self._condition(index) == "e" else How.ORDER
        )  # fmt: skip
        if constant is None:
            self._add(address, spot, How.READ, is_float=False, changes=changes)
            return
        number = 1 << (constant & 63) if name in _BIT_NUMBERS else signed(constant, spot.width)
        what = (self._condition(index),) if how is How.ORDER else ()
        self._add(address, spot, how, number, what, is_float=False, changes=changes)

    def _condition(self, index: int) -> str:
        """The condition of what depends on a comparison, which and its opposite are one."""
        for form in self._code.forms[index : index + _AS_FAR]:
            found = _CONDITION.match(form.outline)
            if found:
                name = found[1] or found[2] or "e"
                return _OPPOSITES.get(name, name)
        return ""

    def _store(self, it: Instruction, spot: Spot, held: Value | None) -> None:
        base = self._values.get(it.form.base)
        is_fresh = base is not None and base.source is Source.RESULT and base.name != "computed"
        constant = None if held is None else held.constant
        if constant is not None:
            for part, number in _pieces(spot, constant):
                self._add(it.address, part, How.STORE, number, is_fresh=is_fresh, changes=True)
            return
        if held is not None and held.spot == spot and held.last is not None and held.last[0] in ADDS:
            self._add(it.address, spot, How.ADD, held.last[1], is_float=False, changes=True)
            return
        what: tuple[object, ...] = ()
        if held is not None:
            what = held.last if held.last is not None else (*held.described, held.name)
            if held.source is Source.ADDRESS and held.last is None:
                what = (*what, held.number)
        self._add(it.address, spot, How.STORE, what=what, is_fresh=is_fresh, changes=True)
        if held is not None and held.last is not None and held.last[0] in _MASKS | _SHIFTS:
            self._add(held.at, spot, How.MASK, signed(held.last[1], spot.width), changes=True)

    def _add(
        self,
        address: int,
        spot: Spot,
        how: How,
        constant: int | None = None,
        what: tuple[object, ...] = (),
        is_float: bool | None = None,
        is_fresh: bool = False,
        changes: bool = False,
    ) -> None:
        outline = self._code.forms[self._index].outline
        is_element = spot.kind == "element" or ("+" in outline and "[" in outline)
        self.found.append(Use(address, spot, how, constant, what, is_float, is_fresh, changes, is_element))


def _pieces(spot: Spot, constant: int) -> list[tuple[Spot, int]]:
    """A stored constant in pieces of four bytes: compilers store small members together."""
    if spot.width <= 4:
        return [(spot, signed(constant, spot.width))]
    return [(Spot(spot.kind, spot.offset + at, 4), signed(constant >> (8 * at), 4)) for at in range(0, spot.width, 4)]


def _either(one: Value | None, other: Value | None) -> Value | None:
    """What is known of a value that is one of two: of a constant and something else, that, for it tells more."""
    if one is None or other is None or one == other:
        return one or other
    if one.constant is not None and other.constant is not None:
        return None
    return other if one.constant is not None else one


def _joined(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    """What is known where two ways meet."""
    found = one | other
    for place, value in one.items():
        if found[place] is not value:
            either = _either(value, found[place])
            if either is None:
                del found[place]
            else:
                found[place] = either
    return found


def _added(it: Value) -> int:
    """What was added to a value since it was loaded."""
    if it.last is None or it.last[0] not in ADDS:
        return 0
    name, number = it.last
    return -number if name in ("sub", "dec", "subs") else number


def _is_variable(it: Value) -> bool:
    """Whether it was loaded from a variable, or is an element's address in what that leads to."""
    return it.spot is not None and it.spot.kind in ("data", "tls") and it.spot.width == _WORD


def _word(form: Form) -> str:
    return f"[{form.base} {form.displacement}]"


def _stepped(form: Form) -> str:
    """The register, or the word of the stack, that an instruction moves on by a few bytes; empty if it does none."""
    name, operands = _parts(form.outline)
    if form.operation is Operation.ADDRESS:
        is_own = form.written == (form.base,) and "+" not in form.outline and "*" not in form.outline
        return form.base if is_own and 0 < abs(form.displacement or 0) <= _SMALL_STEP else ""
    step = 1 if name in ("inc", "dec") else form.immediate
    if step is None or not 0 < abs(step) <= _SMALL_STEP:
        return ""
    if name in ADDS and operands:
        return _word(form) if "[" in operands[0] else operands[0]
    moves_on = name.startswith(("ld", "st")) and form.base in form.written  # AArch64
    return form.base if moves_on else ""


def _any_in(ordered: list[int], places: range) -> bool:
    """Whether some of the numbers lie in a range."""
    at = bisect_left(ordered, places.start)
    return at < len(ordered) and ordered[at] < places.stop
