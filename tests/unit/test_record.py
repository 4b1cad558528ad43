"""What a target says of its updates is its word: whatever it is, it is read or refused, and nothing else happens."""

import json
from typing import Any

import numpy as np
import pytest

from liveso.errors import TargetError
from liveso.plan.functions import HOME, pack
from liveso.plan.record import LibraryState, LoadedVersion, Stretch, decode_record, encode_record
from liveso.store import Version

ONE, TWO = Version("1" * 64), Version("2" * 64)
PATH = "/usr/lib/libcase.so"
FUNCTIONS = pack(np.array([(0x100, 0x1100, 0x1104)], HOME))
STATE = LibraryState(
    PATH,
    (
        LoadedVersion(ONE, 0x1000, size=0x500, homes=(Stretch(0, 16, 0x1400),)),
        LoadedVersion(TWO, 0x9000, 77, {"fast@V1": 0x9100}, size=0x600, functions=FUNCTIONS),
    ),
    TWO,
)


def test_a_record_comes_back_as_it_was() -> None:
    assert decode_record(encode_record({PATH: STATE})) == {PATH: STATE}


def test_what_was_not_updated_is_not_in_the_record() -> None:
    assert decode_record(encode_record({PATH: LibraryState(PATH, (LoadedVersion(ONE, 0x1000),), ONE)})) == {}


def test_the_record_of_the_liveso_before_is_read() -> None:
    rows = [[ONE.digest, 4096, 0, {}, True, [[0, 16, 5120]], [], []], [TWO.digest, 36864, 77, {}, True, [], [], []]]
    before = {PATH: {"current": TWO.digest, "global": True, "versions": rows}}
    state = decode_record(json.dumps(before).encode())[PATH]
    assert state.running == LoadedVersion(TWO, 36864, 77, {})
    assert state.home.homes == (Stretch(0, 16, 5120),)


def changed(**changes: Any) -> bytes:
    """A record in which a version, or the library, has other values."""
    record = json.loads(encode_record({PATH: STATE}))
    library = record["libraries"][PATH]
    for name, value in changes.items():
        place = library if name in library else library["versions"][1] if name != "format" else record
        place[name] = value
    return json.dumps(record).encode()


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
        changed(homes=[[8, 4, 0]]),
        changed(homes=[[8, 16, 0], [0, 8, 0]]),
        changed(homes=[[0, 8]]),
        changed(homes=[[0, 1, 0]] * ((1 << 20) + 1)),
        changed(functions="not packed"),
        changed(functions=7),
        changed(overwritten=[7]),
        changed(versions=[]),
        changed(versions=7),
        json.dumps({"format": 2, "libraries": {"relative/path": {}}}).encode(),
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)
def test_a_record_that_was_not_made_so_is_refused(content: bytes) -> None:
    with pytest.raises(TargetError, match="the target"):
        decode_record(content)
