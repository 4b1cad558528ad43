"""What a target knows of its updates: kept in its own memory by the agent, so that forks and new daemons find it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.plan.functions import homes_of_functions, overwritten_bytes
from liveso.store import Version

_Kind = TypeVar("_Kind")


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


@dataclass(frozen=True)
class LoadedVersion:
    """A version in a target. `handle` is what dlopen returned, 0 for the one that the target itself loaded; `size` is
    that of its memory in bytes, 0 where it is not known.

    `indirect` are the addresses of the functions that its resolvers chose (ifunc), by `name@version`. `homes` are where
    its variables live, empty as long as that is not known, and `tables` where those of its constant tables do that an
    earlier version brought, by their addresses relative to the load address. `thread_homes` are as `homes`, for the
    variables of each thread: from place to place of the version's block to addresses in blocks (`block_start`).
    `functions` are the homes of those of its functions that an earlier version has, too (`homes_of_functions`), and
    `overwritten` is what jumps took the place of in it (`overwritten_bytes`).
    """

    version: Version
    base: int
    handle: int = 0
    indirect: dict[str, int] = field(default_factory=dict)
    homes: Homes = ()
    tables: Homes = ()
    thread_homes: Homes = ()
    size: int = 0
    functions: str = ""
    overwritten: str = ""

    @cached_property
    def function_homes(self) -> dict[int, int]:
        """The home of each function that has one in an earlier version, by its address relative to the load address;
        not of what two functions of the earlier version became, which has two."""
        rows = homes_of_functions(self.functions)
        ats, counts = np.unique(rows["at"], return_counts=True)
        rows = rows[np.isin(rows["at"], ats[counts == 1])]
        return dict(zip(rows["at"].tolist(), rows["home"].tolist(), strict=True))

    @cached_property
    def encoded(self) -> str:
        """Its part of the record."""
        return json.dumps(
            {
                "digest": self.version.digest,
                "base": self.base,
                "handle": self.handle,
                "indirect": self.indirect,
                "homes": _places(self.homes),
                "tables": _places(self.tables),
                "thread_homes": _places(self.thread_homes),
                "size": self.size,
                "functions": self.functions,
                "overwritten": self.overwritten,
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


_FORMAT = 3
_LARGEST_RECORD = 64 << 20  # bytes
_MOST_PLACES = 1 << 20  # of one version
_ADDRESSES = range(1 << 64)


def encode_record(libraries: dict[str, LibraryState]) -> bytes:
    """The record of those of the target's libraries that were updated: JSON, put together from what stays the same."""
    updated = (f"{json.dumps(path)}: {_encoded(it)}" for path, it in libraries.items() if len(it.versions) > 1)
    return f'{{"format": {_FORMAT}, "libraries": {{{", ".join(updated)}}}}}'.encode()


def _encoded(it: LibraryState) -> str:
    head = f'"current": "{it.current.digest}", "global": {json.dumps(it.is_global)}'
    return f'{{{head}, "versions": [{", ".join(loaded.encoded for loaded in it.versions)}]}}'


def _places(homes: Homes) -> list[list[int]]:
    return [[one.start, one.end, one.address] for one in homes]


def decode_record(content: bytes) -> dict[str, LibraryState]:
    """What a target says of its updates. It is the target's word: whoever uses it checks what it leads to.

    Raises TargetError where the record is not one that `encode_record`, of this liveso or the one before, made.
    """
    if not content:
        return {}
    try:
        if len(content) > _LARGEST_RECORD:
            raise ValueError
        found = json.loads(content)
        if "format" not in found:  # the format before the first that had a number
            found = {"format": 1, "libraries": found}
        if found["format"] not in (1, 2, _FORMAT):
            raise TargetError("the target was updated by a newer liveso; install that one, or restart the program")
        return {path: _decoded_state(path, it) for path, it in _of(dict, found["libraries"]).items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise TargetError("the target's record of its updates cannot be read") from error


def _decoded_state(path: str, it: dict[str, Any]) -> LibraryState:
    versions = tuple(_decoded(row) for row in _of(list, it["versions"]))
    state = LibraryState(path, versions, Version(_of(str, it["current"])), _of(bool, it["global"]))
    digests = {loaded.version for loaded in versions}
    if not path.startswith("/") or len(digests) != len(versions) or state.current not in digests:
        raise ValueError
    return state


def _decoded(row: Any) -> LoadedVersion:
    if isinstance(row, list):
        names = ("digest", "base", "handle", "indirect", "joined", "homes", "tables", "thread_homes")
        row = dict(zip(names, row, strict=True))
    return LoadedVersion(
        Version(_of(str, row["digest"])),
        _number(row["base"]),
        _number(row["handle"]),
        {_of(str, name): _number(address) for name, address in _of(dict, row["indirect"]).items()},
        _decoded_homes(row["homes"]),
        _decoded_homes(row["tables"]),
        _decoded_homes(row["thread_homes"]),
        _number(row.get("size", 0)),
        _table(row.get("functions", ""), homes_of_functions),
        _table(row.get("overwritten", ""), overwritten_bytes),
    )


def _table(packed: Any, unpack: Callable[[str], Table]) -> str:
    unpack(_of(str, packed))
    return str(packed)


def _decoded_homes(rows: Any) -> Homes:
    if len(_of(list, rows)) > _MOST_PLACES:
        raise ValueError
    homes = tuple(Stretch(*(_number(it) for it in row)) for row in rows)
    ends = [0, *(it.end for it in homes)]
    if any(not end <= it.start <= it.end for end, it in zip(ends, homes, strict=False)):
        raise ValueError
    return homes


def _of(kind: type[_Kind], value: Any) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _number(value: Any) -> int:
    number = _of(int, value)
    if isinstance(value, bool) or number not in _ADDRESSES:
        raise ValueError
    return number
