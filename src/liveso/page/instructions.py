"""The instructions of a function in two versions, side by side."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from liveso.code.decode import decode
from liveso.code.functions import functions
from liveso.code.names import function_names
from liveso.elf import Image, printable

_MOST_INSTRUCTIONS = 4000
_NUMBER = re.compile(r"0x[0-9a-f]+")
_PLACES = re.compile(r": 0x(?P<old>[0-9a-f]+), now 0x(?P<new>[0-9a-f]+)$")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`text` as capstone writes it; `is_named` where the finding names just this one."""

    address: int
    text: str
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What stands beside each other; None where one version has nothing there."""

    old: Instruction | None
    new: Instruction | None
    is_same: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a finding names, by address in both versions, or by the name of a function in both."""

    name: str
    old: int | None = None
    new: int | None = None


def place(text: str) -> Place:
    """What one entry of a finding's `where` names."""
    found = _PLACES.search(text)
    if not found:
        return Place(text)
    return Place(text[: found.start()], int(found["old"], 16), int(found["new"], 16))


def in_both(old: Image, new: Image, places: Iterable[Place]) -> list[tuple[str, list[Row]]]:
    """The functions that hold these places, each once, with its instructions in both versions. What is not found in one
    of them is left out. Raises ImageError where the functions of one cannot be read."""
    finders = _finder(old), _finder(new)
    named: dict[tuple[range, range], tuple[str, set[int], set[int]]] = {}
    for it in places:
        spans = finders[0](it.name, it.old), finders[1](it.name, it.new)
        if spans[0] and spans[1]:
            _name, before, after = named.setdefault((spans[0], spans[1]), (it.name, set(), set()))
            before |= {it.old} if it.old is not None else set()
            after |= {it.new} if it.new is not None else set()
    return [
        (name, side_by_side(_instructions(old, spans[0], before), _instructions(new, spans[1], after)))
        for spans, (name, before, after) in named.items()
    ]


def _finder(image: Image) -> Callable[[str, int | None], range | None]:
    """What finds the function that holds an address, or begins where one of this name does."""
    known = functions(image)
    starts, ends = known["start"].tolist(), known["end"].tolist()
    names = function_names(image)

    def find(name: str, address: int | None) -> range | None:
        if address is None:
            address = names.get(name)
        if address is None:
            return None
        index = bisect_right(starts, address) - 1
        return range(starts[index], ends[index]) if index >= 0 and address < ends[index] else None

    return find


def _instructions(image: Image, span: range, named: set[int]) -> list[Instruction]:
    code = image.bytes_at(span.start, len(span))
    listing = decode(image.machine, code, span.start, most=_MOST_INSTRUCTIONS, skips_data=True)
    return [
        Instruction(address, printable(f"{mnemonic} {operands}".strip()), address in named)
        for address, _size, mnemonic, operands in listing
    ]


def side_by_side(old: Sequence[Instruction], new: Sequence[Instruction]) -> list[Row]:
    """Both in one column of rows, equal ones beside each other. Where a branch leads to is no difference, if
    both lead into the function, or both elsewhere."""
    keys = _comparable(old), _comparable(new)
    rows: list[Row] = []
    for what, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        left: list[Instruction | None] = list(old[a:b])
        right: list[Instruction | None] = list(new[c:d])
        size = max(len(left), len(right))
        left += [None] * (size - len(left))
        right += [None] * (size - len(right))
        rows += [Row(one, other, what == "equal") for one, other in zip(left, right, strict=True)]
    return rows


def _comparable(code: Sequence[Instruction]) -> list[str]:
    """The texts, in which addresses of the function itself are what stands there, and distances to elsewhere are
    left out: these change when the code only lies elsewhere."""
    places = {it.address for it in code}
    texts = []
    for it in code:
        mnemonic, _space, operands = it.text.partition(" ")
        if _NUMBER.fullmatch(operands.lstrip("#")):
            target = int(operands.lstrip("#"), 16)
            operands = "here" if target in places else "elsewhere" if _leads(mnemonic) else operands
        elif "rip" in operands:
            operands = re.sub(r"rip [+-] 0x[0-9a-f]+", "rip", operands)
        texts.append(f"{mnemonic} {operands}")
    return texts


def _leads(mnemonic: str) -> bool:
    """Whether an instruction whose only operand is a number goes there."""
    return mnemonic.startswith(("j", "call", "b", "loop", "xbegin"))
