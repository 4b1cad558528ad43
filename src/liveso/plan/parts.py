"""The changes to references whose instructions hold parts of an address: some leave its page, others add the rest, and
others get on from there to what lies near."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from liveso.code import References
from liveso.elf import Image
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import PartEncoding
from liveso.machine.part_encoding import Detour, Encoded
from liveso.plan.homes import Placement
from liveso.process.protocol import HALF
from liveso.store import room_for_detours

_WORD = 4  # bytes of an instruction
_ALIGNMENT = 16  # bytes: of the largest access

_Encode = Callable[[Table, Table], Encoded]


def part_changes(image: Image, parts: PartEncoding, references: References, rows: Table, placement: Placement) -> Table:
    """The changes to words of code, as HALF rows, that let all references in `rows`, and what is reached by way of
    them, lead to where their targets live. Raises Refused where one cannot."""
    base = placement.map.base
    led_to = placement.all_led_to(rows["place"], rows["target"])
    formed = rows["target"].astype("<i8") + base
    at: dict[int, int] = dict(zip(rows["place"].tolist(), led_to.tolist(), strict=True))
    anchored = np.concatenate([references.anchored, references.anchored_constants])
    is_anchored = among(references.pages["place"], anchored["place"])
    writer = _Writer(image, parts, base)
    # what has an index in it goes on from an address by no number
    is_free = among(rows["place"], references.anchors) & ~among(rows["target"], references.bound["base"])
    free = set(rows["place"][is_free].tolist())
    _go_on(writer, anchored, references.pages[is_anchored], placement, at, free)
    moved = {it for it, before in zip(rows["place"].tolist(), formed.tolist(), strict=True) if at[it] != before}
    for it in sorted(moved.difference(references.pages["place"].tolist())):
        writer.write(it, parts.whole, None, at[it], at[it] - base - it)
    for leaving, adding in _sharing(references.pages[~is_anchored].tolist()):
        if moved.isdisjoint(adding):
            continue
        stays = adding - at.keys()  # slots of the linker's, for example
        first = min(leaving)
        page = _decoded(image, first) + base
        if not stays:
            page = parts.page_for(first + base, min(at[it] for it in adding))
        for it in sorted(leaving) if not stays else ():
            writer.write(it, parts.page, None, page, page - parts.from_page(it + base))
        for it in sorted(adding - stays):
            writer.write(it, parts.low, page, at[it], at[it] - page)
    return writer.halves()


def _decoded(image: Image, place: int) -> int:
    """The number in an instruction, or the page that it leaves."""
    assert image.machine.code_words is not None
    return int(image.machine.code_words(image.bytes_at(place, _WORD), place).number[0])


def _go_on(
    writer: "_Writer", anchored: Table, pages: Table, placement: Placement, at: dict[int, int], free: set[int]
) -> None:
    """Let instructions add to an address that others have left what it takes from there. An address that is for nothing
    else, left at a place that is `free`, is chosen anew in `at`, so that as many as can be are reached from it."""
    base = placement.map.base
    anchored = np.sort(anchored, order=["place", "displacement"])
    distances = placement.map.homes(anchored["target"]) - anchored["target"].astype("<i8")
    first, index = np.unique(anchored["place"], return_index=True)
    together = np.repeat(distances[index], np.diff(np.r_[index, len(anchored)]))
    if (distances != together).any():  # several are accessed at once
        raise _cannot_lead(int(anchored["place"][distances != together][0]))
    places = first.tolist()
    numbers = {it: _decoded(writer.image, it) for it in places}
    # a row may be about the second of two that are accessed at once, whose first lies where the anchor leads
    behind = anchored["displacement"][index] - np.array([numbers[it] for it in places], "<i8")
    before = anchored["target"][index].astype("<i8") - behind
    targets = dict(zip(places, before.tolist(), strict=True))
    homes = dict(zip(places, (before + distances[index]).tolist(), strict=True))
    for leaving, reaching in _sharing(pages.tolist()):
        one = min(reaching)
        anchor = targets[one] - numbers[one] + base
        fixed = {at.get(it, homes.get(it, anchor)) for it in leaving - free}
        if len(fixed) > 1:
            raise _cannot_lead(one)
        if any(homes[it] != targets[it] + base for it in reaching) or not fixed <= {anchor}:
            distances_from_home = {homes[it] - targets[it] for it in reaching}
            if fixed:
                anchor = fixed.pop()
            elif len(distances_from_home) == 1:
                anchor += distances_from_home.pop() - base  # every instruction keeps its number
            else:
                anchor = _anchor([homes[it] for it in reaching], writer.parts.reach.stop)
            for it in sorted(reaching):
                if homes[it] - anchor != numbers[it]:  # else any instruction has its number already
                    writer.write(it, writer.parts.step, anchor, homes[it], homes[it] - anchor)
        at |= dict.fromkeys(leaving & free, anchor)


def _anchor(homes: Sequence[int], reach: int) -> int:
    """The address from which most of some others are reached, which may be so many bytes behind it."""
    sorted_homes = np.array(sorted(homes), "<i8")
    starts = sorted_homes // _ALIGNMENT * _ALIGNMENT
    ends = np.searchsorted(sorted_homes, starts + reach)
    return int(starts[np.argmax(ends - np.searchsorted(sorted_homes, starts))])


class _Writer:
    """Takes up words of code, and those of detours for what they cannot hold."""

    def __init__(self, image: Image, parts: PartEncoding, base: int) -> None:
        self.image = image
        self.parts = parts
        self._base = base
        self._room = room_for_detours(image)
        self._rows: list[tuple[int, int, int]] = []

    def write(self, place: int, encode: _Encode, value: int | None, address: int, number: int) -> None:
        """Let the instruction at `place`, which has `value` in its register for addresses, lead to `address` by the
        `number` that it is to hold. Raises Refused where that cannot be."""
        before = int.from_bytes(self.image.bytes_at(place, _WORD), "little")
        words, fits = encode(np.array([before], "<u4"), np.array([number], "<i8"))
        after = int(words[0]) if fits[0] else self._detour(Detour(before, value, address, 0, place + _WORD), place)
        if after != before:
            self._rows.append((place + self._base, before, after))

    def _detour(self, it: Detour, place: int) -> int:
        detours = self.parts.detours
        if detours is None or not self._room:
            raise _cannot_lead(place)
        start, self._room = self._room.start + self._base, self._room[1:]
        words = detours.code(replace(it, start=start, end=it.end + self._base))
        leave = detours.leave(place + self._base, start)
        if words is None or leave is None:
            raise _cannot_lead(place)
        self._rows += [(start + number * _WORD, 0, word) for number, word in enumerate(words)]
        return leave

    def halves(self) -> Table:
        return np.array(self._rows, HALF)


def _sharing(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[set[int], set[int]]]:
    """The instructions that leave addresses, and those that go on from there, by what goes together. Each of the
    `pairs` is one of the second kind with one of the first."""
    by_adding, by_leaving = defaultdict(list), defaultdict(list)
    for place, page in pairs:
        by_adding[place].append(page)
        by_leaving[page].append(place)
    while by_leaving:
        first = next(iter(by_leaving))
        leaving, adding, waiting = {first}, set[int](), [first]
        while waiting:
            for place in by_leaving.pop(waiting.pop()):
                adding.add(place)
                coming = set(by_adding[place]) - leaving
                leaving |= coming
                waiting += coming
        yield leaving, adding


def _cannot_lead(place: int) -> Refused:
    return Refused(f"its code at {place:#x} cannot lead to where the variable lives; restart the program to get it")
