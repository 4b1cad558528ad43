"""The mark by which the run-time of Rust knows its own panics: a constant whose address each panic carries.

A panic with another mark is taken for that of another run-time, and ends the program (`CANARY` in Rust's sources,
library/panic_unwind/src/gcc.rs). Each version of a library has a run-time of its own: they are to share the first mark.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from liveso.code.decode import decode
from liveso.code.functions import functions
from liveso.code.mask import displacements
from liveso.code.references import REFERENCE
from liveso.elf import Image
from liveso.elf.tables import Table, have_equal_fields
from liveso.errors import ImageError

_CLASS = b"MOZ\0RUST"  # of the exceptions that are panics, as the operand of an instruction
_HIGHEST_HALVES = frozenset({int.from_bytes(_CLASS[4:], "little"), int.from_bytes(_CLASS[:4], "big")})
_MARK_IN_EXCEPTION = "+ 0x20]"  # behind the exception's header (Itanium C++ ABI, "Exception Objects")
_FORMS = re.compile(r"(\w+), \[rip ([+-]) (0x[0-9a-f]+|\d+)\]")


@dataclass(frozen=True, slots=True, eq=False)
class PanicMark:
    """The mark's address in an image, and the instructions that form it where panics are made or caught.

    `is_clear`: both kinds of code were found, and no such code without a reference. Other code may refer to the same
    address, because compilers let equal constants have one place.
    """

    address: int
    references: Table
    is_clear: bool

    def __eq__(self, other: object) -> bool:
        return have_equal_fields(self, other)


def panic_mark(image: Image) -> PanicMark | None:
    """The mark of `image`, if it has one. Raises ImageError as `functions` does."""
    sections = [it for it in image.sections if it.is_code and it.has_bytes]
    places = [
        it.address + match.start()
        for it in sections
        for match in re.finditer(re.escape(_CLASS), image.section_bytes(it))
    ]
    leaves_highest = image.machine.leaves_highest
    if leaves_highest and any(leaves_highest(image.section_bytes(it), _HIGHEST_HALVES) for it in sections):
        raise ImageError("its panics (Rust) cannot be told from those of the version before on this machine")
    if not places:
        return None
    known = functions(image)
    starts: list[int] = known["start"].tolist()
    around = {bisect_right(starts, place) - 1 for place in places} - {-1}
    ranges = [range(*known[index].item()) for index in around]
    found = {kind: {it for code in ranges for it in _marks(image, code, kind)} for kind in ("mov", "cmp")}
    marks = found["mov"] | found["cmp"]
    if not marks:
        return None  # older run-times have none
    mark = min(marks)
    by_function = [_references(image.bytes_at(code.start, len(code)), code.start, mark) for code in ranges]
    is_clear = found["mov"] == found["cmp"] == {mark} and all(by_function)
    rows = [row for references in by_function for row in references]
    return PanicMark(mark, np.array(rows, REFERENCE), is_clear)


def _marks(image: Image, code: range, kind: str) -> set[int]:
    """The addresses that a function puts into exceptions (mov), or compares with what is there (cmp)."""
    found: set[int] = set()
    formed: dict[str, int] = {}
    for address, size, mnemonic, operands in decode(image.machine, image.bytes_at(code.start, len(code)), code.start):
        match = _FORMS.fullmatch(operands)
        if mnemonic == "lea" and match:
            target = address + size + int(match[3], 0) * (-1 if match[2] == "-" else 1)
            formed.pop(match[1], None)
            if 0 <= target < image.size_in_memory:
                formed[match[1]] = target
            continue
        first, _comma, second = operands.partition(", ")
        if mnemonic == kind and _MARK_IN_EXCEPTION in operands:
            found.update(formed[it] for it in (first, second) if it in formed and (kind == "cmp" or it == second))
        if mnemonic not in ("cmp", "test", "push"):
            formed.pop(first, None)
    return found


def _references(code: bytes, start: int, mark: int) -> list[tuple[int, int, int, bool]]:
    """Each instruction of `code` that forms the address `mark`: lea with a displacement (AMD64 Manual 3, 1.4)."""
    numbers = displacements(code)
    ends = np.arange(start + 4, start + 4 + len(numbers), dtype="<i8")
    content = np.frombuffer(code, np.uint8)
    return [
        (start + place, mark, int(numbers[place]), True)
        for place in np.flatnonzero(ends + numbers == mark).tolist()
        if place >= 3
        and content[place - 3] & 0xF8 == 0x48
        and content[place - 2] == 0x8D
        and content[place - 1] & 0xC7 == 5
    ]
