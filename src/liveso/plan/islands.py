"""Islands: where an entry jump does not reach the version that runs, it leads to one near by, which leads on."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import LivesoError
from liveso.machine.entry_jump import EntryJump
from liveso.process.memory_map import Protections
from liveso.process.pages import Pages
from liveso.process.protocol import WORD

ISLAND_SIZE = 32
"""Bytes of an island: two words of code and address, the place of the jump that it belongs to, and nothing."""
LARGEST_ROOM = 16 << 20
"""Bytes that the islands of one version can take at a time."""

_WORD = 8
_ALIGNMENT = 1 << 16  # bytes: no machine has larger pages (psABI, AArch64)
_SPARE = 64  # islands for what later versions have in common
_LOWEST = 1 << 16  # no process may map what lies below (proc(5), mmap_min_addr)

Rooms = Sequence[tuple[int, int]]
"""Where there are islands: address and size of each piece of memory."""


class NoRoom(LivesoError):
    """There are not enough islands for the jumps at `places`."""

    def __init__(self, places: Table) -> None:
        super().__init__("there are too few islands")
        self.places = places


def islands_for(
    targets: Mapping[int, int], rooms: Rooms, pages: Pages, jump: EntryJump
) -> tuple[dict[int, int], Table]:
    """The island of each jump in `targets`, which has by the places of jumps what they shall lead to, and the changes
    to islands, as WORD rows. A jump has the same island for ever. Raises NoRoom."""
    assert jump.island is not None
    islands = list(_owners(rooms, pages))
    owners = {owner: at for at, owner in islands if owner}
    free = [at for at, owner in islands if not owner]
    found = {place: owners[place] for place in targets if place in owners}
    for place in sorted(targets.keys() - found.keys()):
        near = next((index for index in reversed(range(len(free))) if free[index] - place in jump.reach), None)
        if near is None:
            raise NoRoom(np.array(sorted(targets.keys() - found.keys()), "<u8"))
        found[place] = free.pop(near)
    places = np.array(sorted(targets), "<u8")
    addresses = np.array([found[it] for it in places.tolist()], "<u8")
    code = jump.island(np.array([targets[it] for it in places.tolist()], "<u8"))
    words = np.zeros(3 * len(places), WORD)
    words["address"] = (addresses[:, None] + np.arange(3, dtype="<u8") * np.uint64(_WORD)).ravel()
    words["value"] = np.column_stack([code, places]).ravel()
    words["expected"] = pages.words(words["address"])
    return found, words[words["expected"] != words["value"]]


def _owners(rooms: Rooms, pages: Pages) -> Iterator[tuple[int, int]]:
    """Each island, with the place of the jump that has it, 0 where none has."""
    for start, size in rooms:
        words = pages.between(start, start + size).view("<u8").reshape(-1, ISLAND_SIZE // _WORD)
        yield from zip(range(start, start + size, ISLAND_SIZE), words[:, 2].tolist(), strict=True)


def place_for_room(
    places: Table, mapped: Protections, jump: EntryJump, taken: Sequence[range] = ()
) -> tuple[int, int] | None:
    """Address and size of memory that is not mapped yet, nor `taken` otherwise, for the islands of jumps at `places`,
    which all reach it; None where there is none."""
    size = -(-(len(places) + _SPARE) * ISLAND_SIZE // _ALIGNMENT) * _ALIGNMENT
    lowest = max(int(places.max()) + jump.reach.start + size, _LOWEST)
    highest = int(places.min()) + jump.reach.stop - 1 - size
    used = np.r_[
        np.stack([mapped.starts, mapped.ends], axis=1).astype("<i8"),
        np.array([(it.start, it.stop) for it in taken], "<i8").reshape(-1, 2),
    ]
    used = used[np.argsort(used[:, 0], kind="stable")]
    starts, ends = np.r_[0, np.maximum.accumulate(used[:, 1])], np.r_[used[:, 0], 1 << 62]
    first = -(-np.maximum(starts, lowest) // _ALIGNMENT) * _ALIGNMENT
    last = (np.minimum(ends - size, highest)) // _ALIGNMENT * _ALIGNMENT
    fits = np.flatnonzero(first <= last)
    if not len(fits) or size > LARGEST_ROOM:
        return None
    middle = int(places[len(places) // 2])
    nearest = np.clip(middle // _ALIGNMENT * _ALIGNMENT, first[fits], last[fits])
    return int(nearest[np.argmin(np.abs(nearest - middle))]), size
