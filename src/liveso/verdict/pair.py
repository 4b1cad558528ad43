"""A pair of versions, as rules see it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from liveso.compare.both_codes import BothCodes
from liveso.compare.changed_uses import ChangedUses
from liveso.compare.lifetimes import Lifetimes
from liveso.compare.located_variables import LocatedVariables
from liveso.compare.rest_of_code import changes_only_stacks
from liveso.compare.same_objects import SameConstants, SameObjects
from liveso.debug.compared_types import ComparedTypes
from liveso.debug.debug_files import DebugSource
from liveso.elf import Image


@dataclass(frozen=True)
class Pair:
    """The `code` of the version that runs and of the one that may replace it, where to look for debug information, and
    what finds the constants that are the same. What is asked of them is worked out once."""

    code: BothCodes
    debug_source: DebugSource
    find_constants: Callable[[], SameConstants]

    @property
    def old(self) -> Image:
        return self.code.old

    @property
    def new(self) -> Image:
        return self.code.new

    @cached_property
    def types(self) -> ComparedTypes:
        return ComparedTypes((self.old, self.new), self.debug_source)

    @cached_property
    def variables(self) -> LocatedVariables:
        return LocatedVariables(self.code, self.types)

    @cached_property
    def same(self) -> SameObjects:
        return SameObjects(self.code, self.variables, self.find_constants)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """How long objects of the old version live. Raises ImageError where its functions cannot be read."""
        return Lifetimes(self.old, self.code.matching.old)

    @cached_property
    def changes_only_stacks(self) -> bool:
        """Whether what changed in the code is about objects on stacks only. Raises ImageError as `lifetimes` does."""
        after = Lifetimes(self.new, self.code.matching.new)
        return changes_only_stacks((self.old, self.new), self.code.matching, (self.lifetimes, after))

    @cached_property
    def changed_uses(self) -> ChangedUses:
        """What their code does with members and variables. Raises ImageError where it cannot be read."""
        variables = {"data": self.variables.shared, "tls": self.variables.each_thread}
        return ChangedUses(self.old, self.new, self.code.matching, variables)
