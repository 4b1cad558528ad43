"""What runs of a library that was rolled back, in which processes, and that the next daemon knows it."""

import os
from pathlib import Path

import pytest

from liveso.daemon import pins
from liveso.daemon.pins import Choice, Pin, Pins, Process, Rollback, decode, encode
from liveso.errors import StoreError
from liveso.plan import AddressMap, LibraryState, LoadedVersion
from liveso.process import proc
from liveso.store import Version

PATH = "/lib/libone.so"
ONE, TWO, THREE = (Version(f"{number:064x}") for number in (1, 2, 3))
FIRST, SECOND = Process(10, 100), Process(11, 101)
TO_ONE, TO_TWO, TO_THREE = (Choice(version, 5.0) for version in (ONE, TWO, THREE))
OVER = Pin(PATH, THREE)
MYSELF = Process(os.getpid(), proc.start_time(os.getpid()))


def state(current: Version, *versions: Version) -> LibraryState:
    return LibraryState(PATH, tuple(LoadedVersion(it, AddressMap(0)) for it in versions), current)


def test_a_choice_for_all_is_for_each_process() -> None:
    pin = OVER.everywhere_to(TO_ONE)
    assert pin.rollback(FIRST) == pin.rollback(SECOND) == Rollback(ONE, THREE, 5.0)
    assert pin.choices == {ONE}


def test_a_process_has_its_own_choice_and_the_last_one_holds() -> None:
    pin = OVER.everywhere_to(TO_ONE).to(TO_TWO, [FIRST])
    assert [it and it.to for it in map(pin.rollback, (FIRST, SECOND))] == [TWO, ONE]
    assert pin.choices == {ONE, TWO}
    assert pin.everywhere_to(TO_TWO).processes == {}
    only = OVER.to(TO_ONE, [FIRST])
    assert only.rollback(SECOND) is None
    assert only.rollback(Process(FIRST.pid, 999)) is None  # the number is another process's by now


def test_a_process_goes_forward_alone() -> None:
    some = OVER.to(TO_ONE, [FIRST, SECOND]).forward([FIRST], 7.0)
    assert some.rollback(FIRST) is None and some.rollback(SECOND)
    assert not some.forward([SECOND], 7.0).choices
    every = OVER.everywhere_to(TO_ONE).forward([FIRST], 7.0)
    assert every.rollback(FIRST) is None and every.rollback(SECOND)
    assert every.choices == {ONE}


def test_children_have_the_choice_of_their_parent() -> None:
    pin = OVER.to(TO_ONE, [FIRST])
    assert pin.inherited(state(ONE, ONE, THREE), []) == TO_ONE
    assert pin.inherited(state(ONE, THREE, ONE), []) == TO_ONE
    assert pin.inherited(state(THREE, THREE), [FIRST]) is None  # it has executed the program anew
    assert pin.inherited(state(ONE, ONE), [FIRST]) is None  # it was there before
    assert pin.inherited(state(TWO, ONE, TWO, THREE), [FIRST]) is None
    forward = OVER.everywhere_to(TO_ONE).to(TO_THREE, [FIRST])
    assert forward.inherited(state(THREE, ONE, THREE), [FIRST]) == TO_THREE
    assert forward.inherited(state(THREE, ONE, THREE), [SECOND]) is None


@pytest.mark.parametrize(
    "pin",
    [
        OVER.everywhere_to(TO_ONE),
        OVER.to(TO_ONE, [FIRST, SECOND]).to(TO_TWO, [SECOND]),
        Pin("/lib/\udcff\n.so", TWO, TO_ONE, {FIRST: TO_TWO}),
    ],
)
def test_a_pin_is_read_as_it_was_written(pin: Pin) -> None:
    assert decode(encode(pin, "boot"), "boot") == pin


def test_process_numbers_mean_nothing_after_the_next_boot() -> None:
    assert decode(encode(OVER.everywhere_to(TO_ONE).to(TO_TWO, [FIRST]), "boot"), "next") == OVER.everywhere_to(TO_ONE)


