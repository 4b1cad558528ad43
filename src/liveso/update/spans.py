"""Which pages a transaction must make writable, and what they go back to."""

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.target.process import Mapping
from liveso.target.protocol import SPAN

_PAGE = 4096


def spans_for_words(mappings: list[Mapping], addresses: Table) -> Table:
    """The pages around words at `addresses` that are not writable now, as runs."""
    found = []
    for mapping, inside in _by_mapping(mappings, addresses):
        if not mapping.is_writable:
            pages = np.unique(inside // _PAGE)
            for run in np.split(pages, np.flatnonzero(np.diff(pages) != 1) + 1):
                found.append((int(run[0]) * _PAGE, len(run) * _PAGE, mapping.protection, 0))
    return np.array(found, SPAN)


def spans_for_code(mappings: list[Mapping], addresses: Table) -> Table:
    """The mappings that code at `addresses` lies in, whole: nothing executes them yet."""
    found = [(it.start, it.end - it.start, it.protection, 0) for it, _inside in _by_mapping(mappings, addresses)]
    return np.array(found, SPAN)


def _by_mapping(mappings: list[Mapping], addresses: Table) -> list[tuple[Mapping, Table]]:
    ordered = np.sort(addresses)
    found = []
    covered = 0
    for mapping in mappings:
        low, high = np.searchsorted(ordered, [mapping.start, mapping.end])
        if low < high:
            found.append((mapping, ordered[low:high]))
            covered += int(high - low)
    if covered != len(ordered):
        raise TargetError("memory is not mapped as expected")
    return found
