"""Constants that gave way to a variable, or a variable to a constant: what was computed with the one, and is kept, is
not found again with the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code import Code, Reader
from liveso.compare.matching import Matching
from liveso.elf.tables import Table

_LEAST_TELLING = 1 << 16  # smaller numbers are sizes, lines, flags
_IN_COMMON = 2  # telling constants, by which a function that changed altogether is known again


@dataclass(frozen=True, slots=True)
class ReplacedConstant:
    """The function at `with_constant` of one version uses `constant`, its counterpart at `with_variable` of the other
    does not, and refers to a variable that only this version has."""

    with_constant: int
    with_variable: int
    constant: int


class ConstantReader:
    """Reads what constants the functions of both versions use, each once."""

    def __init__(self, readers: tuple[Reader, Reader], matching: Matching) -> None:
        self._readers = readers
        self._functions = matching.old.functions, matching.new.functions
        self._partners = dict(matching.pairs), {j: i for i, j in matching.pairs}
        self._constants: tuple[dict[int, set[int]], dict[int, set[int]]] = {}, {}

    def replaced(self, side: int, places: Iterable[int]) -> Iterator[ReplacedConstant]:
        """The constants of the other version that the functions of one, 0 for the old and 1 for the new, have not,
        where they refer to variables that only this one has: at the addresses `places`."""
        for index in _indexes(self._functions[side], places):
            constants = self._of(side, index)
            for other in self._counterparts(side, index):
                for constant in sorted(self._of(1 - side, other) - constants):
                    yield ReplacedConstant(
                        int(self._functions[1 - side]["start"][other]),
                        int(self._functions[side]["start"][index]),
                        constant,
                    )

    def _counterparts(self, side: int, index: int) -> list[int]:
        """The functions of the other version that may be this one's: its partner, or any without one that have some
        telling constants in common with it."""
        if index in self._partners[side]:
            return [self._partners[side][index]]
        constants, other = self._of(side, index), 1 - side
        free = (it for it in range(len(self._functions[other])) if it not in self._partners[other])
        return [it for it in free if len(constants & self._of(other, it)) >= _IN_COMMON]

    def _of(self, side: int, index: int) -> set[int]:
        known = self._constants[side]
        if index not in known:
            known[index] = _telling(self._readers[side].read(*self._functions[side][index].item()))
        return known[index]


def _indexes(functions: Table, places: Iterable[int]) -> list[int]:
    """The functions that hold the addresses `places`, by their indexes."""
    found = np.searchsorted(functions["start"], np.array(sorted(places), "<u8"), side="right") - 1
    return sorted({it for it in found.tolist() if it >= 0})


def _telling(code: Code) -> set[int]:
    return {it.immediate for it in code.forms if it.immediate is not None and abs(it.immediate) >= _LEAST_TELLING}
