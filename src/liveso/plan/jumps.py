"""The jumps at the homes of functions: whoever calls a function by the address that it remembers gets to the version
that runs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import Machine
from liveso.plan.functions import OVERWRITTEN, overwritten_bytes, pack
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.process.protocol import Piece

CODE = np.dtype([("place", "<u8"), ("content", "u1", (8,))])
"""What code, or a word, at an address of the target is to be: as many bytes as the code of a jump, or a word, has."""

PAGE = 4096
_REACH = 1 << 31  # bytes


def wanted_code(to: LoadedVersion, homes: Table, machine: Machine) -> Table:
    """The CODE rows, in the order of places, that let `to` run whoever enters one of its functions by its home: `homes`
    are HOME rows. What jumps took the place of in `to` itself comes back. Raises Refused where a jump does not
    reach."""
    own = overwritten_bytes(to.overwritten)
    back = np.zeros(len(own), CODE)
    back["place"], back["content"] = own["place"].astype("<u8") + np.uint64(to.base), own["content"]
    entries = homes["at"].astype("<i8") + to.base
    leads_on = (homes["home"].astype("<i8") != entries) & ~np.isin(homes["place"], back["place"])
    places, entries = homes["place"][leads_on], entries[leads_on]
    distances = entries - places.astype("<i8") - machine.jump_size
    if len(distances) and not (distances.min() >= -_REACH and distances.max() < _REACH):
        raise Refused("the new version could only be loaded too far from the old one's functions; restart the program")
    jumps = np.zeros(len(places), CODE)
    jumps["place"] = places
    start = len(machine.jump)
    jumps["content"][:, :start] = np.frombuffer(machine.jump, np.uint8)
    jumps["content"][:, start : start + 4] = distances.astype("<i4").view(np.uint8).reshape(-1, 4)
    found = np.concatenate([back, jumps])
    return found[np.unique(found["place"], return_index=True)[1]]


def pages_of(code: Table, size: int) -> list[tuple[int, int]]:
    """Runs of whole pages, as address and size, that hold `size` bytes from each place."""
    pages = np.unique(np.r_[code["place"] // PAGE, (code["place"] + np.uint64(size - 1)) // PAGE]).astype("<i8")
    runs = np.split(pages, np.flatnonzero(np.diff(pages) != 1) + 1) if len(pages) else []
    return [(int(run[0]) * PAGE, len(run) * PAGE) for run in runs]


def present_code(code: Table, runs: Sequence[tuple[int, int]], contents: Sequence[bytes], size: int) -> Table:
    """The CODE rows as they are: `contents` are those of the `runs` of pages."""
    found = code.copy()
    found["content"] = 0
    memory, offsets = _memory(code, runs, contents)
    found["content"][:, :size] = memory[offsets[:, None] + np.arange(size)]
    return found


def patches(code: Table, runs: Sequence[tuple[int, int]], contents: Sequence[bytes], size: int) -> list[Piece]:
    """The changes to the pages, as far as there are any."""
    memory, offsets = _memory(code, runs, contents)
    memory = memory.copy()
    memory[offsets[:, None] + np.arange(size)] = code["content"][:, :size]
    after, at = memory.tobytes(), 0
    found: list[Piece] = []
    for (address, length), before in zip(runs, contents, strict=True):
        for page in range(0, length, PAGE):
            old, new = before[page : page + PAGE], after[at + page : at + page + PAGE]
            if old == new:
                continue
            last = found[-1] if found else None
            if last and last.address + len(last.content) == address + page:
                found[-1] = Piece(last.address, last.expected + old, last.content + new)
            else:
                found.append(Piece(address + page, old, new))
        at += length
    return found


def _memory(code: Table, runs: Sequence[tuple[int, int]], contents: Sequence[bytes]) -> tuple[Table, Table]:
    """The runs one after another, and where each row of the code is in them."""
    starts = np.array([address for address, _size in runs], "<i8")
    begins = np.cumsum([0, *(size for _address, size in runs)])[:-1]
    places = code["place"].astype("<i8")
    index = np.searchsorted(starts, places, side="right") - 1
    return np.frombuffer(b"".join(contents), np.uint8), places - starts[index] + begins[index]


def with_overwritten(state: LibraryState, present: Table, size: int) -> LibraryState:
    """The state with what the first jumps take the place of: `present` is the code at their places."""
    versions = []
    for it in state.versions:
        inside = present[(present["place"] >= it.base) & (present["place"] < it.base + it.size)]
        offsets = (inside["place"] - np.uint64(it.base)).astype("<u4")
        known = overwritten_bytes(it.overwritten)
        is_new = ~np.isin(offsets, known["place"])
        rows = np.zeros(int(is_new.sum()), OVERWRITTEN)
        rows["place"] = offsets[is_new]
        rows["content"][:, :size] = inside["content"][is_new][:, :size]
        together = np.sort(np.concatenate([known, rows]), order="place")
        versions.append(replace(it, overwritten=pack(together)) if len(rows) else it)
    return replace(state, versions=tuple(versions))


def version_led_to(state: LibraryState, place: int, content: bytes, machine: Machine) -> LoadedVersion | None:
    """The version that runs, as the code at the `place` of a jump tells."""
    start = len(machine.jump)
    target = place
    if content[:start] == machine.jump:
        target += machine.jump_size + int.from_bytes(content[start : start + 4], "little", signed=True)
    return next((it for it in state.versions if it.base <= target < it.base + it.size), None)
