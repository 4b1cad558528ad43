"""Which constants, tables and functions of a version are those of the one before it, and keep their address."""

from dataclasses import dataclass
from functools import cached_property

from liveso.compare.both_codes import BothCodes
from liveso.compare.constant_pairs import (
    CompanionConstants,
    certain_partners,
    match_constants,
    named_constants,
    partners_of_compared,
)
from liveso.compare.correspondence import Piece, SameFunction
from liveso.compare.function_pairs import certain_pairs, formed_together, same_functions
from liveso.compare.located_variables import LocatedVariables
from liveso.compare.named_rows import functions_of_named_rows
from liveso.compare.same_constants import same_constants
from liveso.compare.tables import match_tables
from liveso.errors import ImageError


@dataclass(frozen=True)
class SameObjects:
    """Finds them by names, contents and the code of both versions, each kind when it is asked for, and once."""

    code: BothCodes
    variables: LocatedVariables

    @property
    def all_constants(self) -> tuple[Piece, ...]:
        """Constants and tables of all kinds, in the order of addresses. Raises ImageError as `tables` does."""
        found = *self.tables, *self.constants, *self.compared_constants.pieces
        return tuple(sorted(found, key=lambda it: it.start))

    @cached_property
    def tables(self) -> tuple[Piece, ...]:
        """Which constant tables are the same. Raises ImageError where code cannot be read."""
        code = self.code
        certain = certain_pairs(code.old, code.new, code.matching, self._in_rows, self._formed_together)
        constants = code.old_references.to_constants, code.references.to_constants
        compared = certain_partners(code.new, self._partners_of_compared)
        return match_tables(code.old, code.new, code.matching, constants, certain, compared)

    @cached_property
    def constants(self) -> tuple[Piece, ...]:
        """Which constants have the same content, as far as code can be read."""
        code = self.code
        try:
            return same_constants(code.old, code.new, code.matching, tuple(named_constants(code.old, code.new)))
        except ImageError:
            return ()  # the rule code-comparison says it

    @cached_property
    def compared_constants(self) -> CompanionConstants:
        """Which constants that code knows by their address are the same, as far as code can be read."""
        code = self.code
        try:
            known = *self.tables, *self.constants
            return match_constants(code.old, code.new, code.matching, self._partners_of_compared, known)
        except ImageError:
            return CompanionConstants((), ())  # the rule code-comparison says it

    @cached_property
    def functions(self) -> tuple[SameFunction, ...]:
        """Which functions that a process may remember are the same, as far as code can be read."""
        code = self.code
        try:
            known = code.old_references, self._in_rows, self._formed_together, self.tables, self.variables.shared
            return same_functions(code.old, code.new, code.matching, *known)
        except ImageError:
            return ()  # the rule code-comparison says it

    @cached_property
    def _partners_of_compared(self) -> dict[int, set[int]]:
        return partners_of_compared(self.code.old, self.code.new, self.code.matching)

    @cached_property
    def _in_rows(self) -> list[tuple[int, int]]:
        code = self.code
        return list(functions_of_named_rows(code.old, code.new, (code.old_references, code.references)))

    @cached_property
    def _formed_together(self) -> list[tuple[int, int]]:
        return formed_together(self.code.matching, (self.code.old_references, self.code.references))
