"""What functions of two versions call: two that are the same but for addresses may call others, or the same in another
order, and then what they hand on is not the same either."""

from functools import cached_property

import numpy as np

from liveso.code import CALLS, Code
from liveso.code.imports import slot_names, stub_names
from liveso.compare.matching import Matching
from liveso.elf import Image
from liveso.elf.tables import Table


class Callees:
    """Numbers for what the code of both `images` refers to and may call, the same for one function in both: of another
    library by its name, of their own as `matching` pairs them. What is neither, and one that only one version has, is
    0."""

    def __init__(self, images: tuple[Image, Image], matching: Matching) -> None:
        self._images, self._matching = images, matching

    def are_same(self, i: int, j: int) -> bool:
        """Whether the functions with these indexes, of one shape, call the same one after another."""
        (old, new), matching = self._of_fields, self._matching
        one, other = old[slice(*matching.old.bounds[i])], new[slice(*matching.new.bounds[j])]
        return np.array_equal(one[one != 0], other[other != 0])

    def differ(self, codes: tuple[Code, Code], a: int, b: int) -> bool:
        """Whether the instructions with these indexes are calls of two functions."""
        if not all(code.forms[it].operation in CALLS for code, it in zip(codes, (a, b), strict=True)):
            return False
        targets = [code.targets[it] for code, it in zip(codes, (a, b), strict=True)]
        one, other = (0 if it is None else known.get(it, 0) for it, known in zip(targets, self._numbers, strict=True))
        return one != other

    @cached_property
    def _numbers(self) -> tuple[dict[int, int], dict[int, int]]:
        """By address."""
        names: dict[str, int] = {}
        found = tuple(_import_numbers(it, names) for it in self._images)
        starts = [it.functions["start"].tolist() for it in (self._matching.old, self._matching.new)]
        for i, j in self._matching.pairs:
            found[0][starts[0][i]] = found[1][starts[1][j]] = -1 - i
        return found[0], found[1]

    @cached_property
    def _of_fields(self) -> tuple[Table, Table]:
        both = self._matching.old, self._matching.new
        old, new = (_looked_up(it.fields["target"], known) for it, known in zip(both, self._numbers, strict=True))
        return old, new


def import_numbers(image: Image, targets: Table, numbers: dict[str, int]) -> Table:
    """A number for the name of the function of another library that each of `targets` leads to, the one in `numbers`,
    which takes up new ones; 0 for other places."""
    return _looked_up(targets, _import_numbers(image, numbers))


def _import_numbers(image: Image, numbers: dict[str, int]) -> dict[int, int]:
    """By the address of each slot and stub."""
    slots = slot_names(image)
    names = slots | stub_names(image, slots)
    return {at: numbers.setdefault(name, len(numbers) + 1) for at, name in names.items()}


def _looked_up(targets: Table, known: dict[int, int]) -> Table:
    """What is known of each address; 0 where nothing is."""
    addresses = np.array(sorted(known), "<i8")
    found = np.zeros(len(targets), "<i8")
    if len(addresses):
        values = np.array([known[it] for it in addresses.tolist()], "<i8")
        at = np.minimum(np.searchsorted(addresses, targets), len(addresses) - 1)
        is_known = addresses[at] == targets
        found[is_known] = values[at[is_known]]
    return found
