"""Members that hold a resource of another library: a stream, a mapping, memory of the heap."""

import re
from collections.abc import Iterator

from liveso.code.allocators import SIZE_ARGUMENTS
from liveso.code.use import How, Use
from liveso.compare.changed_uses import ChangedFunction, listed, offsets_of, verb
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_HEAP = "malloc"
_OF_THE_HEAP = re.compile(r"alloc|str.*dup|^_Zn[wa]")
"""Names of functions whose result is memory of a heap, besides those that are known."""
_Handed = dict[int, set[str]]
"""The functions of other libraries that are given a member, by its offset."""


@rule("other-resource")
def resources_keep_their_kind(pair: Pair) -> Iterator[Difference]:
    """A member held what one function of another library returned, and holds what another one returns, of another
    kind; and no function hands it to those any more that took it: a mapping that was given back by munmap(2) is memory
    of the heap, a stream is a structure of the library's own. Objects from before hold the old one.

    Of 190 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    made = [(it, offset, *kinds) for it in functions for offset, kinds in _other_kinds(it)]
    if not made:
        return
    handed = [(it, _handed(it.old), _handed(it.new)) for it in functions]
    taken: _Handed = {}
    for _it, _old, new in handed:
        _merge(taken, new)
    for maker, offset, before, after in made:
        lost: dict[str, set[str]] = {}
        for it, old, _new in handed:
            gone = old.get(offset, set()) - taken.get(offset, set())
            if gone and it is not maker and offset in offsets_of(it.new):
                lost[it.name] = gone
        if not lost or _is_taken(uses.unchanged(), offset, set().union(*lost.values())):
            continue
        users, callees = sorted(lost), sorted(set().union(*lost.values()))
        yield refuse(
            f"{maker.name} stores what {after} returns at {offset:+#x} of an object, where it stored what {before} "
            f"returned, and {listed(users)} {verb(users, 'hand')} it to {listed(callees)} no more: objects from before "
            "hold the old one",
            old=before,
            new=after,
            where=(maker.name, *users),
        )


def _other_kinds(it: ChangedFunction) -> Iterator[tuple[int, tuple[str, str]]]:
    """The members in which a function stores the result of another library's function of another kind than before, with
    the names of both."""
    old, new = _results(it.old), _results(it.new)
    for offset in sorted(old.keys() & new.keys()):
        if not {_kind(name) for name in old[offset]} & {_kind(name) for name in new[offset]}:
            yield offset, (min(old[offset]), min(new[offset]))


def _results(found: tuple[Use, ...]) -> dict[int, set[str]]:
    names: dict[int, set[str]] = {}
    for it in found:
        is_stored = it.how is How.STORE and it.spot.kind == "object"
        if is_stored and len(it.what) > 2 and it.what[0] == "result" and it.what[2]:
            names.setdefault(it.spot.offset, set()).add(str(it.what[2]).partition("@")[0])
    return names


def _kind(name: str) -> str:
    """What a function returns: memory of the heap, whichever makes it, or what only it returns (fopen, fopen64)."""
    is_memory = name in SIZE_ARGUMENTS or bool(_OF_THE_HEAP.search(name))
    return _HEAP if is_memory else name.removesuffix("64")


def _handed(found: tuple[Use, ...]) -> _Handed:
    names: _Handed = {}
    for it in found:
        if it.how is How.HAND and it.spot.kind == "object" and it.what and it.what[0]:
            names.setdefault(it.spot.offset, set()).add(str(it.what[0]))
    return names


def _merge(into: _Handed, found: _Handed) -> None:
    for offset, names in found.items():
        into.setdefault(offset, set()).update(names)


def _is_taken(unchanged: Iterator[tuple[Use, ...]], offset: int, names: set[str]) -> bool:
    """Whether a function that did not change goes on handing the member to one of those."""
    return any(_handed(found).get(offset, set()) & names for found in unchanged)
