"""What the code of two versions says about the layout of their data, where it was compiled without debug information.

A function that is the same in both versions except for a displacement is a witness that a member moved; one that
refers to another place of the data, that a variable moved; one that hands another size to an allocator, that an object
grew.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from liveso.compare.correspondence import Correspondence, same_layout
from liveso.compare.edited_functions import Edited, EditedFunctions
from liveso.compare.matching import Matching, match_functions
from liveso.compare.matching_blocks import TooDifferent
from liveso.compare.moved_references import MovedReferences
from liveso.compare.new_initialisers import NewInitialisers
from liveso.compare.slots import SlotComparison
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import Kind, Witness
from liveso.elf import Image
from liveso.elf.data import data_layout
from liveso.side_by_side import side_by_side

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
    edited = EditedFunctions(versions)
    sizes: list[int] = (matching.old.functions["end"] - matching.old.functions["start"]).tolist()
    is_same = {(i, j): matching.old.shapes[i] == matching.new.shapes[j] for i, j in matching.comparable}
    compared = sum(sizes[i] for (i, _j), same in is_same.items() if same)
    changed = [it for it, same in is_same.items() if not same and edited.is_comparable(*it)]
    partly: list[tuple[int, int, float]] = []

    def compare(pair: tuple[int, int]) -> Edited | None:
        try:
            return edited.changed(*pair)
        except TooDifferent:
            return None  # not compared, as one that is too large

    done = 0
    while done < len(changed) and (done < _MANY_CHANGED or len(witnesses) <= _MANY_WITNESSES):
        part = changed[done : done + _MANY_CHANGED]
        for (i, j), found in zip(part, side_by_side(compare, part), strict=True):
            if found:
                witnesses.extend(found.witnesses)
                staying.update(found.staying)
                compared += int(found.share * sizes[i])
                partly.append((i, j, found.share))
        done += len(part)
    size = min(int((it.functions["end"] - it.functions["start"]).sum()) for it in (matching.old, matching.new))
    witnesses.extend(SlotComparison(versions).slots())
    compared += _look_alikes(matching)
    if compared < ENOUGH * size:
        compared += sum(int((1 - share) * sizes[i]) for i, j, share in partly if edited.accesses_alike(i, j))
    return Evidence(
        tuple(witnesses),
        staying,
        tuple(NewInitialisers((old, new), versions.readers, matching).found()),
        compared,
        size,
        len(matching.old.shapes),
        len(matching.pairs),
        done == len(changed),  # else it is another release, and not an update of this one
    )


def _look_alikes(matching: Matching) -> int:
    """The size in bytes of functions without a partner that have their equals in the new version."""
    matched, shapes = {i for i, _j in matching.pairs}, frozenset(matching.new.shapes)
    sizes = matching.old.functions["end"] - matching.old.functions["start"]
    return sum(int(sizes[i]) for i, shape in enumerate(matching.old.shapes) if i not in matched and shape in shapes)
