"""Sets of numbers as sorted arrays. numpy's own functions for them (unique, isin and what is built on these) hash the
numbers since 2.3, and take a hundred times as long where there are a million."""

import numpy as np

from liveso.elf.tables import Table

_FEW = 64  # numbers: numpy compares with one after another then


def distinct(values: Table) -> Table:
    """The different values, sorted."""
    found = np.sort(values, axis=None)
    is_first = np.ones(len(found), np.bool_)
    is_first[1:] = found[1:] != found[:-1]
    return found[is_first]


def among(values: Table, known: Table) -> Table:
    """Which of the values are among the `known` ones."""
    if len(known) < _FEW:
        return np.isin(values, known)
    ordered = np.sort(known)
    at = np.searchsorted(ordered, values)
    at[at == len(ordered)] = 0
    found: Table = ordered[at] == values
    return found
