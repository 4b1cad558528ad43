"""What a target knows of its updates: kept in its own memory by the agent, so that forks and new daemons find it."""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property

from liveso.elf.tables import Table
from liveso.plan.address_map import AddressMap
from liveso.plan.packed import OVERWRITTEN, unpacked
from liveso.store import Version


@dataclass(frozen=True)
class LoadedVersion:
    """A version in a target, and where what it has is known (`map`). `handle` is what dlopen returned, 0 for the one
    that the target itself loaded; `size` is that of its memory in bytes, 0 where it is not known.

    `indirect` are the addresses of the functions that its resolvers chose (ifunc), by `name@version`. `packed` is what
    jumps took the place of in it, and `rooms` are where islands are for its jumps, address and size.
    """

    version: Version
    map: AddressMap
    handle: int = 0
    indirect: dict[str, int] = field(default_factory=dict)
    size: int = 0
    packed: str = ""
    rooms: tuple[tuple[int, int], ...] = ()

    @property
    def base(self) -> int:
        """Its load address."""
        return self.map.base

    @property
    def overwritten(self) -> Table:
        """The OVERWRITTEN rows: what jumps took the place of in it."""
        return unpacked(self.packed, OVERWRITTEN)

    @cached_property
    def encoded(self) -> str:
        """Its part of the record."""
        return json.dumps(
            {
                "digest": self.version.digest,
                "base": self.base,
                "handle": self.handle,
                "indirect": self.indirect,
                "variables": [self.map.variables.start, self.map.variables.stop],
                "block": self.map.block,
                "module": self.map.module,
                "stretches": self.map.packed,
                "size": self.size,
                "functions": self.map.functions,
                "overwritten": self.packed,
                "rooms": self.rooms,
            }
        )


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
        """The state in which `to` runs."""
        return replace(self, current=to)

    def with_version(self, loaded: LoadedVersion) -> "LibraryState":
        if self.loaded(loaded.version) is None:
            return replace(self, versions=(*self.versions, loaded))
        return replace(self, versions=tuple(loaded if it.version == loaded.version else it for it in self.versions))


FORMAT = 4
"""Of the record: each that another liveso cannot read has a number of its own."""


def encode_record(libraries: dict[str, LibraryState]) -> bytes:
    """The record of those of the target's libraries that were updated: JSON, put together from what stays the same."""
    updated = (f"{json.dumps(path)}: {_encoded(it)}" for path, it in libraries.items() if len(it.versions) > 1)
    return f'{{"format": {FORMAT}, "libraries": {{{", ".join(updated)}}}}}'.encode()


def _encoded(it: LibraryState) -> str:
    head = f'"current": "{it.current.digest}", "global": {json.dumps(it.is_global)}'
    return f'{{{head}, "versions": [{", ".join(loaded.encoded for loaded in it.versions)}]}}'
