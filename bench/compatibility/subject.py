"""What is to be tried: a program, the libraries that change under it, and how it is put under load."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.compatibility.load import Connection
from bench.compatibility.site import Site


@dataclass(frozen=True, slots=True)
class Change:
    """The libraries of one source package, which change together.

    The new versions are the highest that `release` offers (or `after`), the old ones the lowest of the same (or
    `before`), or of `old_from`, an earlier release, where this one offers a single version.
    """

    packages: tuple[str, ...]
    libraries: tuple[str, ...]
    before: str = ""
    after: str = ""
    release: str = "bookworm"
    old_from: str = ""

    @property
    def old_release(self) -> str:
        return self.old_from or self.release


@dataclass(frozen=True, slots=True)
class Subject:
    """A program of a release: `start` brings it up in a site with the old versions in place, and `connect` gives one of
    the `connections` over which its answers are asked for and checked. `helpers` are other programs that it needs
    (release and packages), which run without live.so."""

    name: str
    packages: tuple[str, ...]
    changes: tuple[Change, ...]
    start: Callable[[Site], None]
    connect: Callable[[Site, int], Connection]
    release: str = "bookworm"
    connections: int = 8
    helpers: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def root(self) -> tuple[str, tuple[str, ...]]:
        """What is unpacked for the program."""
        return self.release, self.packages
