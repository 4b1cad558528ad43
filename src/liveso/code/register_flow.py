"""Follow what certain instructions leave in registers to where it is used, over all ways through a section of code at
once; words of the frame in which registers are kept meanwhile are followed, too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from liveso.code.ways import Ways, spread
from liveso.elf.tables import Table
from liveso.machine import Part

_WORD = 8  # bytes
_GENERAL, _SLOTS = 32, 256  # numbers below are registers, and from the second on words of the frame
_BY_STACK, _LOWEST = 1 << 13, 256  # of a number: by which of both; and the place, in words, of offset zero
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

    All are rows of word, register and the origin's number. `summands` are words that add a number to them, or access
    what lies there; `others` do something else with them. `undecoded` are words that cannot be decoded, and come to run
    with such registers. `handed` are those that leave the function, or call another, while a register holds it in which
    that may expect something.
    """

    summands: Table
    others: Table
    undecoded: Table
    handed: Table


@dataclass(frozen=True, slots=True)
class RegisterFlow:
    """What registers, and words of the frame, hold on the ways through a section of code."""

    ways: Ways

    def follow(self, origins: Table, registers: Table) -> Followed:
        """What becomes of what the words `origins` leave in `registers`."""
        words = self.ways.words
        numbers = np.arange(len(origins), dtype="<i8")
        goes_on = self.ways.falls[origins]
        state = State(origins[goes_on] + 1, registers[goes_on].astype("<i8"), numbers[goes_on])
        seen: set[int] = set()
        leaves = words.calls | (~words.goes_on & (self.ways.target < 0))
        summands, others, undecoded, handed = ([np.zeros((0, 3), "<i8")] for _ in range(4))
        while len(state.at):
            state = self._fresh(state, seen)
            at, register, _origin = state
            triples = np.stack(state, axis=1)
            unknown = ~words.is_known[at]
            undecoded.append(triples[unknown])
            given = np.full(len(at), self.ways.machine.given_registers, "<u4")
            handed.append(triples[leaves[at] & _has(given, register)])
            is_base, part = words.base[at] == register, words.part[at]
            is_summand = is_base & ((part == Part.SUM) | (part == Part.ACCESS))
            is_copy = is_base & (part == Part.COPY)
            is_spilled = words.is_store[at] & ((words.first[at] == register) | (words.second[at] == register))
            summands.append(triples[is_summand])
            others.append(triples[_has(words.wide[at], register) & ~is_summand & ~is_copy & ~is_spilled])
            after = [
                self._moved(state.only(is_copy), words.result),
                *self._spilled(state.only(is_spilled)),
                *self._loaded(state),
            ]
            parts = [
                State(it.at + 1, it.register, it.origin)
                for it in (each.only(self.ways.falls[each.at]) for each in after)
            ]
            parts += self._onward(state.only(~unknown & ~self._changes(at, register)), seen)
            parts.append(self._passed(state))
            state = _joined(parts)
        return Followed(*(np.concatenate(it) for it in (summands, others, undecoded, handed)))

    def have_other_origins(self, uses: Table, known: Table, *, is_frame_known: bool) -> Table:
        """Which of the `uses`, rows of word and register, read at times what something else than the words `known` left
        there. What a way leaves undefined does not count: compilers read such on ways only that are never taken. Unless
        `is_frame_known`, what is read from the frame has another origin: words of it serve several variables, which
        what is called may write to, too."""
        words, found = self.ways.words, np.zeros(len(uses), np.bool_)
        numbers = np.arange(len(uses), dtype="<i8")
        state = State(uses[:, 0], uses[:, 1], numbers)
        seen: set[int] = set()
        is_known = np.zeros(len(self.ways.stretch), np.bool_)
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
                slot = self._slot(words.frame_base[at], words.frame_offset[at] + offset)
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
        returned = np.full(len(at), self.ways.machine.returned_registers, "<u4")
        of_register = _has(self.ways.words.writes[at], register) | (
            self.ways.words.calls[at] & _has(returned, register)
        )
        return np.where(register < _GENERAL, of_register, self.ways.words.is_store[at])

    def _before(self, state: State, seen: set[int]) -> tuple[State, Table]:
        """The words that may run before, and what begins with a word before which nothing is known."""
        at = state.at
        falls = (at > 0) & self.ways.falls[np.maximum(at, 1) - 1]
        sources, targets = self.ways.branches
        low, high = np.searchsorted(targets, at, "left"), np.searchsorted(targets, at, "right")
        branch, by_branch = spread(low, high)
        is_head = self.ways.is_head[at]
        leaving, owners = self.ways.leaving
        stretch = self.ways.stretch[at[is_head]]
        low, high = np.searchsorted(owners, stretch, "left"), np.searchsorted(owners, stretch, "right")
        leave, by_leaving = spread(low, high)
        passed, pads = self.ways.landing
        through, by_pad = spread(np.searchsorted(pads, at, "left"), np.searchsorted(pads, at, "right"))
        freed = self._is_freed(state.register[by_pad])
        given = np.full(len(at), self.ways.machine.given_registers, "<u4")
        returned = np.full(len(by_pad), self.ways.machine.returned_registers, "<u4")
        enters = ~falls & ~is_head & ~self.ways.is_led_to[at] & ~self.ways.words.is_filler[at]
        begins = (self.ways.is_called[at] | enters) & _has(given, state.register)
        begins[by_pad[_has(returned, state.register[by_pad])]] = True
        parts = (
            State(at[falls] - 1, state.register[falls], state.origin[falls]),
            State(sources[branch], state.register[by_branch], state.origin[by_branch]),
            State(leaving[leave], state.register[is_head][by_leaving], state.origin[is_head][by_leaving]),
            State(passed[through], state.register[by_pad], state.origin[by_pad]).only(~freed),
        )
        return _joined(parts), state.origin[begins]

    def _changes(self, at: Table, register: Table) -> Table:
        """Whether each word leaves something else in a register, or in a word of the frame."""
        words, slot = self.ways.words, register - _SLOTS
        stack, frame = self.ways.machine.stack_number, self.ways.machine.frame_number
        base = np.where(slot & _BY_STACK > 0, stack, frame)
        offset = ((slot & (_BY_STACK - 1)) - _LOWEST) * _WORD
        overlaps = (words.frame_offset[at] < offset + _WORD) & (words.frame_offset[at] + words.frame_size[at] > offset)
        stored = words.is_store[at] & (words.frame_base[at] == base) & overlaps
        moved = np.where(base == stack, words.moves_stack[at], self.ways.clobbers[at] >> frame & 1 == 1)
        return np.where(register < _GENERAL, _has(self.ways.clobbers[at], register), stored | moved)

    def _moved(self, state: State, to: Table) -> State:
        return State(state.at, to[state.at].astype("<i8"), state.origin)

    def _spilled(self, state: State) -> Iterator[State]:
        """Where words store what registers hold in the frame."""
        words, at = self.ways.words, state.at
        for which, offset in ((words.first, 0), (words.second, _WORD)):
            slot = self._slot(words.frame_base[at], words.frame_offset[at] + offset)
            yield State(at, slot, state.origin).only((which[at] == state.register) & (slot >= _GENERAL))

    def _loaded(self, state: State) -> Iterator[State]:
        """Where words load from the frame what was stored there."""
        words, at = self.ways.words, state.at
        is_load = (state.register >= _GENERAL) & (words.frame_base[at] > 0) & ~words.is_store[at]
        for which, offset in ((words.first, 0), (words.second, _WORD)):
            slot = self._slot(words.frame_base[at], words.frame_offset[at] + offset)
            found = is_load & (which[at] < _GENERAL) & (slot == state.register)
            yield State(at, which[at].astype("<i8"), state.origin).only(found)

    def _onward(self, state: State, seen: set[int]) -> Iterator[State]:
        falling = state.only(self.ways.falls[state.at])
        yield State(falling.at + 1, falling.register, falling.origin)
        target = self.ways.target[state.at]
        leads = target >= 0
        yield State(target[leads], state.register[leads], state.origin[leads])
        yield self._elsewhere(state.only(self.ways.words.jumps[state.at]), seen)

    def _passed(self, state: State) -> State:
        """The same where exceptions go on: the registers that calls keep, and the frame."""
        sources, pads = self.ways.throwing
        numbers, which = spread(np.searchsorted(sources, state.at, "left"), np.searchsorted(sources, state.at, "right"))
        kept = ~self._is_freed(state.register[which])
        return State(pads[numbers], state.register[which], state.origin[which]).only(kept)

    def _slot(self, base: Table, offset: Table) -> Table:
        """The number that stands for a word of the frame; -1 for what is none."""
        place = offset // _WORD + _LOWEST
        is_slot = (base > 0) & (offset % _WORD == 0) & (place >= 0) & (place < _HIGHEST + _LOWEST)
        by_stack = np.where(base == self.ways.machine.stack_number, _BY_STACK, 0)
        return np.where(is_slot, _SLOTS + place + by_stack, -1)

    def _is_freed(self, register: Table) -> Table:
        return _has(np.full(len(register), self.ways.machine.freed_registers, "<u4"), register)

    def _elsewhere(self, state: State, seen: set[int]) -> State:
        """The same at the blocks that nothing leads to, in the stretches."""
        heads, owners = self.ways.heads
        stretch = self.ways.stretch[state.at]
        fresh = self._new(-1 - _key(stretch, state.register, state.origin), seen)
        stretch, state = stretch[fresh], state.only(fresh)
        numbers, which = spread(np.searchsorted(owners, stretch, "left"), np.searchsorted(owners, stretch, "right"))
        return State(heads[numbers], state.register[which], state.origin[which])

    def _fresh(self, state: State, seen: set[int]) -> State:
        """Those that were not there before: only where ways join."""
        joins = np.flatnonzero(self.ways.is_join[state.at])
        if not len(joins):
            return state
        kept = np.ones(len(state.at), np.bool_)
        kept[joins] = self._new(_key(*state.only(joins)), seen)
        return state.only(kept)

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


def _key(one: Table, register: Table, origin: Table) -> Table:
    found: Table = ((one << _PLACES) + register << _ORIGINS) + origin
    return found
