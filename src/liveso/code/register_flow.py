"""Follow what certain instructions leave in registers to where it is used, over all paths of a section of code at once.

For processors whose instructions are all of one size (`Machine.code_words`). The ways of control: branches say where
they lead, and the unwind tables where an exception goes on that passes a call; a jump to an address in a register (the cases
of a `switch`) may go on at each block of the function that nothing else leads to. A branch into another function is followed, for compilers
part functions, unless it leads to where a function is called, too: what is in registers then is nobody's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from liveso.elf.tables import Table
from liveso.machine import CodeWords, Machine, Part

_WORD = 8  # bytes
_GENERAL, _SLOTS = 32, 256  # numbers below are registers, and from the second on words of the frame
_FRAME, _STACK = 29, 31  # the registers that these are found by
_BY_STACK, _LOWEST = 1 << 13, 64  # of a number: by which of both; and the place, in words, of offset zero
_HIGHEST = 1 << 12
_ORIGINS, _PLACES = 24, 15  # bits of a key: of the origin's number, and of the register's


class State(NamedTuple):
    """Many at once: before the word number `at`, `register` holds what the origin number `origin` left."""

    at: Table
    register: Table
    origin: Table

    def only(self, which: Table) -> "State":
        return State(self.at[which], self.register[which], self.origin[which])


def _joined(parts: Iterable[State]) -> State:
    return State(*(np.concatenate(it) for it in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Where registers with what the origins left are read.

    All are rows of word, register and the origin's number. `summands` are words that add a number to them, or access what lies there; `others` do something else with them.
    `undecoded` are words that cannot be decoded, and come to run with such registers.
    """

    summands: Table
    others: Table
    undecoded: Table


