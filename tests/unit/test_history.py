"""The history: what is written comes back, whatever happens to file, disk and daemon."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from liveso.errors import StoreError
from liveso.history import FILE_NAME, Bounds, Event, History, Kind, Wanted, plain, read_events

_MANY = Bounds(400, 64 << 20)
_EVENT = Event(
    Kind.REFUSED,
    1_700_000_000.5,
    library="/usr/lib/libodd_\udcff.so.1",
    pids=(12, 13),
    command="odd '\"%_",
    user=1000,
    container="box",
    units=("user@1000.service", "odd.service"),
    before="a" * 64,
    before_build_id="b" * 40,
    after="c" * 64,
    after_build_id="d" * 40,
    reason="struct odd grew",
    milliseconds=12.5,
    steps={"judge": 1.5, "open": 11.0},
    stale_functions=3,
    by="root (alice by login)",
)


def write(folder: Path, *events: Event, bounds: Bounds = _MANY) -> list[str]:
    """Write events; what the daemon would be told."""
    told: list[str] = []
    history = History(folder, bounds, told.append)
    history.start()
    for it in events:
        history.keep(it)
    history.close(60)
    return told


def recent(number: int, **facts: object) -> Event:
    return replace(_EVENT, time=time.time(), reason=str(number), **facts)  # type: ignore[arg-type]


def test_each_field_comes_back_in_the_order_of_what_happened(tmp_path: Path) -> None:
    now = replace(_EVENT, time=time.time())
    act = Event(Kind.ROLLBACK, time.time(), by="alice")
    assert write(tmp_path, now, act) == []
    readable = replace(now, library="/usr/lib/libodd_\\xff.so.1")  # text of JSON and SQLite is UTF-8
    assert read_events(tmp_path) == [replace(readable, number=1), replace(act, number=2)]
    assert plain(read_events(tmp_path)[0])["pids"] == (12, 13)


def test_nothing_has_happened_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_events(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(library="libz.so.1"), ["0", "1"]),
        (Wanted(library="/lib/libz.so.1"), ["1"]),
        (Wanted(pid=7), ["2"]),
        (Wanted(pid=70), []),
        (Wanted(name="100%"), ["2"]),
        (Wanted(name="%"), ["2"]),
        (Wanted(name="web.service"), ["3"]),
        (Wanted(name="libz"), ["0", "1"]),
        (Wanted(name="_"), []),
        (Wanted(since=time.time() + 3600), []),
        (Wanted(after=2), ["2", "3"]),
        (Wanted(limit=1), ["3"]),
    ],
)
def test_what_is_wanted_is_found_and_nothing_else(tmp_path: Path, wanted: Wanted, found: list[str]) -> None:
    blank = Event(Kind.UPDATED, time.time())
    write(
        tmp_path,
        replace(blank, reason="0", library="/usr/lib/libz.so.1"),
        replace(blank, reason="1", library="/lib/libz.so.1"),
        replace(blank, reason="2", pids=(7, 8), command="load 100%"),
        replace(blank, reason="3", units=("web.service",)),
    )
    assert [it.reason for it in read_events(tmp_path, wanted)] == found


def test_what_is_too_old_goes_and_the_rest_stays(tmp_path: Path) -> None:
    old = replace(recent(0), time=time.time() - 2 * 24 * 3600)
    write(tmp_path, old, recent(1), bounds=Bounds(1, 64 << 20))
    assert [it.reason for it in read_events(tmp_path)] == ["1"]


def test_the_file_stays_in_its_bounds_and_keeps_the_newest(tmp_path: Path) -> None:
    bounds = Bounds(400, 256 << 10)
    for start in range(0, 3000, 300):
        write(tmp_path, *(recent(it) for it in range(start, start + 300)), bounds=bounds)
    reasons = [int(it.reason) for it in read_events(tmp_path, Wanted(limit=10_000))]
    assert 100 < len(reasons) < 2000
    assert reasons == list(range(reasons[0], 3000))
    assert (tmp_path / FILE_NAME).stat().st_size < 2 * bounds.size


def _garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)


def _of_another_liveso(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")


def _torn(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


@pytest.mark.parametrize("spoil", [_garbage, _of_another_liveso, _torn])
def test_a_file_that_cannot_be_read_is_put_aside_and_a_new_one_begun(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    write(tmp_path, recent(1))
    spoil(tmp_path / FILE_NAME)
    with pytest.raises(StoreError, match="history"):
        read_events(tmp_path)
    assert write(tmp_path, recent(2)) == []
    assert [it.reason for it in read_events(tmp_path)] == ["2"]
    assert len(list(tmp_path.glob(f"{FILE_NAME}.unreadable-*"))) == 1


def test_a_history_that_another_could_have_written_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    os.link(tmp_path / "other", tmp_path / FILE_NAME)
    told = write(tmp_path, recent(1))
    assert len(told) == 1 and "has another name, too" in told[0]
    assert (tmp_path / "other").read_text() == ""


def test_why_the_history_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "folder", _MANY, told.append)
    history.start()
    history.keep(recent(1))
    history.close(60)
    assert told == [
        f"{tmp_path}/file/folder/{FILE_NAME}: the history cannot be written (Not a directory); what happens is not kept"
    ]


def test_what_could_not_be_written_is_told_and_counted_and_the_next_is_kept(tmp_path: Path) -> None:
    told: list[str] = []
    history = History(tmp_path, _MANY, told.append)
    folder = tmp_path / FILE_NAME
    folder.mkdir()  # in the way
    history.start()
    history.keep(recent(1))
    end = time.monotonic() + 60
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    folder.rmdir()
    history.keep(recent(2))
    history.close(60)
    assert "cannot be written" in told[0] or "not a regular file" in told[0]
    assert "1 event is missing" in told[1]
    assert [it.reason for it in read_events(tmp_path)] == ["2"]


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    write(tmp_path, recent(1))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_one_that_nobody_empties_never_makes_the_daemon_wait(tmp_path: Path) -> None:
    history = History(tmp_path, _MANY, lambda _problem: None)  # its thread does not run
    for number in range(10_050):
        history.keep(recent(number))
    history.close(0.01)
    history.start()
    end = time.monotonic() + 60
    while len(read_events(tmp_path, Wanted(limit=20_000))) < 10_000 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(read_events(tmp_path, Wanted(limit=20_000))) == 10_000
