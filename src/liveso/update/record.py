"""What a target knows of its updates: kept in its own memory by the agent, so that forks and new daemons find it."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from liveso.errors import TargetError
from liveso.store import Version


@dataclass(frozen=True, slots=True)
class Stretch:
    """Variables that lie together in a version and in their homes: from `start` to `end` of the version's data span, in
    bytes, at `address` of the target."""

    start: int
    end: int
    address: int

    @property
    def distance(self) -> int:
        """From a place in the data span to its address."""
        return self.address - self.start


Homes = tuple[Stretch, ...]
"""The stretches cover a version's data span, in order."""


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version in a target. `handle` is what dlopen returned, 0 for the one that the target itself loaded.

    `indirect` are the addresses of the functions that its resolvers chose (ifunc), by `name@version`. `is_joined`: its
    symbol table follows the version that runs, which it does from the first redirection after it was loaded. `homes`
    are where its variables live, empty as long as that is not known, and `tables` where those of its constant tables do
    that an earlier version brought, by their addresses relative to the load address. `thread_homes` are as `homes`,
    for the variables of each thread: from place to place of the version's block to addresses in blocks (`block_start`).
    """

    version: Version
    base: int
    handle: int = 0
    indirect: dict[str, int] = field(default_factory=dict)
    is_joined: bool = False
    homes: Homes = ()
    tables: Homes = ()
    thread_homes: Homes = ()


@dataclass(frozen=True, slots=True)
class LibraryState:
    """A library in a target: all its loaded versions, the first of which is its variables' home, and the one that runs.

    `is_global`: its symbols are offered to the whole process (dlopen(3), RTLD_GLOBAL).
    """

    path: str
    versions: tuple[LoadedVersion, ...]
    current: Version
    is_global: bool = True

    @property
    def home(self) -> LoadedVersion:
        return self.versions[0]

    def loaded(self, version: Version) -> LoadedVersion | None:
        return next((it for it in self.versions if it.version == version), None)

    @property
    def running(self) -> LoadedVersion:
        found = self.loaded(self.current)
        assert found is not None
        return found

    def redirected(self, to: Version) -> "LibraryState":
        """The state in which `to` runs, and the symbol tables of all versions lead there."""
        return replace(self, current=to, versions=tuple(replace(it, is_joined=True) for it in self.versions))

    def with_version(self, loaded: LoadedVersion) -> "LibraryState":
        if self.loaded(loaded.version) is None:
            return replace(self, versions=(*self.versions, loaded))
        return replace(self, versions=tuple(loaded if it.version == loaded.version else it for it in self.versions))


def encode_record(libraries: dict[str, LibraryState]) -> bytes:
    return json.dumps(
        {
            path: {
                "current": it.current.digest,
                "global": it.is_global,
                "versions": [_encoded(loaded) for loaded in it.versions],
            }
            for path, it in libraries.items()
        }
    ).encode()


def _encoded(it: LoadedVersion) -> list[Any]:
    parts = it.homes, it.tables, it.thread_homes
    places = [[[one.start, one.end, one.address] for one in part] for part in parts]
    return [it.version.digest, it.base, it.handle, it.indirect, it.is_joined, *places]


def _decoded(
    digest: str, base: int, handle: int, indirect: dict[str, int], is_joined: bool, *parts: Any
) -> LoadedVersion:
    homes, tables, thread_homes = (tuple(Stretch(*row) for row in part) for part in parts)
    return LoadedVersion(Version(digest), base, handle, indirect, is_joined, homes, tables, thread_homes)


def decode_record(content: bytes) -> dict[str, LibraryState]:
    """Raises TargetError where the record is not one that `encode_record` made."""
    if not content:
        return {}
    try:
        return {
            path: LibraryState(
                path,
                tuple(_decoded(*row) for row in it["versions"]),
                Version(it["current"]),
                it["global"],
            )
            for path, it in json.loads(content).items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise TargetError("the target's record of its updates cannot be read") from error
