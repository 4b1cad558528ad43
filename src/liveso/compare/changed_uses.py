"""What the code of two versions does with members of objects and with variables, where it differs."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from liveso.code import Code, Reader, function_names
from liveso.code.use import How, Use
from liveso.code.uses import uses
from liveso.compare.callees import import_numbers
from liveso.compare.correspondence import Correspondence
from liveso.compare.matching import Matching
from liveso.elf import Image
from liveso.elf.tables import Table

_MOST_CHANGED = 1500  # functions: beyond, it is another release, and says nothing about one value
_LARGEST_CONSTANT = 16  # bytes
_LARGEST = 60_000  # bytes of a function
_OBJECT = "object"
KINDS = (_OBJECT, "data", "tls")
"""The kinds of places that live on: members behind pointers, and variables."""
ENOUGH = 2  # functions that must agree
_Feature = TypeVar("_Feature", bound=Hashable)
"""Something that functions do."""


@dataclass(frozen=True, slots=True)
class ChangedFunction:
    """A function that differs in more than addresses, with what it does in both versions. Variables are counted as they
    lie in the old version. `index` is its place among the old version's functions."""

    name: str
    index: int
    codes: tuple[Code, Code]
    old: tuple[Use, ...]
    new: tuple[Use, ...]


class ChangedUses:
    """Compares the functions of two versions as `matching` pairs them; `correspondences` say where variables were, by
    the kind of Spot. Everything is read when it is asked for, once."""

    def __init__(
        self, old: Image, new: Image, matching: Matching, correspondences: dict[str, Correspondence | None]
    ) -> None:
        self._images, self._matching, self._correspondences = (old, new), matching, correspondences
        self._readers = Reader(old), Reader(new)
        self._names = {address: name.partition("@")[0] for name, address in function_names(old).items()}

    @cached_property
    def functions(self) -> list[ChangedFunction]:
        """The functions that changed, in the order of the old version; none where nearly all did."""
        old, new = self._matching.old, self._matching.new
        changed = [
            (i, j)
            for i, j in self._matching.comparable
            if old.shapes[i] != new.shapes[j] or self._loads_another_constant(i, j) or self._calls_another(i, j)
        ]
        if len(changed) > _MOST_CHANGED:
            return []
        return [it for i, j in changed if (it := self._changed(i, j)) is not None]

    def _changed(self, i: int, j: int) -> ChangedFunction | None:
        places = self._matching.old.functions[i].item(), self._matching.new.functions[j].item()
        if max(end - start for start, end in places) > _LARGEST:
            return None
        codes = [reader.read(*place) for reader, place in zip(self._readers, places, strict=True)]
        is_same = codes[0].exact == codes[1].exact
        if is_same and not self._loads_another_constant(i, j):  # calls have their names in what they do
            return None
        old, new = (tuple(uses(image, code)) for image, code in zip(self._images, codes, strict=True))
        name = self._names.get(places[0][0], f"the function at {places[0][0]:#x}")
        return ChangedFunction(name, i, (codes[0], codes[1]), old, tuple(self._as_before(it) for it in new))

    def _loads_another_constant(self, i: int, j: int) -> bool:
        """Whether two functions of one shape refer to constants that differ."""
        old, new = self._contents
        one, other = self._matching.old.bounds[i], self._matching.new.bounds[j]
        return one[1] - one[0] == other[1] - other[0] and not np.array_equal(old[slice(*one)], new[slice(*other)])

    def _calls_another(self, i: int, j: int) -> bool:
        """Whether two functions of one shape call other functions of other libraries, or one calls one of its own."""
        old, new = self._callees
        one, other = self._matching.old.bounds[i], self._matching.new.bounds[j]
        return one[1] - one[0] == other[1] - other[0] and not np.array_equal(old[slice(*one)], new[slice(*other)])

    @cached_property
    def _callees(self) -> tuple[Table, Table]:
        """A number for the name of the function of another library at each place that the code of the versions refers
        to; 0 for other places."""
        numbers: dict[str, int] = {}
        old, new = (
            import_numbers(image, it.fields["target"], numbers)
            for image, it in zip(self._images, (self._matching.old, self._matching.new), strict=True)
        )
        return old, new

    @cached_property
    def _contents(self) -> tuple[Table, Table]:
        """The bytes at each place in the constants that the code of the versions refers to, up to a quadword; zeros for
        other places."""
        old, new = (
            _contents(image, it.fields["target"])
            for image, it in zip(self._images, (self._matching.old, self._matching.new), strict=True)
        )
        return old, new

    def _as_before(self, it: Use) -> Use:
        correspondence = self._correspondences.get(it.spot.kind)
        if correspondence is None:
            return it
        before = correspondence.old(it.spot.offset)
        spot = replace(it.spot, kind=f"new {it.spot.kind}") if before is None else replace(it.spot, offset=before)
        return replace(it, spot=spot)

    def unchanged(self) -> Iterator[tuple[Use, ...]]:
        """What each of the other functions of the old version does. They are many: ask for few."""
        changed = {it.index for it in self.functions}
        image, reader, functions = self._images[0], self._readers[0], self._matching.old.functions
        for i in range(len(functions)):
            start, end = functions[i].item()
            if i not in changed and end - start <= _LARGEST:
                yield tuple(uses(image, reader.read(start, end)))

    def staying(
        self, wanted: Mapping[_Feature, int], features: Callable[[tuple[Use, ...]], Iterable[_Feature]]
    ) -> set[_Feature]:
        """Those of the features that are `wanted` which as many of the other functions have as wanted says: all of them
        are read once at most."""
        left, found = dict(wanted), set[_Feature]()
        for each in self.unchanged() if left else ():
            for it in left.keys() & set(features(each)):
                left[it] -= 1
                if left[it] <= 0:
                    found.add(it)
                    del left[it]
            if not left:
                break
        return found


def _contents(image: Image, targets: Table) -> Table:
    found = np.zeros((len(targets), _LARGEST_CONSTANT), np.uint8)
    for section in image.sections:
        if not section.name.startswith(".rodata") or not section.has_bytes:
            continue
        content = np.frombuffer(image.section_bytes(section) + bytes(_LARGEST_CONSTANT), np.uint8)
        inside = np.flatnonzero((targets >= section.address) & (targets < section.end))
        found[inside] = content[(targets[inside] - section.address)[:, None] + np.arange(_LARGEST_CONSTANT)]
    return found


def offsets_of(found: tuple[Use, ...], kind: str = _OBJECT) -> set[int]:
    return {it.spot.offset for it in found if it.spot.kind == kind}


def at(found: tuple[Use, ...], kind: str, offset: int) -> Counter[tuple[object, ...]]:
    """What is done with one place, as it can be compared between versions."""
    return Counter(
        (it.how, it.constant, it.changes, it.is_float, it.what if it.how in (How.ORDER, How.ADD) else ())
        for it in found
        if (it.spot.kind, it.spot.offset) == (kind, offset) and it.how not in (How.EXTEND, How.LOCK)
    )


def where(kind: str, offset: int) -> str:
    """A place in words; `offset` is in bytes."""
    if kind == "element":
        return f"{offset:+#x} of an element of an array"
    return f"{offset:+#x} of an object" if kind == "object" else f"the variable at +{offset:#x} of the writable data"


def listed(names: list[str], shown: int = 3) -> str:
    """Names of functions in words, no more than `shown` of many."""
    if len(names) > shown:
        return f"{', '.join(names[:shown])} and {len(names) - shown} more functions"
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def verb(names: list[str], word: str) -> str:
    """A verb for one function, or for several."""
    return word if len(names) > 1 else f"{word}s"
