"""Two versions of a library with what is known of their variables: what matching them starts from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.code import Reader
from liveso.code.call_graph import Edges, call_edges
from liveso.compare.known_data import Side
from liveso.compare.matching import Matching
from liveso.elf.tables import Table

_Referrers = tuple[dict[int, set[int]], dict[int, set[int]]]


@dataclass(frozen=True)
class DataSides:
    """The variables of the `old` and the `new` version, and which function is which."""

    old: Side
    new: Side
    matching: Matching

    @property
    def where(self) -> str:
        """The memory that holds the variables, in words."""
        return self.new.where

    @cached_property
    def readers(self) -> tuple[Reader, Reader]:
        return Reader(self.old.image), Reader(self.new.image)

    @cached_property
    def referrers(self) -> _Referrers:
        """By each place of the old data, and of the new, the functions that refer to it, as indexes into the new
        version's; one that has no counterpart there is -1."""
        return self._by_place(forms_address=False)

    @cached_property
    def formers(self) -> _Referrers:
        """By each place of the old data, and of the new, the functions that form its address, as `referrers` has
        them."""
        return self._by_place(forms_address=True)

    def _by_place(self, forms_address: bool) -> _Referrers:
        partners = dict(self.matching.pairs)
        found: _Referrers = ({}, {})
        for places, side, functions in zip(
            found, (self.old, self.new), (self.matching.old.functions, self.matching.new.functions), strict=True
        ):
            rows = side.rows[side.rows["forms_address"]] if forms_address else side.rows
            indexes = np.searchsorted(functions["start"], rows["place"], side="right") - 1
            for index, target in zip(indexes.tolist(), rows["target"].tolist(), strict=True):
                function = partners.get(index, -1) if side is self.old else index
                places.setdefault(target - side.span.start, set()).add(function)
        return found

    @cached_property
    def edges(self) -> Edges:
        return call_edges(self.new.image, self.matching.new)

    @cached_property
    def unchanged(self) -> frozenset[int]:
        """The functions of the new version that are the same but for addresses."""
        old, new = self.matching.old.shapes, self.matching.new.shapes
        return frozenset(j for i, j in self.matching.pairs if old[i] == new[j])

    @cached_property
    def partner_of(self) -> dict[int, int]:
        return {j: i for i, j in self.matching.pairs}

    def index_at(self, place: int) -> int:
        """The new version's function that holds an address, by its index; -1 before the first."""
        return int(np.searchsorted(self.matching.new.functions["start"], place, side="right")) - 1

    def function_at(self, place: int) -> Table:
        """Its start and end; nothing where none begins before."""
        known, index = self.matching.new.functions, self.index_at(place)
        found: Table = known[index] if index >= 0 else np.zeros((), known.dtype)
        return found