@dataclass(frozen=True, eq=False)
class Flow:
    """The words of a section of code, and the ways between them.

    `stretch` has a number for each word, one for all of a function or of what lies between two; `called` are the words
    at which functions are called, and `last_calls` the addresses of what never returns. `thrown` has the words that an
    exception passes, and those at which it goes on then.
    """

    machine: Machine
    words: CodeWords
    start: int
    stretch: Table
    called: Table
    last_calls: Table
    thrown: Table

    @cached_property
    def target(self) -> Table:
        """The number of the word to which each branch, that is no call, leads and may be followed; or -1."""
        count, target = len(self.stretch), (self.words.target - self.start) // 4
        leads = (self.words.target >= self.start) & (target < count) & ~self.words.calls
        inside = np.where(leads, target, 0)
        leads &= (self.stretch[inside] == self.stretch) | ~self.is_called[inside]
        # between functions, there may be data: only a linker's veneer leads into one, behind the word that it took over
        enters = leads & (self.stretch % 2 == 0) & (self.stretch[inside] % 2 == 1)
        called = set(zip(self.stretch[leads & ~enters].tolist(), target[leads & ~enters].tolist(), strict=True))
        for at in np.flatnonzero(enters).tolist():
            leads[at] = (int(self.stretch[target[at]]), at - 1) in called
        return np.where(leads, target, -1)

    @cached_property
    def is_called(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.called] = True
        begins = np.diff(self.stretch, prepend=-1) != 0
        return found & (begins | (self.stretch % 2 == 0))  # inside of a function, it is a label

    @cached_property
    def falls(self) -> Table:
        """Whether the word behind each one may run next: also behind a call that never returns, if nothing else leads
        there."""
        alone = np.append(~self._is_led_to[1:], np.False_)
        return self._falls & (~self._ends | alone)

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
        called = (self.words.target - self.start) // 4
        inside = self.words.calls & (self.words.target >= self.start) & (called < len(self.stretch))
        ends = np.isin(np.where(inside, called, -1), self._never_returning)
        return (ends & inside) | (self.words.calls & np.isin(self.words.target, self.last_calls))

    @cached_property
    def _never_returning(self) -> Table:
        """The first words of functions that have nothing to leave them by."""
        words, target = self.words, (self.words.target - self.start) // 4
        inside = (words.target >= self.start) & (target < len(self.stretch))
        leaves = (words.target >= 0) & ~words.calls
        leaves &= ~inside | (self.stretch[np.where(inside, target, 0)] != self.stretch)
        leaves |= ~words.goes_on & (words.target < 0) & ~words.is_end | ~words.is_known
        leaving = np.zeros(int(self.stretch[-1]) + 1 if len(self.stretch) else 1, np.bool_)
        leaving[self.stretch[leaves]] = True
        found: Table = self._first[(self.stretch[self._first] % 2 == 1) & ~leaving[self.stretch[self._first]]]
        return found

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
    def clobbers(self) -> Table:
        """The registers that each word leaves something else in: what is called, as far as it is known, too."""
        words, freed = self.words, np.uint32(self.machine.freed_registers)
        count = int(self.stretch[-1]) + 1 if len(self.stretch) else 1
        own = np.zeros(count, "<u4")
        np.bitwise_or.at(own, self.stretch, words.writes)
        target = (words.target - self.start) // 4
        inside = (words.target >= self.start) & (target < len(self.stretch))
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

    def follow(self, origins: Table, registers: Table) -> Followed:
        """What becomes of what the words `origins` leave in `registers`."""
        words = self.words
        numbers = np.arange(len(origins), dtype="<i8")
        goes_on = self.falls[origins]
        state = State(origins[goes_on] + 1, registers[goes_on].astype("<i8"), numbers[goes_on])
        seen: set[int] = set()
        summands, others, undecoded = ([np.zeros((0, 3), "<i8")] for _ in range(3))
        while len(state.at):
            state = self._fresh(state, seen)
            at, register, _origin = state
            triples = np.stack(state, axis=1)
            unknown = ~words.is_known[at]
            undecoded.append(triples[unknown])
            is_base, part = words.base[at] == register, words.part[at]
            is_summand = is_base & ((part == Part.SUM) | (part == Part.ACCESS))
            is_copy = is_base & (part == Part.COPY)
            is_spilled = words.is_store[at] & ((words.first[at] == register) | (words.second[at] == register))
            summands.append(triples[is_summand])
            others.append(triples[_has(words.wide[at], register) & ~is_summand & ~is_copy & ~is_spilled])
            after = [self._moved(state.only(is_copy), words.result), *self._spilled(state.only(is_spilled)), *self._loaded(state)]
            parts = [State(it.at + 1, it.register, it.origin) for it in (each.only(self.falls[each.at]) for each in after)]
            parts += self._onward(state.only(~unknown & ~self._changes(at, register)), seen)
            parts.append(self._passed(state))
            state = _joined(parts)
        return Followed(*(np.concatenate(it) for it in (summands, others, undecoded)))

    def have_other_origins(self, uses: Table, known: Table, *, is_frame_known: bool) -> Table:
        """Which of the `uses`, rows of word and register, read at times what something else than the words `known` left
        there. What a path leaves undefined does not count: compilers read such on paths only that are never taken. Unless `is_frame_known`, what is read from the frame has another origin: words of it
        serve several variables, which what is called may write to, too."""
        words, found = self.words, np.zeros(len(uses), np.bool_)
        numbers = np.arange(len(uses), dtype="<i8")
        state = State(uses[:, 0], uses[:, 1], numbers)
        seen: set[int] = set()
        is_known = np.zeros(len(self.stretch), np.bool_)
        is_known[known] = True
        while len(state.at):
            state = self._fresh(state, seen)
            state = state.only(~found[state.origin])
            before, begins = self._before(state, seen)
            found[begins] = True
            at, register, origin = before
            changed = self._changes(at, register)
            ends = changed & is_known[at] & (words.result[at] == register)
            copied = changed & (words.part[at] == Part.COPY) & (words.result[at] == register)
            stored, loaded = words.is_store[at], (words.frame_base[at] > 0) & ~words.is_store[at]
            sources = [
                State(at, words.base[at].astype("<i8"), origin).only(copied),
                before.only(~changed),
            ]
            traced = ends | copied
            for which, offset in ((words.first, 0), (words.second, _WORD)):
                slot = _slot(words.frame_base[at], words.frame_offset[at] + offset)
                is_filled = changed & stored & (slot == register) & (which[at] < _GENERAL)
                is_reload = changed & loaded & (which[at] == register) & (slot >= _GENERAL) & is_frame_known
                sources.append(State(at, which[at].astype("<i8"), origin).only(is_filled))
                sources.append(State(at, slot, origin).only(is_reload))
                traced |= is_filled | is_reload
            found[origin[changed & ~traced & self._defines(at, register)]] = True
            state = _joined(sources)
        return found

    def _defines(self, at: Table, register: Table) -> Table:
        """Whether words that change registers, or words of the frame, leave there what may be read."""
        returned = np.full(len(at), self.machine.returned_registers, "<u4")
        of_register = _has(self.words.writes[at], register) | (self.words.calls[at] & _has(returned, register))
        return np.where(register < _GENERAL, of_register, self.words.is_store[at])

    def _before(self, state: State, seen: set[int]) -> tuple[State, Table]:
        """The words that may run before, and what begins with a word before which nothing is known."""
        at = state.at
        falls = (at > 0) & self.falls[np.maximum(at, 1) - 1]
        sources, targets = self._branches
        low, high = np.searchsorted(targets, at, "left"), np.searchsorted(targets, at, "right")
        branch, by_branch = _spread(low, high)
        is_head = self._is_head[at]
        leaving, owners = self._leaving
        stretch = self.stretch[at[is_head]]
        low, high = np.searchsorted(owners, stretch, "left"), np.searchsorted(owners, stretch, "right")
        leave, by_leaving = _spread(low, high)
        passed, pads = self._landing
        through, by_pad = _spread(np.searchsorted(pads, at, "left"), np.searchsorted(pads, at, "right"))
        freed = self._is_freed(state.register[by_pad])
        given = np.full(len(at), self.machine.given_registers, "<u4")
        returned = np.full(len(by_pad), self.machine.returned_registers, "<u4")
        begins = (self.is_called[at] | (~falls & ~is_head & ~self._is_led_to[at])) & _has(given, state.register)
        begins[by_pad[_has(returned, state.register[by_pad])]] = True
        parts = (
            State(at[falls] - 1, state.register[falls], state.origin[falls]),
            State(sources[branch], state.register[by_branch], state.origin[by_branch]),
            State(leaving[leave], state.register[is_head][by_leaving], state.origin[is_head][by_leaving]),
            State(passed[through], state.register[by_pad], state.origin[by_pad]).only(~freed),
        )
        return _joined(parts), state.origin[begins]

    @cached_property
    def _is_head(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.heads[0]] = True
        return found

    @cached_property
    def _is_led_to(self) -> Table:
        """Whether a branch or an exception leads to each word."""
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.target[self.target >= 0]] = True
        found[self.thrown[:, 1]] = True
        return found

    @cached_property
    def _branches(self) -> tuple[Table, Table]:
        """The words that branch, and those that they lead to, in the order of these."""
        sources = np.flatnonzero(self.target >= 0)
        order = np.argsort(self.target[sources], kind="stable")
        return sources[order], self.target[sources[order]]

    @cached_property
    def _leaving(self) -> tuple[Table, Table]:
        """The words after which blocks that nothing leads to may run, and their stretches."""
        found = np.flatnonzero(self.words.jumps)
        return found, self.stretch[found]

    def _changes(self, at: Table, register: Table) -> Table:
        """Whether each word leaves something else in a register, or in a word of the frame."""
        words, slot = self.words, register - _GENERAL
        base = np.where(slot & _BY_STACK > 0, _STACK, _FRAME)
        offset = ((slot & (_BY_STACK - 1)) - _LOWEST) * _WORD
        overlaps = (words.frame_offset[at] < offset + _WORD) & (words.frame_offset[at] + words.frame_size[at] > offset)
        stored = words.is_store[at] & (words.frame_base[at] == base) & overlaps
        moved = np.where(base == _STACK, words.moves_stack[at], self.clobbers[at] >> _FRAME & 1 == 1)
        return np.where(register < _GENERAL, _has(self.clobbers[at], register), stored | moved)

    def _moved(self, state: State, to: Table) -> State:
        return State(state.at, to[state.at].astype("<i8"), state.origin)

    def _spilled(self, state: State) -> Iterator[State]:
        """Where words store what registers hold in the frame."""
        words, at = self.words, state.at
        for which, offset in ((words.first, 0), (words.second, _WORD)):
            slot = _slot(words.frame_base[at], words.frame_offset[at] + offset)
            yield State(at, slot, state.origin).only((which[at] == state.register) & (slot >= _GENERAL))

    def _loaded(self, state: State) -> Iterator[State]:
        """Where words load from the frame what was stored there."""
        words, at = self.words, state.at
        is_load = (state.register >= _GENERAL) & (words.frame_base[at] > 0) & ~words.is_store[at]
        for which, offset in ((words.first, 0), (words.second, _WORD)):
            slot = _slot(words.frame_base[at], words.frame_offset[at] + offset)
            found = is_load & (which[at] < _GENERAL) & (slot == state.register)
            yield State(at, which[at].astype("<i8"), state.origin).only(found)

    def _onward(self, state: State, seen: set[int]) -> Iterator[State]:
        falling = state.only(self.falls[state.at])
        yield State(falling.at + 1, falling.register, falling.origin)
        target = self.target[state.at]
        leads = target >= 0
        yield State(target[leads], state.register[leads], state.origin[leads])
        yield self._elsewhere(state.only(self.words.jumps[state.at]), seen)

    def _passed(self, state: State) -> State:
        """The same where exceptions go on: the registers that calls keep, and the frame."""
        sources, pads = self._throwing
        numbers, which = _spread(np.searchsorted(sources, state.at, "left"), np.searchsorted(sources, state.at, "right"))
        kept = ~self._is_freed(state.register[which])
        return State(pads[numbers], state.register[which], state.origin[which]).only(kept)

    def _is_freed(self, register: Table) -> Table:
        return _has(np.full(len(register), self.machine.freed_registers, "<u4"), register)

    @cached_property
    def _throwing(self) -> tuple[Table, Table]:
        order = np.argsort(self.thrown[:, 0], kind="stable")
        return self.thrown[order, 0], self.thrown[order, 1]

    @cached_property
    def _landing(self) -> tuple[Table, Table]:
        order = np.argsort(self.thrown[:, 1], kind="stable")
        return self.thrown[order, 0], self.thrown[order, 1]

    def _elsewhere(self, state: State, seen: set[int]) -> State:
        """The same at the blocks that nothing leads to, in the stretches."""
        heads, owners = self.heads
        stretch = self.stretch[state.at]
        fresh = self._new(-1 - _key(stretch, state.register, state.origin), seen)
        stretch, state = stretch[fresh], state.only(fresh)
        numbers, which = _spread(np.searchsorted(owners, stretch, "left"), np.searchsorted(owners, stretch, "right"))
        return State(heads[numbers], state.register[which], state.origin[which])

    def _fresh(self, state: State, seen: set[int]) -> State:
        """Those that were not there before: only where ways join."""
        joins = np.flatnonzero(self._is_join[state.at])
        if not len(joins):
            return state
        kept = np.ones(len(state.at), np.bool_)
        kept[joins] = self._new(_key(*state.only(joins)), seen)
        return state.only(kept)

    @cached_property
    def _is_join(self) -> Table:
        found = np.zeros(len(self.stretch), np.bool_)
        found[self.target[self.target >= 0]] = True
        found[np.flatnonzero(self.target >= 0)] = True  # which they are on the way back
        found[self.heads[0]] = True
        found[self.thrown.reshape(-1)] = True
        found[self.words.jumps] = True
        return found

    @staticmethod
    def _new(keys: Table, seen: set[int]) -> Table:
        found = np.zeros(len(keys), np.bool_)
        for index, key in enumerate(keys.tolist()):
            if key not in seen:
                seen.add(key)
                found[index] = True
        return found


def _has(bits: Table, register: Table) -> Table:
    """Whether the bit of each register is set; words of the frame have none."""
    found: Table = (register < _GENERAL) & (bits >> np.minimum(register, _GENERAL - 1).astype("<u4") & 1 == 1)
    return found


def _slot(base: Table, offset: Table) -> Table:
    """The number that stands for a word of the frame; NO_REGISTER's for what is none."""
    place = offset // _WORD + _LOWEST
    is_slot = (base > 0) & (offset % _WORD == 0) & (place >= 0) & (place < _HIGHEST + _LOWEST)
    return np.where(is_slot, _SLOTS + place + np.where(base == _STACK, _BY_STACK, 0), -1)


def _key(one: Table, register: Table, origin: Table) -> Table:
    found: Table = ((one << _PLACES) + register << _ORIGINS) + origin
    return found


def _spread(low: Table, high: Table) -> tuple[Table, Table]:
    """The numbers from each of `low` up to `high`, in a row, and which pair each of them is of."""
    counts = high - low
    which = np.repeat(np.arange(len(low)), counts)
    return low[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts), which
