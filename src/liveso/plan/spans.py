"""Which pages a transaction must make writable, and what they go back to."""

import numpy as np

from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.process.memory_map import Protections
from liveso.process.pages import PAGE
from liveso.process.protocol import SPAN

_WRITABLE = 2  # mmap(2), PROT_WRITE


def is_writable(protections: Protections, addresses: Table) -> Table:
    """Whether the program may write what lies at each address. Raises TargetError where one is not mapped."""
    found: Table = protections.bits[protections.at(addresses)] & _WRITABLE != 0
    return found


def spans_for_words(protections: Protections, addresses: Table) -> Table:
    """The pages around words at `addresses` that are not writable now, as runs. Raises TargetError where one of the
    addresses is not mapped."""
    pages = distinct(addresses // PAGE)
    index = protections.at(pages * PAGE)
    closed = ~is_writable(protections, pages * PAGE)
    pages, index = pages[closed], index[closed]
    begins = np.flatnonzero(np.r_[True, (np.diff(pages) != 1) | (np.diff(index) != 0)][: len(pages)])
    spans = np.zeros(len(begins), SPAN)
    spans["start"] = pages[begins] * PAGE
    spans["size"] = np.diff(np.r_[begins, len(pages)]) * PAGE
    spans["protection"] = protections.bits[index[begins]]
    return spans


def spans_for_code(protections: Protections, addresses: Table) -> Table:
    """The mappings that code at `addresses` lies in, whole: nothing executes them yet. Raises TargetError likewise."""
    index = distinct(protections.at(addresses))
    spans = np.zeros(len(index), SPAN)
    spans["start"], spans["protection"] = protections.starts[index], protections.bits[index]
    spans["size"] = protections.ends[index] - protections.starts[index]
    return spans
