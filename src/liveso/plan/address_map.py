"""The address map of a loaded version: where each thing that it has is known in the target.

Things are named by their addresses in the image, relative to the load address; a thread-local variable by its place in
its module's block, behind EACH_THREAD.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.plan.packed import HOME, STRETCH, unpacked

EACH_THREAD = 1 << 40
"""The first byte of a thread-local block. No image reaches as far."""

_BLOCK_BITS = 32


class Stretch(NamedTuple):
    """What lies together in a version and at home: from `start` to `end` of the image, at the address `home`."""

    start: int
    end: int
    home: int


@dataclass(frozen=True)
class AddressMap:
    """Where what a version has is known, which is loaded at `base`. What lies in no stretch is its own: it lives where
    it was loaded, and in the thread-local blocks of `module` (0 where it has none).

    `variables` are the addresses of its variables, and `block` is the size of a thread's block, in bytes; an address
    just behind belongs to the last variable. `packed` are the stretches, and `functions` the HOME rows of those
    functions that an earlier version has, too.
    """

    base: int
    variables: range = range(0)
    block: int = 0
    module: int = 0
    packed: str = ""
    functions: str = ""

    @property
    def entries(self) -> Table:
        """The HOME rows of its functions."""
        return unpacked(self.functions, HOME)

    @property
    def stretches(self) -> Table:
        """The STRETCH rows, in the order of their addresses."""
        return unpacked(self.packed, STRETCH)

    def home(self, at: int) -> int:
        """The address of what is at `at`; of a thread-local variable, one that `in_block` reads."""
        known = self._homes_of_functions.get(at)
        if known is not None:
            return known
        within = at - 1 if at in self._ends else at
        starts, ends, homes = self._columns
        index = bisect_right(starts, within) - 1
        if index >= 0 and within < ends[index]:
            return homes[index] + at - starts[index]
        return self.own(at)

    def homes(self, ats: Table) -> Table:
        """The same for many, as numbers with sign."""
        ats = ats.astype("<i8")
        found: Table = ats + self.base
        of_thread = ats >= EACH_THREAD
        found[of_thread] = ats[of_thread] - EACH_THREAD + block_start(self.module)
        rows = self.stretches
        if len(rows):
            within = ats - np.isin(ats, sorted(self._ends))
            index = np.maximum(np.searchsorted(rows["start"].astype("<i8"), within, side="right") - 1, 0)
            start, end, home = (rows[name].astype("<i8")[index] for name in ("start", "end", "home"))
            inside = (within >= start) & (within < end)
            found[inside] = (home + ats - start)[inside]
        known = self._homes_of_functions
        if known:
            for row in np.flatnonzero(among(ats, np.fromiter(known, "<i8", len(known)))).tolist():
                found[row] = known[int(ats[row])]
        return found

    def own(self, at: int) -> int:
        """Where the version itself has what is at `at`."""
        return block_start(self.module) + at - EACH_THREAD if at >= EACH_THREAD else self.base + at

    def parts(self, start: int, end: int) -> Iterator[Stretch]:
        """All from `start` to `end`, in parts that live together."""
        starts, ends, homes = self._columns
        index = max(0, bisect_right(starts, start) - 1)
        while start < end:
            while index < len(starts) and ends[index] <= start:
                index += 1
            if index < len(starts) and starts[index] <= start:
                stop, home = min(end, ends[index]), homes[index] + start - starts[index]
            else:
                stop = min(end, starts[index]) if index < len(starts) else end
                home = self.own(start)
            yield Stretch(start, stop, home)
            start = stop

    @cached_property
    def _columns(self) -> tuple[list[int], list[int], list[int]]:
        rows = self.stretches
        return rows["start"].tolist(), rows["end"].tolist(), rows["home"].tolist()

    @cached_property
    def _ends(self) -> frozenset[int]:
        ends = {self.variables.stop} if self.variables else set()
        return frozenset(ends | ({EACH_THREAD + self.block} if self.block else set()))

    @cached_property
    def _homes_of_functions(self) -> dict[int, int]:
        """Not of what two functions of the earlier version became, which has two."""
        rows = self.entries
        ats, counts = np.unique(rows["at"], return_counts=True)
        rows = rows[among(rows["at"], ats[counts == 1])]
        return dict(zip(rows["at"].tolist(), rows["home"].tolist(), strict=True))


def first_map(image: Image, base: int, module: int) -> AddressMap:
    """That of the version that the target itself has loaded, whose home everything is; `module` is its module ID."""
    return AddressMap(base, data_layout(image).span, image.block_size, module)


def block_start(module: int) -> int:
    """The address, so to speak, of the start of a module's thread-local block: in any thread, `in_block` leads back."""
    return module << _BLOCK_BITS


def in_block(address: int) -> tuple[int, int]:
    """The module ID, and the place in its thread-local block in bytes, that an address in a block stands for."""
    return address >> _BLOCK_BITS, address & ((1 << _BLOCK_BITS) - 1)
