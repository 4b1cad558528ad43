"""What a target says of its updates, read from its record: whatever it is, it is checked."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import LivesoError, TargetError
from liveso.plan.address_map import EACH_THREAD, AddressMap
from liveso.plan.islands import ISLAND_SIZE, LARGEST_ROOM
from liveso.plan.packed import HOME, OVERWRITTEN, STRETCH, pack_stretches, unpacked
from liveso.plan.record import FORMAT, LibraryState, LoadedVersion
from liveso.store import Version

_LARGEST_RECORD = 64 << 20  # bytes
_MOST_STRETCHES = 1 << 18  # of one version; libcrypto has 1,400
_NUMBERS = range(1 << 63)  # addresses of user space, and what stands for them
_LISTED = (1, 2, 3)
"""Formats in which the homes of variables were counted from the first variable, which only the image tells."""

_Kind = TypeVar("_Kind")

Spans = Callable[[Version], range]
"""The addresses of a version's variables, relative to the load address. Raises LivesoError."""


def decode_record(content: bytes, spans: Spans) -> dict[str, LibraryState]:
    """What a target says of its updates. It is the target's word: whoever uses it checks what it leads to.

    Raises TargetError where the record is not one that `encode_record`, of this liveso or an earlier one, made.
    """
    if not content:
        return {}
    try:
        if len(content) > _LARGEST_RECORD:
            raise ValueError
        found = json.loads(content)
        if "format" not in found:  # the format before the first that had a number
            found = {"format": 1, "libraries": found}
        if found["format"] not in (*_LISTED, FORMAT):
            raise TargetError("the target was updated by a newer liveso; install that one, or restart the program")
        is_listed = found["format"] in _LISTED
        return {
            path: _state(path, it, spans if is_listed else None) for path, it in _of(dict, found["libraries"]).items()
        }
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise TargetError("the target's record of its updates cannot be read") from error


def _state(path: str, it: dict[str, Any], spans: Spans | None) -> LibraryState:
    versions = tuple(_loaded(row, spans) for row in _of(list, it["versions"]))
    state = LibraryState(path, versions, Version(_of(str, it["current"])), _of(bool, it["global"]))
    digests = {loaded.version for loaded in versions}
    if not path.startswith("/") or len(digests) != len(versions) or state.current not in digests:
        raise ValueError
    return state


def _loaded(row: Any, spans: Spans | None) -> LoadedVersion:
    if isinstance(row, list):
        names = ("digest", "base", "handle", "indirect", "joined", "homes", "tables", "thread_homes")
        row = dict(zip(names, row, strict=True))
    version = Version(_of(str, row["digest"]))
    return LoadedVersion(
        version,
        _map(row) if spans is None else _map_of_lists(row, _span(version, spans)),
        _number(row["handle"]),
        {_of(str, name): _number(address) for name, address in _of(dict, row["indirect"]).items()},
        _number(row.get("size", 0)),
        _packed(row.get("overwritten", ""), OVERWRITTEN),
        tuple(_room(it) for it in _of(list, row.get("rooms", []))),
    )


def _room(it: Any) -> tuple[int, int]:
    start, size = (_number(number) for number in _of(list, it))
    if start % ISLAND_SIZE or size % ISLAND_SIZE or size > LARGEST_ROOM:
        raise ValueError
    return start, size


def _map(row: dict[str, Any]) -> AddressMap:
    start, stop = (_number(it) for it in _of(list, row["variables"]))
    packed = _packed(row["stretches"], STRETCH)
    _require_sound(unpacked(packed, STRETCH))
    block, module = _number(row["block"]), _number(row["module"])
    return AddressMap(_number(row["base"]), range(start, stop), block, module, packed, _packed(row["functions"], HOME))


def _span(version: Version, spans: Spans) -> range:
    try:
        return spans(version)
    except LivesoError:  # what the version's image is needed for fails then, and says so
        return range(0)


def _map_of_lists(row: dict[str, Any], span: range) -> AddressMap:
    """From lists of places, ends and addresses: of variables, of the addresses of tables, and of places in a block."""
    homes, tables, threads = (_list(row[name]) for name in ("homes", "tables", "thread_homes"))
    found = tables
    for start, rows in ((span.start, homes), (EACH_THREAD, threads)):
        found = found + [(start + it[0], start + it[1], it[2]) for it in rows]
    packed = pack_stretches(found)
    _require_sound(unpacked(packed, STRETCH))
    functions = _packed(row.get("functions", ""), HOME)
    block = threads[-1][1] if threads else 0
    return AddressMap(_number(row["base"]), span, block, 0, packed, functions)


def _list(rows: Any) -> list[tuple[int, int, int]]:
    if len(_of(list, rows)) > _MOST_STRETCHES:
        raise ValueError
    return [(_number(start), _number(end), _number(address)) for start, end, address in rows]


def _require_sound(rows: Table) -> None:
    """Stretches follow one another, and no number has a sign when it is read as one that may."""
    columns = [rows[name] for name in ("start", "end", "home")]
    if len(rows) > _MOST_STRETCHES or any((it >= np.uint64(_NUMBERS.stop)).any() for it in columns):
        raise ValueError
    if (rows["start"] > rows["end"]).any() or (rows["start"][1:] < rows["end"][:-1]).any():
        raise ValueError


def _packed(packed: Any, dtype: "np.dtype[np.void]") -> str:
    unpacked(_of(str, packed), dtype)
    return str(packed)


def _of(kind: type[_Kind], value: Any) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _number(value: Any) -> int:
    number = _of(int, value)
    if isinstance(value, bool) or number not in _NUMBERS:
        raise ValueError
    return number
