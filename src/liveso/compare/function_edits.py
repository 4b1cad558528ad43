"""What kind of edit a function has: which calls, constants, comparisons and texts it has gained and lost.

They are counted, wherever in the function they are: where a compiler puts them, and into which registers, says nothing.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np

from liveso.code import Code
from liveso.compare.function_contents import Side
from liveso.compare.function_labels import Labels
from liveso.compare.matching import Matching
from liveso.elf import Image

_LARGEST = 60_000  # bytes of a function


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is there no more, and what is there now; each once."""

    gone: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gone or self.added)


@dataclass(frozen=True, slots=True)
class Kinds:
    """What an edit does: to the functions that are called, the constants that are computed with, what values are
    compared with (a comparison and its opposite are the same: `= 4`, `< 4`, `> 4`), and the texts that are referred
    to. All are empty where the code differs in something else."""

    calls: Exchange = field(default_factory=Exchange)
    constants: Exchange = field(default_factory=Exchange)
    comparisons: Exchange = field(default_factory=Exchange)
    texts: Exchange = field(default_factory=Exchange)

    @property
    def is_empty(self) -> bool:
        return not (self.calls or self.constants or self.comparisons or self.texts)


class EditReader:
    """Reads pairs of functions, which `matching` has paired; `labels` are those of both versions."""

    def __init__(self, old: Image, new: Image, matching: Matching, labels: tuple[Labels, Labels]) -> None:
        self._old = Side(old, matching.old, labels[0], {i: i for i in range(len(matching.old.shapes))}, matching)
        partners = {j: i for i, j in matching.pairs}
        self._new = Side(new, matching.new, labels[1], partners, matching)

    def refer_to_the_same(self, i: int, j: int) -> bool:
        """Whether two functions refer to the same functions, constants and texts in the same order, as far as that can
        be told without decoding an instruction."""
        return np.array_equal(self._old.meanings_of(i), self._new.meanings_of(j))

    def is_look_alike(self, i: int, j: int) -> bool:
        """Whether two functions without names are some of several of one shape, of which another one is the partner."""
        one, other = self._old.identity(i), self._new.identity(j)
        return bool(one and other) and (one in self._new.look_alikes or other in self._old.look_alikes)

    def read(self, i: int, j: int) -> Kinds | None:
        """What kind of edit it is; None where both do the same, but for the numbers of lines in the source that they
        hand on. A function that is too large is not read."""
        if max(self._old.size(i), self._new.size(j)) > _LARGEST:
            return Kinds()
        codes = self._old.code(i), self._new.code(j)
        lines = self._old.lines(codes[0]), self._new.lines(codes[1])
        is_same = _without(codes[0], lines[0]) == _without(codes[1], lines[1])
        if is_same and self.refer_to_the_same(i, j):
            return None
        old, new = self._old.content(codes[0], lines[0], i), self._new.content(codes[1], lines[1], j)
        kinds = Kinds(*(_exchange(one, other) for one, other in zip(old.counted, new.counted, strict=True)))
        return None if is_same and kinds.is_empty else kinds


def _without(code: Code, lines: frozenset[int]) -> list[tuple[object, ...]]:
    return [() if index in lines else it for index, it in enumerate(code.exact)]


_Counted = tuple[Counter[Hashable], dict[Hashable, str]]


def _exchange(one: _Counted, other: _Counted) -> Exchange:
    (old, old_names), (new, new_names) = one, other
    return Exchange(_words(old - new, old_names), _words(new - old, new_names))


def _words(found: Iterable[Hashable], names: dict[Hashable, str]) -> tuple[str, ...]:
    return tuple(sorted({names.get(it, str(it)) for it in found}))
