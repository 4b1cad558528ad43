"""What a target says of its updates is its word: whatever it is, it is read or refused, and nothing else happens."""

import json
from typing import Any

import numpy as np
import pytest

from liveso.errors import StoreError, TargetError
from liveso.plan.address_map import EACH_THREAD, AddressMap
from liveso.plan.packed import HOME, STRETCH, pack, pack_stretches
from liveso.plan.record import LibraryState, LoadedVersion, encode_record
from liveso.plan.recorded import decode_record
from liveso.store import Version

ONE, TWO = Version("1" * 64), Version("2" * 64)
PATH = "/usr/lib/libcase.so"
FUNCTIONS = pack(np.array([(0x100, 0x1100, 0x1104)], HOME))
STATE = LibraryState(
    PATH,
    (
        LoadedVersion(ONE, AddressMap(0x1000, range(0x400, 0x410), 8, 1), size=0x500),
        LoadedVersion(
            TWO,
            AddressMap(0x9000, range(0x420, 0x440), 8, 2, pack_stretches([(0x420, 0x430, 0x1400)]), FUNCTIONS),
            77,
            {"fast@V1": 0x9100},
            size=0x600,
        ),
    ),
    TWO,
)


def no_span(_version: Version) -> range:
    """A record of today does not need it."""
    raise AssertionError


def span(version: Version) -> range:
    if version == ONE:
        raise StoreError("it is not there any more")
    return range(0x500, 0x520)


def test_a_record_comes_back_as_it_was() -> None:
    assert decode_record(encode_record({PATH: STATE}), no_span) == {PATH: STATE}


def test_what_was_not_updated_is_not_in_the_record() -> None:
    alone = LibraryState(PATH, (LoadedVersion(ONE, AddressMap(0x1000)),), ONE)
    assert decode_record(encode_record({PATH: alone}), no_span) == {}


LISTED = {
    "digest": TWO.digest,
    "base": 0x9000,
    "handle": 77,
    "indirect": {},
    "homes": [[0, 16, 0x1400], [16, 32, 0x9510]],
    "tables": [[0x80, 0x90, 0x1080]],
    "thread_homes": [[0, 8, 1 << 32], [8, 24, 2 << 32]],
}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_record_of_an_earlier_liveso_is_read(number: int) -> None:
    first = LISTED | {"digest": ONE.digest, "base": 0x1000, "handle": 0, "homes": [[0, 16, 0x1400]]}
    rows = [first, LISTED] if number > 1 else [[*it.values()] for it in (first, LISTED)]
    for row in rows:
        if isinstance(row, list):
            row.insert(4, True)
        elif number == 3:
            row |= {"size": 0x600, "functions": FUNCTIONS, "overwritten": ""}
    found: dict[str, Any] = {PATH: {"current": TWO.digest, "global": True, "versions": rows}}
    state = decode_record(json.dumps(found if number == 1 else {"format": number, "libraries": found}).encode(), span)[
        PATH
    ]
    addresses = state.running.map
    assert (state.running.version, state.running.handle, state.running.base) == (TWO, 77, 0x9000)
    assert addresses.variables == range(0x500, 0x520)
    homes = [addresses.home(at) for at in (0x50F, 0x510, 0x520, 0x88, 0x90, EACH_THREAD + 4, EACH_THREAD + 24)]
    assert homes == [0x140F, 0x9510, 0x9520, 0x1088, 0x9090, (1 << 32) + 4, (2 << 32) + 16]
    assert addresses.functions == (FUNCTIONS if number == 3 else "")
    assert not state.home.map.variables  # what nobody can tell any more has no home


def changed(**changes: Any) -> bytes:
    """A record in which a version, or the library, has other values."""
    record = json.loads(encode_record({PATH: STATE}))
    library = record["libraries"][PATH]
    for name, value in changes.items():
        place = library if name in library else library["versions"][1] if name != "format" else record
        place[name] = value
    return json.dumps(record).encode()


def stretches(*rows: tuple[int, int, int]) -> str:
    return pack(np.array([*rows], STRETCH))


def listed(**changes: Any) -> bytes:
    """A record of an earlier liveso in which a version has other values."""
    library = {"current": TWO.digest, "global": True, "versions": [LISTED | changes]}
    return json.dumps({"format": 3, "libraries": {PATH: library}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[1, 2]",
        b"\xff\xfe",
        b'{"format": 2}',
        b'{"format": 2, "libraries": []}',
        b"[" * 100_000,
        changed(format=99),
        changed(digest="../../../../etc/passwd"),
        changed(digest="/dev/zero"),
        changed(digest="2" * 63),
        changed(digest=TWO.digest.replace("2", "A")),
        changed(digest=ONE.digest),
        changed(current="3" * 64),
        changed(base=-1),
        changed(base=1 << 64),
        changed(base=True),
        changed(base="4096"),
        changed(base=1.5),
        changed(handle=None),
        changed(indirect={"fast": -5}),
        changed(indirect=[]),
        changed(variables=[8]),
        changed(variables=[8, -1]),
        changed(block="8"),
        changed(module=-1),
        changed(stretches="not packed"),
        changed(stretches=[[0, 8, 0]]),
        changed(stretches=stretches((8, 4, 0))),
        changed(stretches=stretches((8, 16, 0), (0, 8, 0))),
        changed(stretches=stretches((0, 1 << 63, 0))),
        changed(stretches=stretches((0, 8, (1 << 64) - 8))),
        changed(stretches=stretches(*[(0, 0, 0)] * ((1 << 18) + 1))),
        changed(functions="not packed"),
        changed(functions=7),
        changed(overwritten=[7]),
        changed(versions=[]),
        changed(versions=7),
        json.dumps({"format": 2, "libraries": {"relative/path": {}}}).encode(),
        listed(homes=[[8, 4, 0]]),
        listed(homes=[[8, 16, 0], [0, 12, 0]]),
        listed(homes=[[0, 8]]),
        listed(tables=[[0, 1, 0]] * ((1 << 18) + 1)),
        listed(thread_homes=7),
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)
def test_a_record_that_was_not_made_so_is_refused(content: bytes) -> None:
    with pytest.raises(TargetError, match="the target"):
        decode_record(content, span)
