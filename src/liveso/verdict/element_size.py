"""Elements of arrays that grew or shrank, whatever instructions multiply an index by their size."""

from collections.abc import Iterator

from liveso.code.strides import strides
from liveso.compare.changed_uses import ENOUGH, ChangedFunction, listed, verb
from liveso.errors import ImageError
from liveso.machine import Machine
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, note, refuse, rule

_LEAST = 4  # bytes: smaller elements are characters, which a function is free to keep wider


@rule("element-size")
def elements_keep_their_size(pair: Pair) -> Iterator[Difference]:
    """Functions that multiplied an index or a count by one number do so by another one now, where an allocator is given
    the product, or an address is formed from it: the elements of an array have another size, and an array from before
    has the old one. Two functions must agree, one of which allocates: without, libgslcblas's loops are unrolled
    otherwise."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    votes: dict[tuple[int, int], set[str]] = {}
    sized: set[tuple[int, int]] = set()
    for it in functions:
        change, is_size = _change(it, pair.old.machine)
        if change is not None:
            votes.setdefault(change, set()).add(it.name)
            if is_size:
                sized.add(change)
    for (old, new), names in sorted(votes.items()):
        who = sorted(names)
        is_certain = len(who) >= ENOUGH and (old, new) in sized
        yield (refuse if is_certain else note)(
            f"{listed(who)} {verb(who, 'take')} the elements of an array for {new} bytes long instead of {old}"
            + (": arrays from before would be misread" if is_certain else ""),
            old=str(old),
            new=str(new),
            where=tuple(who),
        )


def _change(it: ChangedFunction, machine: Machine) -> tuple[tuple[int, int] | None, bool]:
    """The one number that became another one in a function, and whether an allocator is given its product."""
    old, new = (strides(code, machine) for code in it.codes)
    gone, come = old.steps - new.steps, new.steps - old.steps
    if not (gone or come):
        gone, come = old.sizes - new.sizes, new.sizes - old.sizes
    if len(gone) != len(come) or not gone or min(*gone, *come) < _LEAST:
        return None, False
    change = min(gone), min(come)
    if any(before * change[1] != after * change[0] for before, after in zip(sorted(gone), sorted(come), strict=True)):
        return None, False  # not multiples of one size
    sizes = {(before, after) for before in old.sizes for after in new.sizes}
    return change, any(before * change[1] == after * change[0] for before, after in sizes)
