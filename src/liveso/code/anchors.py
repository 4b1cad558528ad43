"""What code reaches by way of an address that it has formed in a register for something else (AArch64: "section
anchors" of gcc, merged variables of clang): one instruction leaves the address of a variable, others add a number to
that, or access what lies at the sum, which is in another variable.

No linker knows of these places. They are followed as pages are, from each instruction that leaves an address.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from liveso.code.register_flow import RegisterFlow
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table
from liveso.machine import Part

ADDRESS = np.dtype([("page", "<u8"), ("place", "<u8"), ("target", "<i8"), ("number", "<i8"), ("forms_address", "?")])
"""An address that code forms or accesses: by the instructions at `page` and at `place`, which adds `number` to it, in
bytes; where one instruction has all of it, both are the same, and `number` is the distance from there."""
BOUND = np.dtype([("place", "<u8"), ("base", "<i8"), ("target", "<i8")])
"""The instruction at `place` reaches `target` by way of the address `base`, at times or with an index that is not
known, or together with it: it goes on to do so only where both have moved alike."""

_REGISTERS = 32
_ROUNDS = 6  # of going on from a sum to the next
_SUMS = (Part.SUM, Part.OTHER_SUM)
_ACCESSES = (Part.ACCESS, Part.OTHER_ACCESS)
_LEAVING = (*_SUMS, Part.ACCESS_AND_SUM, Part.ACCESS_THEN_SUM, Part.INDEX)
_REACHING = (*_SUMS, *_ACCESSES, Part.ACCESS_AND_SUM)


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """`rows` are ADDRESS rows: `page` is the instruction that leaves the address which `number` is added to. `bound`
    are BOUND rows, of what is not certain. Both have those only that lead elsewhere than the address itself; but what
    is accessed at one of the `anchors` is among the `rows`, too. These are the places that form an address for nothing
    else than to reach what is certain by way of it."""

    rows: Table
    bound: Table
    anchors: Table


class _Origins(NamedTuple):
    """Words that leave an address in a register: their numbers, and the address, as `value`. `base` is the one that a
    linker or a row leads to its object, from which they have it: the same where it `is_certain`. Where there is an
    index between, or one of several bases, it is not."""

    at: Table
    base: Table
    value: Table
    is_certain: Table

    def only(self, which: Table) -> "_Origins":
        return _Origins(*(it[which] for it in self))

    def and_others(self, others: "_Origins") -> "_Origins":
        return _Origins(*(np.concatenate(pair) for pair in zip(self, others, strict=True)))


def reached_from(
    flow: RegisterFlow, places: Table, formed: Table, addresses: Table, spans: tuple[range, ...]
) -> Reached:
    """What the words number `formed`, which leave `addresses` in their results, lead to inside `spans`. `places` are
    the addresses of all words."""
    inside = _span_of(addresses, spans) >= 0
    certain = np.ones(int(inside.sum()), np.bool_)
    fresh = _one_each(_Origins(formed[inside], addresses[inside], addresses[inside], certain))
    mixing = _Mixing(flow)
    known, uses, others = fresh, np.zeros((0, 3), "<i8"), np.zeros(0, "<i8")
    for _round in range(_ROUNDS):
        found, escaping = _uses(flow, fresh)
        found[:, 2] += len(known.at) - len(fresh.at)
        uses = np.concatenate([uses, found])
        others = np.concatenate([others, escaping + len(known.at) - len(fresh.at)])
        fresh = _new_origins(mixing, known, uses, spans)
        if not len(fresh.at):
            break
        known = known.and_others(fresh)
    return _reached(mixing, places, known, uses, others, spans)


def _one_each(origins: _Origins) -> _Origins:
    """One of those that have what they leave from the same base."""
    order = np.lexsort((origins.is_certain, origins.value, origins.base, origins.at))
    origins = origins.only(order)
    is_first = np.ones(len(origins.at), np.bool_)
    is_first[1:] = (np.diff(origins.at) != 0) | (np.diff(origins.base) != 0)
    return origins.only(is_first)


def _uses(flow: RegisterFlow, origins: _Origins) -> tuple[Table, Table]:
    """Rows of word, register and the number of the origin among `origins`, for each that goes on from an address; and
    the origins that something else is done with."""
    words = flow.ways.words
    followed = flow.follow(origins.at, words.result[origins.at])
    found = np.concatenate([followed.summands, followed.others])
    at, register, _origin = found.T
    part = words.part[at]
    is_base = (words.base[at] == register) & np.isin(part, (*_REACHING, Part.ACCESS_THEN_SUM))
    is_use = is_base | (part == Part.INDEX)
    escaping = np.concatenate([found[~is_use], followed.undecoded, followed.handed])
    return np.unique(found[is_use], axis=0), distinct(escaping[:, 2])


class _Mixing:
    """Asks whether the register of each use holds something else at times than what the known origins left. What does
    not is asked once: more origins change nothing about it."""

    def __init__(self, flow: RegisterFlow) -> None:
        self.flow, self._clean = flow, np.zeros(0, "<i8")

    def of(self, known: _Origins, uses: Table) -> Table:
        keys = uses[:, 0] * _REGISTERS + uses[:, 1]
        asked = distinct(keys[~among(keys, self._clean)])
        pairs = np.stack([asked // _REGISTERS, asked % _REGISTERS], axis=1)
        mixed = asked[self.flow.have_other_origins(pairs, distinct(known.at), is_frame_known=True)]
        self._clean = np.concatenate([self._clean, asked[~among(asked, mixed)]])
        found: Table = among(keys, mixed)
        return found


def _is_alone(known: _Origins, uses: Table) -> Table:
    """Whether one address comes to each use, from which it is known how far the place is."""
    rows = np.unique(np.stack([uses[:, 0], known.base[uses[:, 2]], known.value[uses[:, 2]]], axis=1), axis=0)
    numbers, counts = np.unique(rows[:, 0], return_counts=True)
    found: Table = ~among(uses[:, 0], numbers[counts > 1]) & known.is_certain[uses[:, 2]]
    return found


def _new_origins(mixing: _Mixing, known: _Origins, uses: Table, spans: tuple[range, ...]) -> _Origins:
    """The words among `uses` that leave another address, and are not known yet: what goes along an array has no end."""
    words = mixing.flow.ways.words
    uses = uses[np.isin(words.part[uses[:, 0]], _LEAVING)]
    uses = uses[~mixing.of(known, uses)]
    at, _register, origin = uses.T
    value = known.value[origin] + np.where(words.part[at] == Part.INDEX, 0, words.number[at])
    leads = _is_alone(known, uses) & np.isin(words.part[at], _REACHING)
    found = _one_each(_Origins(at, np.where(leads, value, known.base[origin]), value, leads))
    seen = set(zip(known.at.tolist(), known.base.tolist(), strict=True))
    is_new = [pair not in seen for pair in zip(found.at.tolist(), found.base.tolist(), strict=True)]
    return found.only(np.array(is_new, np.bool_) & (_span_of(found.value, spans) >= 0))


def _reached(
    mixing: _Mixing, places: Table, known: _Origins, uses: Table, others: Table, spans: tuple[range, ...]
) -> Reached:
    words = mixing.flow.ways.words
    at, _register, origin = uses.T
    is_reached = np.isin(words.part[at], _REACHING)
    is_sum = np.isin(words.part[at], _SUMS)
    base, target = known.base[origin], known.value[origin] + words.number[at]
    span = _span_of(target, spans)
    leads = is_reached & (span >= 0) & (span == _span_of(base, spans))
    is_mixed = mixing.of(known, uses)
    is_certain = leads & _is_alone(known, uses) & ~is_mixed
    is_anchor = known.is_certain.copy()
    is_anchor[others] = is_anchor[origin[~is_certain]] = False
    rows = np.zeros(len(at), ADDRESS)
    rows["page"], rows["place"], rows["target"] = places[known.at[origin]], places[at], target
    rows["number"], rows["forms_address"] = words.number[at], is_sum
    is_elsewhere = target != base
    # a sum with what is not known is a step along an array
    bound = _bound(places[at], base, target)[leads & is_elsewhere & ~is_certain & ~(is_sum & is_mixed)]
    # two registers at once, of two variables or one, and other accesses of what may be two
    is_access, second = is_reached & ~is_sum & (span >= 0), words.second_at[at]
    last = target + np.where(second > 0, 2 * second, words.frame_size[at]) - 1
    both = _bound(places[at], target, last)[is_access & (last > target)]
    is_pair = is_certain & is_access & (second > 0)
    seconds = rows[is_pair]
    for name in ("number", "target"):
        seconds[name] += second[is_pair]
    return Reached(
        distinct(np.concatenate([rows[is_certain & (is_elsewhere | is_anchor[origin])], seconds])),
        distinct(np.concatenate([bound, both])),
        distinct(places[known.at[is_anchor]]),
    )


def _bound(places: Table, base: Table, target: Table) -> Table:
    found = np.zeros(len(places), BOUND)
    found["place"], found["base"], found["target"] = places, base, target
    return found


def _span_of(addresses: Table, spans: tuple[range, ...]) -> Table:
    """The number of the span that each address lies in, or at the end of; -1 for none."""
    found = np.full(len(addresses), -1, "<i8")
    for number, span in enumerate(spans):
        if span:
            found[(addresses >= span.start) & (addresses <= span.stop)] = number
    return found
