"""The jumps at the homes of functions: whoever calls a function by the address that it remembers gets to the version
that runs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import Machine
from liveso.plan.packed import OVERWRITTEN, pack
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.process.pages import PAGE, Pages, pages_of
from liveso.process.protocol import Piece

CODE = np.dtype([("place", "<u8"), ("content", "u1", (8,))])
"""What code, or a word, at an address of the target is to be: as many bytes as the code of a jump, or a word, has."""


def wanted_code(to: LoadedVersion, homes: Table, machine: Machine) -> tuple[Table, dict[int, int]]:
    """The CODE rows, in the order of places, that let `to` run whoever enters one of its functions by its home: `homes`
    are HOME rows. What jumps took the place of in `to` itself comes back. Jumps that do not reach have no content: by
    their places, they are what comes second, with what they shall lead to. Raises Refused where there are such, and no
    islands."""
    own = to.overwritten
    back = np.zeros(len(own), CODE)
    back["place"], back["content"] = own["place"].astype("<u8") + np.uint64(to.base), own["content"]
    entries = homes["at"].astype("<i8") + to.base
    leads_on = (homes["home"].astype("<i8") != entries) & ~among(homes["place"], back["place"])
    if machine.guarded_entry:  # what stands before the jump has been executed, and stands there in the other one, too
        entries += (homes["place"] - homes["home"]).astype("<i8")
    places, entries = homes["place"][leads_on], entries[leads_on]
    distances, jump = entries - places.astype("<i8"), machine.jump
    if jump is None:
        return back, {}
    is_far = (distances < jump.reach.start) | (distances >= jump.reach.stop)
    if is_far.any() and jump.island is None:
        raise Refused("the new version could only be loaded too far from the old one's functions; restart the program")
    jumps = np.zeros(len(places), CODE)
    jumps["place"] = places
    jumps["content"][~is_far, : jump.size] = jump.encode(distances[~is_far])
    found = np.concatenate([back, jumps])
    found = found[np.unique(found["place"], return_index=True)[1]]
    return found, dict(zip(places[is_far].tolist(), entries[is_far].tolist(), strict=True))


def by_islands(code: Table, islands: Mapping[int, int], machine: Machine) -> Table:
    """The CODE rows in which jumps, by their places, lead to islands."""
    if not islands or machine.jump is None:
        return code
    found, index = code.copy(), np.searchsorted(code["place"], sorted(islands))
    distances = np.array([islands[it] - it for it in sorted(islands)], "<i8")
    found["content"][index, : machine.jump.size] = machine.jump.encode(distances)
    return found


def present_code(code: Table, pages: Pages, size: int) -> Table:
    """The CODE rows as they are, `size` bytes of each."""
    found = code.copy()
    found["content"] = 0
    found["content"][:, :size] = pages.contents(code["place"], size)
    return found


def patches(code: Table, pages: Pages, size: int) -> list[Piece]:
    """The changes to the pages that hold CODE rows, as far as there are any."""
    touched = pages.only(pages_of(code["place"], size))
    memory = touched.memory.copy()
    memory[touched.offsets(code["place"])[:, None] + np.arange(size)] = code["content"][:, :size]
    before, after = touched.memory.reshape(-1, PAGE), memory.reshape(-1, PAGE)
    differing = np.flatnonzero((before != after).any(axis=1))
    starts = np.flatnonzero(np.diff(touched.numbers[differing]) != 1) + 1
    return [
        Piece(int(touched.numbers[index[0]]) * PAGE, before[index].tobytes(), after[index].tobytes())
        for index in np.split(differing, starts)
        if len(index)
    ]


def with_overwritten(state: LibraryState, present: Table, size: int) -> LibraryState:
    """The state with what the first jumps take the place of: `present` is the code at their places."""
    versions = []
    for it in state.versions:
        inside = present[(present["place"] >= it.base) & (present["place"] < it.base + it.size)]
        offsets = (inside["place"] - np.uint64(it.base)).astype("<u4")
        known = it.overwritten
        is_new = ~among(offsets, known["place"])
        rows = np.zeros(int(is_new.sum()), OVERWRITTEN)
        rows["place"] = offsets[is_new]
        rows["content"][:, :size] = inside["content"][is_new][:, :size]
        together = np.sort(np.concatenate([known, rows]), order="place")
        versions.append(replace(it, packed=pack(together)) if len(rows) else it)
    return replace(state, versions=tuple(versions))


def led_to(place: int, content: bytes, machine: Machine) -> int:
    """Where the code at the `place` of a jump leads: to another version, to an island, or nowhere else."""
    return place + ((machine.jump and machine.jump.decode(content)) or 0)


def version_at(state: LibraryState, address: int) -> LoadedVersion | None:
    """The version that an address lies in."""
    return next((it for it in state.versions if it.base <= address < it.base + it.size), None)
