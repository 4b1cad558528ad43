"""What the code of two versions refers to, and which function is which."""

from dataclasses import dataclass
from functools import cached_property

from liveso.code import References, data_references
from liveso.compare.matching import Matching, match_functions
from liveso.elf import Image


@dataclass(frozen=True)
class BothCodes:
    """Each part is read when it is asked for, and once. `known` are the new version's references if they are known
    already."""

    old: Image
    new: Image
    known: References | None = None

    @cached_property
    def references(self) -> References:
        """What the new version's code refers to. Raises ImageError where its functions cannot be told apart."""
        return data_references(self.new) if self.known is None else self.known

    @cached_property
    def old_references(self) -> References:
        """What the old version's code refers to. Raises ImageError as `references` does."""
        return data_references(self.old)

    @cached_property
    def matching(self) -> Matching:
        """Which function is which. Raises ImageError where their unwind tables cannot be read."""
        return match_functions(self.old, self.new)
