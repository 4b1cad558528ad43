"""Which constants, tables and functions of a version are those of the one before it, and keep their address."""

from collections.abc import Callable
from contextlib import suppress
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


@dataclass(frozen=True, slots=True)
class SameConstants:
    """Which constant tables are the same, and which constants: those with the same content, and those that code knows
    by their address. With the functions, by their indexes, that are the same because they stand in rows of tables that
    have a name, or are formed together."""

    tables: tuple[Piece, ...]
    constants: tuple[Piece, ...]
    compared: CompanionConstants
    in_rows: list[tuple[int, int]]
    formed_together: list[tuple[int, int]]

    @property
    def in_order(self) -> tuple[Piece, ...]:
        """Constants and tables of all kinds, in the order of addresses."""
        found = *self.tables, *self.constants, *self.compared.pieces
        return tuple(sorted(found, key=lambda it: it.start))


def find_same_constants(code: BothCodes) -> SameConstants:
    """By names, contents and the code of both versions. Raises ImageError where that cannot be read for tables; where
    it cannot for constants, which the rule code-comparison says, there are none."""
    old, new, references = code.old, code.new, (code.old_references, code.references)
    partners = partners_of_compared(old, new, code.matching)
    in_rows, together = list(functions_of_named_rows(old, new, references)), formed_together(code.matching, references)
    certain = certain_pairs(old, new, code.matching, in_rows, together)
    to_constants = references[0].to_constants, references[1].to_constants
    tables = match_tables(old, new, code.matching, to_constants, certain, certain_partners(new, partners))
    constants: tuple[Piece, ...] = ()
    with suppress(ImageError):
        constants = same_constants(old, new, code.matching, tuple(named_constants(old, new)))
    compared = CompanionConstants((), ())
    with suppress(ImageError):
        compared = match_constants(old, new, code.matching, partners, (*tables, *constants))
    return SameConstants(tables, constants, compared, in_rows, together)


@dataclass(frozen=True)
class SameObjects:
    """Finds them when they are asked for, and once; constants and tables by `find_constants`."""

    code: BothCodes
    variables: LocatedVariables
    find_constants: Callable[[], SameConstants]

    @cached_property
    def constants(self) -> SameConstants:
        """Raises ImageError where code cannot be read."""
        return self.find_constants()

    @cached_property
    def functions(self) -> tuple[SameFunction, ...]:
        """Which functions that a process may remember are the same. Raises ImageError where code cannot be read."""
        code, found = self.code, self.constants
        known = code.old_references, found.in_rows, found.formed_together, found.tables, self.variables.shared
        return same_functions(code.old, code.new, code.matching, *known)
