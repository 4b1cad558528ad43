"""What goes together: a version is applied only where each library that it needs runs what it was built with."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from liveso.elf import Image, Symbol, tables

_GLIBC = re.compile(
    r"(ld-linux[^/]*|ld64|lib(c|m|mvec|dl|rt|pthread|resolv|util|anl|nss_[a-z]+|BrokenLocale|thread_db))\.so\.\d+$"
)
_PRIVATE = "GLIBC_PRIVATE"

PROGRAM = ""
"""The name of the program itself among the names of loaded objects, as the dynamic linker has it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a target's libraries go to their new versions. `refused` says why others do not, and `held_back` for
    which library, that stays behind, others wait."""

    going: frozenset[str]
    refused: Mapping[str, str]
    held_back: Mapping[str, str]


def choose(
    needs: Mapping[str, frozenset[str]],
    behind: Iterable[str],
    refusal: Callable[[str, frozenset[str]], str],
    unmet: Callable[[str, frozenset[str]], str] = lambda path, going: "",
) -> Choice:
    """The most libraries that can go. `needs` has, for each that might, what its new version needs; `behind` are those
    that will not run what lies on disk, also if they go elsewhere; `refusal` says why one may not go if just those
    given go, or nothing; `unmet` then names the one that does not offer what it refers to, or none.

    A library that others need goes even if they stay: its own verdict says that old users find it unchanged.
    """
    going, refused, held_back = frozenset(needs), dict[str, str](), dict[str, str]()
    stays = frozenset(behind)
    while True:
        out = {path: reason for path in sorted(going) if (reason := refusal(path, going))}
        refused.update(out)
        stays |= out.keys()
        left = sorted(going - out.keys())
        waiting = {path: min(needs[path] & stays) for path in left if needs[path] & stays}
        waiting |= {path: other for path in left if path not in waiting and (other := unmet(path, going))}
        held_back.update(waiting)
        stays |= waiting.keys()
        if not out and not waiting:
            return Choice(going, refused, held_back)
        going -= out.keys() | waiting.keys()


def groups(going: Iterable[str], needs: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    """Those of `going` that are connected by what they need: they change in one transaction."""
    waiting = set(going)
    found = []
    while waiting:
        group = {waiting.pop()}
        while near := {it for it in waiting if any(it in needs[one] or one in needs[it] for one in group)}:
            group |= near
            waiting -= near
        found.append(frozenset(group))
    return sorted(found, key=min)


def needed_objects(
    image: Image, program: Callable[[], frozenset[str]], provided: Callable[[], frozenset[str]]
) -> set[str]:
    """The names of the objects that must be what `image` was built with: PROGRAM for the program itself.

    glibc promises by the versions of its symbols that older builds of it do, and the dynamic linker checks these
    when the library is opened; what is private to glibc holds for one build. What a plugin takes from the program
    stands in no DT_NEEDED: `program` gives the names that the program offers, `provided` those that libraries do.
    """
    imports = [it for it in image.symbols if not it.is_defined and it.name]
    is_private = any(it.version == _PRIVATE for it in imports)
    found = {name for name in image.needed if is_private or not _GLIBC.match(name.rpartition("/")[2])}
    strong = {it.name for it in imports if it.binding != tables.STB_WEAK and not it.version}
    from_program = strong & program()
    if from_program and from_program - provided():
        found.add(PROGRAM)
    return found


@dataclass(frozen=True, slots=True)
class Offers:
    """What libraries of a target offer, by path: in the version that runs, and in those that do not, which are still
    there for what was bound to them."""

    running: Mapping[str, Image]
    left: Mapping[str, Sequence[Image]]

    def if_going(self, new: Mapping[str, Image]) -> "Offers":
        """What is offered once these go to `new` versions."""
        return Offers({**self.running, **new}, self.left)


def unmet_need(image: Image, path: str, offers: Offers) -> tuple[str, Symbol] | None:
    """A symbol that the version `image` of the library at `path` refers to, and only a version of another library
    offers that does not run, with the path of that: it would mix both versions of it."""
    left = {other: versions for other, versions in offers.left.items() if other != path}
    for symbol in image.symbols if left else ():
        if symbol.is_defined or not symbol.name or symbol.binding == tables.STB_WEAK:
            continue
        found = next((other for other, it in left.items() if any(_is_certainly_offered(symbol, one) for one in it)), "")
        if found and not any(_may_be_offered(symbol, it) for it in offers.running.values()):
            return found, symbol
    return None


def _is_certainly_offered(symbol: Symbol, image: Image) -> bool:
    return symbol.key in image.defined if symbol.version else symbol.name in image.by_name


def _may_be_offered(symbol: Symbol, image: Image) -> bool:
    """Whether the dynamic linker would find the symbol there: it takes one without a version for one with."""
    return _is_certainly_offered(symbol, image) or (symbol.name, "") in image.defined