GOOD = encode(OVER.everywhere_to(TO_ONE).to(TO_TWO, [FIRST]), "boot").decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '"text"',
        "[" * 100_000,
        GOOD[:-1],
        GOOD.replace('"format": 1', '"format": 2'),
        GOOD.replace(f'"{PATH}"', "7"),
        GOOD.replace(ONE.digest, "../../etc"),
        GOOD.replace(THREE.digest, "7"),
        GOOD.replace("5.0", "NaN"),
        GOOD.replace("5.0", "1e300"),
        GOOD.replace("5.0", '"now"'),
        GOOD.replace("[10, 100,", "[10,"),
        GOOD.replace("[10, 100,", "[1e999, 100,"),
        GOOD.replace('"processes": [', '"processes": [7, '),
        GOOD.replace('"everywhere": [', '"everywhere": 7, "other": ['),
    ],
)
def test_what_is_no_pin_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text.encode(), "boot")


def test_the_next_daemon_knows_it(tmp_path: Path) -> None:
    kept = Pins(tmp_path)
    assert kept.of(PATH) is None and kept.versions() == set()
    pin = OVER.everywhere_to(TO_ONE).to(TO_TWO, [MYSELF])
    kept.keep(pin)
    for it in (kept, Pins(tmp_path)):
        assert it.of(PATH) == pin and it.paths == [PATH] and it.versions() == {ONE, TWO}
    kept.drop(PATH)
    for it in (kept, Pins(tmp_path)):
        assert it.of(PATH) is None and it.paths == []
    assert not list((tmp_path / "rolled-back").iterdir())


def test_what_holds_nothing_back_is_not_kept_and_ended_processes_are_forgotten(tmp_path: Path) -> None:
    kept = Pins(tmp_path)
    kept.keep(OVER.to(TO_ONE, [MYSELF, Process(MYSELF.pid, MYSELF.started + 1)]))
    assert kept.of(PATH) == OVER.to(TO_ONE, [MYSELF])
    kept.keep(OVER.to(TO_ONE, [MYSELF]).forward([MYSELF], 7.0))
    assert kept.of(PATH) is None and Pins(tmp_path).of(PATH) is None


def test_a_process_is_added_only_while_the_library_is_rolled_back(tmp_path: Path) -> None:
    kept = Pins(tmp_path)
    kept.add(PATH, MYSELF, TO_ONE)
    assert kept.of(PATH) is None
    kept.keep(OVER.everywhere_to(TO_ONE))
    kept.add(PATH, MYSELF, TO_TWO)
    assert Pins(tmp_path).of(PATH) == OVER.everywhere_to(TO_ONE).to(TO_TWO, [MYSELF])


def test_what_is_no_file_of_this_user_is_no_pin(tmp_path: Path) -> None:
    kept = Pins(tmp_path)
    kept.keep(OVER.everywhere_to(TO_ONE))
    (file,) = (tmp_path / "rolled-back").iterdir()
    file.chmod(0o622)
    assert Pins(tmp_path).of(PATH) is None
    file.chmod(0o600)
    moved = file.rename(file.with_name("0" * 64))  # a pin of another path by its name
    assert Pins(tmp_path).of(PATH) is None
    moved.rename(file)
    assert Pins(tmp_path).of(PATH)
    file.write_bytes(b"{")
    assert Pins(tmp_path).of(PATH) is None
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert Pins(tmp_path).of(PATH) is None
    file.parent.chmod(0o777)
    with pytest.raises(StoreError, match="can be written by other users"):
        kept.keep(OVER.everywhere_to(TO_TWO))
    assert kept.of(PATH) == OVER.everywhere_to(TO_ONE)


def test_there_are_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "_MOST", 2)
    kept = Pins(tmp_path)
    for path in ("/a", "/b"):
        kept.keep(Pin(path, TWO, TO_ONE))
    with pytest.raises(StoreError, match="2 libraries are rolled back already"):
        kept.keep(Pin("/c", TWO, TO_ONE))
    kept.keep(Pin("/b", THREE, TO_ONE))
    assert sorted(Pins(tmp_path).paths) == ["/a", "/b"]


def test_a_pin_that_cannot_be_kept_is_told() -> None:
    with pytest.raises(StoreError, match="what is rolled back cannot be kept"):
        Pins(Path("/proc/self")).keep(OVER.everywhere_to(TO_ONE))
