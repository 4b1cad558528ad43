"""Two versions of a library, side by side: what each comparison of their code starts from."""

from dataclasses import replace
from functools import cached_property

from liveso.code import Allocators, Place, Reader, function_names
from liveso.compare.correspondence import Correspondence
from liveso.compare.matching import Matching
from liveso.compare.witness import KINDS, Kind, Witness
from liveso.elf import Image

_LONGEST_INSTRUCTION = 15  # bytes, of any machine


def _names(image: Image) -> dict[int, str]:
    return {address: name.partition("@")[0] for name, address in function_names(image).items()}


class TwoVersions:
    """Their images, functions and readers, the old version first. `correspondences` are by the kind of Place."""

    def __init__(self, old: Image, new: Image, matching: Matching, correspondences: dict[str, Correspondence]) -> None:
        self.images, self.matching, self.correspondences = (old, new), matching, correspondences
        self.both = matching.old, matching.new
        self.readers = Reader(old), Reader(new)
        self.names = _names(old)

    @cached_property
    def allocators(self) -> tuple[Allocators, Allocators]:
        """What finds out which of their functions take the size of an object."""
        old, new = zip(self.images, self.readers, strict=True)
        return Allocators(*old), Allocators(*new)

    @cached_property
    def new_names(self) -> dict[int, str]:
        """What the new version's functions are called, as `names` has the old one's: by their addresses."""
        return _names(self.images[1])

    @cached_property
    def old_functions(self) -> dict[int, int]:
        """The matched functions of the old version, by the new one's addresses."""
        old, new = (it.functions["start"].tolist() for it in self.both)
        return {new[j]: old[i] for i, j in self.matching.pairs}

    def name(self, i: int) -> str:
        """What a function of the old version is called for people, by its index."""
        start = int(self.matching.old.functions["start"][i])
        return self.names.get(start, f"the function at {start:#x}")

    def before(self, it: Place) -> Place | None:
        """Where a variable of the new version was in the old one; None where it is a new variable."""
        correspondence = self.correspondences.get(it.kind)
        if correspondence is None:
            return it
        offset = correspondence.old(it.offset)
        return None if offset is None else replace(it, offset=offset)

    def is_same_variable(self, old: Place, new: Place, there: int) -> bool:
        """Whether two places are the same to an instruction that refers to the new one at `there` or just behind."""
        correspondence = self.correspondences.get(new.kind)
        if old.kind == new.kind and correspondence is not None and correspondence.elsewhere:
            near = range(there, there + _LONGEST_INSTRUCTION)
            if any(correspondence.elsewhere.get(it) == old.offset for it in near):
                return True
        return self.before(new) == old

    def variable(self, old: Place, new: Place, i: int, at: int, there: int) -> Witness:
        """That the function with the index `i` refers to another variable."""
        is_new = old.kind == "data" and self.before(new) is None
        kind = Kind.NEW_VARIABLE if is_new else KINDS[old.kind]
        return Witness(kind, old.offset, new.offset, self.name(i), at, there)
