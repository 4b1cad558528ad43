"""Pages of a target's memory, as they were when they were read."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.process.agent import Agent

PAGE = os.sysconf("SC_PAGE_SIZE")
"""The kernel's, in bytes: 4, 16 or 64 KiB."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages with the sorted `numbers`, addresses by PAGE, one after another in `memory`."""

    numbers: Table
    memory: Table

    def offsets(self, addresses: Table) -> Table:
        """Where each address is in `memory`."""
        found: Table = np.searchsorted(self.numbers, addresses // PAGE) * PAGE + (addresses % PAGE).astype("<i8")
        return found

    def words(self, addresses: Table) -> Table:
        """The words of 8 bytes at some addresses."""
        offsets = self.offsets(addresses)
        if (offsets % 8).any():
            return self.contents(addresses, 8).view("<u8").ravel()
        found: Table = self.memory.view("<u8")[offsets // 8]
        return found

    def contents(self, addresses: Table, size: int) -> Table:
        """The `size` bytes at each address, a row for each."""
        found: Table = self.memory[self.offsets(addresses)[:, None] + np.arange(size)]
        return found

    def between(self, start: int, end: int) -> Table:
        """The bytes from one address to another."""
        at = int(self.offsets(np.array([start], "<u8"))[0])
        return self.memory[at : at + end - start]

    def only(self, numbers: Table) -> "Pages":
        """Some of the pages."""
        index = np.searchsorted(self.numbers, numbers)
        return Pages(numbers, self.memory.reshape(-1, PAGE)[index].ravel())


def pages_of(addresses: Table, size: int = 1) -> Table:
    """The numbers of the pages that hold `size` bytes, a page at most, from each address."""
    addresses = addresses.astype("<u8")
    found: Table = distinct(np.r_[addresses // PAGE, (addresses + np.uint64(size - 1)) // PAGE])
    return found


def pages_between(ranges: Iterable[tuple[int, int]]) -> Table:
    """The numbers of the pages that hold what lies from one address to another."""
    found = [np.arange(start // PAGE, (end + PAGE - 1) // PAGE, dtype="<u8") for start, end in ranges]
    every: Table = distinct(np.concatenate([*found, np.zeros(0, "<u8")]))
    return every


def runs(numbers: Table) -> list[tuple[int, int]]:
    """Pages that follow one another, as address and size."""
    if not len(numbers):
        return []
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [(int(it[0]) * PAGE, len(it) * PAGE) for it in parts]


def one_page_each(numbers: Table) -> Table:
    """An address in each page."""
    found: Table = numbers * np.uint64(PAGE)
    return found


async def read_pages(agent: Agent, numbers: Table) -> Pages:
    """Raises TargetError where one of them is not mapped."""
    memory = b"".join(await agent.read(runs(numbers))) if len(numbers) else b""
    return Pages(numbers, np.frombuffer(memory, np.uint8))
