"""The ways that control takes through a section of code, for processors that have `Machine.code_words`.

Branches say where they lead, and the unwind tables where an exception goes on that passes a call; a jump to an address
in a register (the cases of a `switch`) may go on at each block of the function that nothing else leads to. A branch
into another function is followed, for compilers part functions, unless it leads to where a function is called, too:
what is in registers then is nobody's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liveso.elf.tables import Table
from liveso.machine import CodeWords, Machine


@dataclass(frozen=True, eq=False)
class Ways:
    """The words of a section of code, and the ways between them; words are told by their numbers.

    `stretch` has a number for each word, one for all of a function (odd) or of what lies between two; `called` are the
    words at which functions are called, and `last_calls` the addresses of what never returns. `thrown` has the words
    that an exception passes, and those at which it goes on then. `stubs` has the addresses by which functions of the
    image are called, too, sorted, and where each leads.
    """

    machine: Machine
    words: CodeWords
    stretch: Table
    called: Table
    last_calls: Table
    thrown: Table
    stubs: Table

    @cached_property
    def target(self) -> Table:
        """The number of the word to which each branch, that is no call, leads and may be followed; or -1."""
        target = self._led_to
        leads = (target >= 0) & ~self.words.calls
        inside = np.where(leads, target, 0)
        leads &= (self.stretch[inside] == self.stretch) | ~self.is_called[inside]
        # between functions, there may be data: only a linker's veneer leads into one, behind the word that it took over
        enters = leads & (self.stretch % 2 == 0) & (self.stretch[inside] % 2 == 1)
        called = set(zip(self.stretch[leads & ~enters].tolist(), target[leads & ~enters].tolist(), strict=True))
        for at in np.flatnonzero(enters).tolist():
            leads[at] = (int(self.stretch[target[at]]), at - 1) in called
        return np.where(leads, target, -1)

    @cached_property
    def _led_to(self) -> Table:
        """The number of the word that each one leads to, also by a call; -1 where that is elsewhere."""
        return self.words.numbers(self.words.target)

    @cached_property
    def is_called(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.called] = True
        begins = np.diff(self.stretch, prepend=-1) != 0
        found &= begins | (self.stretch % 2 == 0)  # inside of a function, it is a label
        return found

    @cached_property
    def falls(self) -> Table:
        """Whether the word behind each one may run next: also behind a call that never returns, if nothing else leads
        there."""
        alone = np.append(~self.is_led_to[1:], np.False_)
        found: Table = self._falls & (~self._ends | alone)
        return found

    @cached_property
    def _falls(self) -> Table:
        """The same by the words alone."""
        found = self.words.goes_on.copy()
        found[:-1] &= self.stretch[1:] == self.stretch[:-1]
        found[-1:] = False
        return found

    @cached_property
    def _ends(self) -> Table:
        """Whether a word calls what never returns."""
        found: Table = self.words.calls & self._leads_to(self._never_returning)
        return found

    def _leads_to(self, endless: Table) -> Table:
        """Whether the address in each word is that of one of the functions that begin with the words `endless`, or of
        another one that never returns."""
        found: Table = np.isin(self._callee, endless) | self._calls_last
        return found

    @cached_property
    def _callee(self) -> Table:
        """The word that the address in each word is of, also by a stub of the image's own; -1 where it is elsewhere."""
        target = self.words.target
        if len(self.stubs):
            at = np.minimum(np.searchsorted(self.stubs[:, 0], target), len(self.stubs) - 1)
            target = np.where(self.stubs[at, 0] == target, self.stubs[at, 1], target)
        return self.words.numbers(target)

    @cached_property
    def _calls_last(self) -> Table:
        found: Table = np.isin(self.words.target, self.last_calls)
        return found

    @cached_property
    def _never_returning(self) -> Table:
        """The first words of functions that have nothing to leave them by, but for others of these."""
        words, target = self.words, self._led_to
        inside = target >= 0
        leaves = (words.target >= 0) & ~words.calls
        leaves &= ~inside | (self.stretch[np.where(inside, target, 0)] != self.stretch)
        returns = ~words.goes_on & (words.target < 0) & ~words.is_end | ~words.is_known
        firsts = self._first[self.stretch[self._first] % 2 == 1]
        endless = np.zeros(0, "<i8")
        while True:
            leaving = np.zeros(int(self.stretch[-1]) + 1 if len(self.stretch) else 1, np.bool_)
            leaving[self.stretch[returns | (leaves & ~self._leads_to(endless))]] = True
            found: Table = firsts[~leaving[self.stretch[firsts]]]
            if len(found) == len(endless):
                return found
            endless = found

    @cached_property
    def _first(self) -> Table:
        """The first word of each stretch."""
        return np.flatnonzero(np.diff(self.stretch, prepend=-1))

    @cached_property
    def heads(self) -> tuple[Table, Table]:
        """The words at which blocks begin that nothing leads to, and their stretches."""
        is_head = np.ones(len(self.stretch), np.bool_)
        is_head[1:] = ~self._falls[:-1] | self._ends[:-1]
        is_head[self.target[self.target >= 0]] = False
        is_head[self.thrown[:, 1]] = False
        is_head[self._first] = False
        is_head &= ~self.words.is_filler
        behind = np.flatnonzero(self.words.is_filler[:-1] & ~self.words.is_filler[1:]) + 1
        is_head[behind] &= self.stretch[behind] == self.stretch[behind - 1]
        found = np.flatnonzero(is_head)
        return found, self.stretch[found]

    @cached_property
    def is_head(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.heads[0]] = True
        return found

    @cached_property
    def is_led_to(self) -> Table:
        """Whether a branch or an exception leads to each word."""
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.target[self.target >= 0]] = True
        found[self.thrown[:, 1]] = True
        return found

    @cached_property
    def branches(self) -> tuple[Table, Table]:
        """The words that branch, and those that they lead to, in the order of these."""
        sources = np.flatnonzero(self.target >= 0)
        order = np.argsort(self.target[sources], kind="stable")
        return sources[order], self.target[sources[order]]

    @cached_property
    def throwing(self) -> tuple[Table, Table]:
        order = np.argsort(self.thrown[:, 0], kind="stable")
        return self.thrown[order, 0], self.thrown[order, 1]

    @cached_property
    def landing(self) -> tuple[Table, Table]:
        order = np.argsort(self.thrown[:, 1], kind="stable")
        return self.thrown[order, 0], self.thrown[order, 1]

    @cached_property
    def leaving(self) -> tuple[Table, Table]:
        """The words after which blocks that nothing leads to may run, and their stretches."""
        found = np.flatnonzero(self.words.jumps)
        return found, self.stretch[found]

    @cached_property
    def is_join(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.target[self.target >= 0]] = True
        found[np.flatnonzero(self.target >= 0)] = True  # which they are on the way back
        found[self.heads[0]] = True
        found[self.thrown.reshape(-1)] = True
        found[self.words.jumps] = True
        return found

    @cached_property
    def clobbers(self) -> Table:
        """The registers that each word leaves something else in: what is called, as far as it is known, too."""
        words, freed = self.words, np.uint32(self.machine.freed_registers)
        count = int(self.stretch[-1]) + 1 if len(self.stretch) else 1
        own = np.zeros(count, "<u4")
        np.bitwise_or.at(own, self.stretch, words.writes)
        target = self._led_to
        inside = target >= 0
        callee = np.where(inside, self.stretch[np.where(inside, target, 0)], -1)
        leaves = words.calls | ((words.target >= 0) & (callee != self.stretch)) | words.jumps
        unknown = leaves & (~inside | words.jumps)
        np.bitwise_or.at(own, self.stretch[unknown], freed)
        own[self.stretch[~words.is_known]] |= freed
        known = np.flatnonzero(leaves & inside)
        while True:
            before = own.copy()
            np.bitwise_or.at(own, self.stretch[known], own[callee[known]])
            if (own == before).all():
                break
        found = words.writes.copy()
        calls = words.calls & ~words.asks_descriptor
        found[calls] |= np.where(inside, own[callee], freed)[calls] & freed | np.uint32(self.machine.linker_registers)
        found[words.asks_descriptor] |= np.uint32(self.machine.descriptor_registers)
        return found


def spread(low: Table, high: Table) -> tuple[Table, Table]:
    """The numbers from each of `low` up to `high`, in a row, and which pair each of them is of."""
    counts = high - low
    which = np.repeat(np.arange(len(low)), counts)
    return low[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts), which
