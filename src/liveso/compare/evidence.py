"""What the code of two versions says about the layout of their data, where it was compiled without debug information.

A function that is the same in both versions except for a displacement is a witness that a member moved; one that
refers to another place of the data, that a variable moved; one that hands another size to an allocator, that an object
grew.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from liveso.compare.correspondence import Correspondence, same_layout
from liveso.compare.edited_functions import EditedFunctions
from liveso.compare.matching import Matching, match_functions
from liveso.compare.matching_blocks import TooDifferent
from liveso.compare.moved_references import MovedReferences
from liveso.compare.new_initialisers import NewInitialisers
from liveso.compare.slots import SlotComparison
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import Kind, Witness
from liveso.elf import Image
from liveso.elf.data import data_layout

ENOUGH = 0.5
"""The share of the code that must have been compared before it can be judged."""
_MANY_CHANGED, _MANY_WITNESSES = 3000, 1000  # functions, and what they saw: beyond, more say nothing new


@dataclass(frozen=True)
class Evidence:
    """All witnesses, the addresses of the new version's initialisers that the process has not run, and how much of the
    code could be compared: `compared` of `size` bytes, which is the size of the version that has less code, because
    what only one of them has is no contradiction. Where little of it can be laid side by side, as after another
    compiler, a function that accesses the same members in both versions is compared, too. `staying` has the number of
    functions that saw a variable, by kind and offset in bytes, stay where it was. `is_complete`: none was left out
    because there was no doubt any more."""

    witnesses: tuple[Witness, ...]
    staying: Mapping[tuple[Kind, int], int]
    initialisers: tuple[int, ...]
    compared: int
    size: int
    functions: int
    matched: int
    is_complete: bool


def gather_evidence(
    old: Image,
    new: Image,
    matching: Matching | None = None,
    correspondence: Correspondence | None = None,
    thread_locals: Correspondence | None = None,
) -> Evidence:
    """Compare the code of two versions, whose functions `matching` has, and their variables `correspondence`, and
    `thread_locals` those of each thread; without that, they are taken to lie where they lay. Raises ImageError where
    one of them has no unwind table that can be read."""
    matching = matching or match_functions(old, new)
    places = {
        "data": correspondence or same_layout(len(data_layout(new).span)),
        "tls": thread_locals or same_layout(new.block_size),
    }
    versions, staying = TwoVersions(old, new, matching, places), Counter[tuple[Kind, int]]()
    witnesses = list(MovedReferences(versions, staying).found())
    edited = EditedFunctions(versions, staying)
    compared = changed = 0
    partly: list[tuple[int, int, float]] = []
    ranges = matching.old.functions.tolist()
    for i, j in matching.pairs:
        start, end = ranges[i]
        if matching.old.shapes[i] == matching.new.shapes[j]:
            compared += end - start
        elif changed > _MANY_CHANGED and len(witnesses) > _MANY_WITNESSES:
            break  # another release, and not an update of this one: there is no doubt about the verdict
        elif edited.is_comparable(i, j):
            changed += 1
            try:
                found, share = edited.changed(i, j)
            except TooDifferent:
                continue  # not compared, as one that is too large
            witnesses.extend(found)
            compared += int(share * (end - start))
            partly.append((i, j, share))
    size = min(int((it.functions["end"] - it.functions["start"]).sum()) for it in (matching.old, matching.new))
    witnesses.extend(SlotComparison(versions).slots())
    compared += _look_alikes(matching)
    if compared < ENOUGH * size:
        compared += sum(
            int((1 - share) * (ranges[i][1] - ranges[i][0])) for i, j, share in partly if edited.accesses_alike(i, j)
        )
    return Evidence(
        tuple(witnesses),
        staying,
        tuple(NewInitialisers((old, new), versions.readers, matching).found()),
        compared,
        size,
        len(matching.old.shapes),
        len(matching.pairs),
        changed <= _MANY_CHANGED or len(witnesses) <= _MANY_WITNESSES,
    )


def _look_alikes(matching: Matching) -> int:
    """The size in bytes of functions without a partner that have their equals in the new version."""
    matched, shapes = {i for i, _j in matching.pairs}, frozenset(matching.new.shapes)
    sizes = matching.old.functions["end"] - matching.old.functions["start"]
    return sum(int(sizes[i]) for i, shape in enumerate(matching.old.shapes) if i not in matched and shape in shapes)
