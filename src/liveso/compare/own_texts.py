"""Functions by the texts that only they refer to: the names that they give in messages of errors, for example.

Look-alikes that differ in a number, that of a line of the source, have the number of another one when lines were added
above: then the shape of one is that of another, and their texts say which is which.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.code.imports import slot_names, stub_names
from liveso.code.shapes import Shapes
from liveso.compare.texts import first_text
from liveso.elf import Image
from liveso.elf.tables import Table

_LEAST, _LONGEST = 6, 200  # bytes
_ROUNDS = 4  # of telling functions by those that were told before


@dataclass(frozen=True)
class OwnTexts:
    """The texts that one function each refers to, of one version whose functions are `shapes`."""

    image: Image
    shapes: Shapes

    @cached_property
    def of_functions(self) -> dict[int, frozenset[bytes]]:
        """The own texts of each function that has some, by its index."""
        found = defaultdict[int, set[bytes]](set)
        for text, index in self.owners.items():
            found[index].add(text)
        return {index: frozenset(texts) for index, texts in found.items()}

    @cached_property
    def owners(self) -> dict[bytes, int]:
        """The function that refers to a text, and no other does."""
        users = defaultdict[bytes, set[int]](set)
        texts: dict[int, bytes] = {}
        for index, target in self._references():
            if target not in texts:
                texts[target] = first_text(self.image.bytes_at(target, _LONGEST))
            if len(texts[target]) >= _LEAST:
                users[texts[target]].add(index)
        return {text: min(indexes) for text, indexes in users.items() if len(indexes) == 1}

    def _references(self) -> set[tuple[int, int]]:
        """The functions, by their indexes, with the places in constants that they refer to."""
        functions, fields = self.shapes.functions, self.shapes.fields
        index = np.searchsorted(functions["start"], fields["place"], side="right").astype("<i8") - 1
        inside = (index >= 0) & self._are_constant(fields["target"])
        inside[inside] = fields["place"][inside] < functions["end"][index[inside]]
        return set(zip(index[inside].tolist(), fields["target"][inside].tolist(), strict=True))

    def _are_constant(self, targets: Table) -> Table:
        found = np.zeros(len(targets), np.bool_)
        for it in self.image.sections:
            if it.is_allocated and it.has_bytes and not it.is_code and not it.is_writable:
                found |= (targets >= it.address) & (targets < it.end)
        return found


@dataclass(frozen=True)
class ToldByTexts:
    """What the own texts of two versions' functions say about which is which. `partners` are functions that are matched
    already, by their indexes: what is told calls, and refers to, the same of these and of other libraries."""

    old: OwnTexts
    new: OwnTexts
    partners: Mapping[int, int]

    def partner(self, i: int) -> int | None:
        """The function of the new version that has the own texts of one of the old, none of a third one's, and differs
        from it in numbers at most."""
        found = {self.new.owners[it] for it in self.old.of_functions.get(i, ()) if it in self.new.owners}
        j = min(found) if len(found) == 1 else None
        if j is None or self.contradict(i, j) or not self._have_same_fields(i, j) or not self.refer_to_same(i, j):
            return None
        return j

    def contradict(self, i: int, j: int) -> bool:
        """Whether one of two functions has an own text that is another one's in the other version."""
        texts = self.old.of_functions.get(i, frozenset()), self.new.of_functions.get(j, frozenset())
        return any(self.new.owners.get(it, j) != j for it in texts[0]) or any(
            self.old.owners.get(it, i) != i for it in texts[1]
        )

    def refer_to_same(self, i: int, j: int) -> bool:
        """Whether two functions of one layout refer to the same functions in the same places, as far as these are
        known."""
        before, after = (
            [known.get(target) for target in side.shapes.fields_of(index)["target"].tolist()]
            for side, index, known in zip((self.old, self.new), (i, j), self._known, strict=True)
        )
        return before == after

    @cached_property
    def _known(self) -> tuple[dict[int, int | str], dict[int, int | str]]:
        """What addresses lead to, by what both versions know it by."""
        starts = [it.shapes.functions["start"].tolist() for it in (self.old, self.new)]
        found: list[dict[int, int | str]] = []
        for image in (self.old.image, self.new.image):
            slots = slot_names(image)
            found.append({**slots, **stub_names(image, slots)})
        for i, j in self.partners.items():
            found[0][starts[0][i]] = found[1][starts[1][j]] = i
        return found[0], found[1]

    def _have_same_fields(self, i: int, j: int) -> bool:
        """Whether both are as long, and refer to other places at the same distances from their starts."""
        old, new = self.old.shapes, self.new.shapes
        (start, end), (start_now, end_now) = old.functions[i].item(), new.functions[j].item()
        places, places_now = old.fields_of(i)["place"], new.fields_of(j)["place"]
        return end - start == end_now - start_now and np.array_equal(
            places - np.uint64(start), places_now - np.uint64(start_now)
        )


@dataclass(frozen=True, slots=True)
class Retold:
    """What texts change about functions that were matched by their shapes: `pairs` are told by texts, and `doubtful`
    are the pairs of one shape that texts are against."""

    pairs: tuple[tuple[int, int], ...]
    doubtful: frozenset[tuple[int, int]]


def retold(old: OwnTexts, new: OwnTexts, named: Mapping[int, int], shaped: Mapping[int, int]) -> Retold:
    """Look at functions that were matched by name and by shape. Where what two functions refer to is for their shape,
    and their texts are against it, nothing tells which of them is which: they may have exchanged what they say."""
    known = ToldByTexts(old, new, {})
    doubtful = frozenset((i, j) for i, j in shaped.items() if known.contradict(i, j))
    pairs: dict[int, int] = {}
    for _round in range(_ROUNDS):
        certain = {**named, **{i: j for i, j in shaped.items() if (i, j) not in doubtful}, **pairs}
        told, taken = ToldByTexts(old, new, certain), set(certain.values())
        open_to_both = [(i, j) for i, j in doubtful if told.refer_to_same(i, j)]
        undecided = {i for i, _j in open_to_both}, {j for _i, j in open_to_both}
        found = {i: told.partner(i) for i in old.of_functions if i not in certain and i not in undecided[0]}
        fresh = {i: j for i, j in found.items() if j is not None and j not in taken and j not in undecided[1]}
        if not fresh:
            break
        pairs |= fresh
    return Retold(tuple(pairs.items()), doubtful)
