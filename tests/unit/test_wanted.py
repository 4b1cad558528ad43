"""Which version is wanted of a library: what lies on disk, or what it was rolled back to while that lies there."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from liveso.daemon.pins import Choice, Pin, Pins, Process, Rollback
from liveso.daemon.wanted import Wanted, WantedVersions
from liveso.plan import AddressMap, LibraryState, LoadedVersion
from liveso.process import proc
from liveso.store import Version

PATH = "/lib/libone.so"
ONE, TWO, THREE = (Version(f"{number:064x}") for number in (1, 2, 3))
BACK = Rollback(ONE, TWO, 5.0)
MYSELF = Process(os.getpid(), proc.start_time(os.getpid()))


class OnDisk:
    """A disk on which one library lies."""

    def __init__(self, version: Version | None) -> None:
        self.now = version

    def version(self, path: str) -> Version | None:
        return self.now if path == PATH else None


def room(folder: Path, pin: Pin | None = None, on_disk: Version | None = TWO) -> tuple[WantedVersions, Any, Pins]:
    disk: Any = OnDisk(on_disk)
    pins = Pins(folder)
    if pin:
        pins.keep(pin)
    return WantedVersions(disk, pins), disk, pins


def target(pid: int = MYSELF.pid, started: int = MYSELF.started, state: LibraryState | None = None) -> Any:
    library = SimpleNamespace(path=PATH, state=state, is_new=True)
    return SimpleNamespace(pid=pid, peer=SimpleNamespace(pid=pid, started=started), libraries={PATH: library})


def state(current: Version, *versions: Version) -> LibraryState:
    return LibraryState(PATH, tuple(LoadedVersion(it, AddressMap(0)) for it in versions), current)


def test_what_lies_on_disk_is_wanted_where_nobody_rolled_back(tmp_path: Path) -> None:
    wanted, disk, _pins = room(tmp_path)
    assert wanted.of(target(), PATH) == Wanted(TWO)
    disk.now = None
    assert wanted.of(target(), PATH) == Wanted(None)


def test_a_rollback_holds_while_the_same_lies_on_disk(tmp_path: Path) -> None:
    wanted, disk, pins = room(tmp_path, Pin(PATH, TWO, Choice(ONE, 5.0)))
    assert wanted.of(target(), PATH) == Wanted(ONE, BACK)
    disk.now = THREE
    assert wanted.of(target(), PATH) == Wanted(THREE)
    wanted.disk_changed([PATH])
    assert pins.of(PATH) is None
    disk.now = TWO
    assert wanted.of(target(), PATH) == Wanted(TWO)


def test_while_the_file_is_not_known_nothing_is_wanted_and_nothing_lost(tmp_path: Path) -> None:
    wanted, disk, pins = room(tmp_path, Pin(PATH, TWO, Choice(ONE, 5.0)), on_disk=None)
    wanted.disk_changed([PATH, "/other"])
    assert wanted.of(target(), PATH) == Wanted(None, BACK)
    disk.now = TWO
    wanted.disk_changed([PATH])
    assert wanted.of(target(), PATH) == Wanted(ONE, BACK) and pins.of(PATH)


def test_a_child_is_met_once_and_has_its_parents_rollback(tmp_path: Path) -> None:
    parent = Process(os.getppid(), proc.start_time(os.getppid()))
    wanted, _disk, pins = room(tmp_path, Pin(PATH, TWO).to(Choice(ONE, 5.0), [parent]))
    was_there = target(state=state(TWO, ONE, TWO))
    asyncio.run(wanted.meet(was_there))
    assert wanted.of(was_there, PATH) == Wanted(TWO)
    was_there.libraries[PATH].state = state(ONE, ONE, TWO)
    asyncio.run(wanted.meet(was_there))
    assert wanted.of(was_there, PATH) == Wanted(TWO)
    child = target(state=state(ONE, ONE, TWO))
    asyncio.run(wanted.meet(child))
    assert wanted.of(child, PATH) == Wanted(ONE, BACK)
    assert Pins(tmp_path).of(PATH) == pins.of(PATH) == Pin(PATH, TWO).to(Choice(ONE, 5.0), [parent, MYSELF])


def test_a_process_whose_parent_went_forward_alone_does_so_too(tmp_path: Path) -> None:
    parent = Process(os.getppid(), proc.start_time(os.getppid()))
    pin = Pin(PATH, TWO, Choice(ONE, 5.0)).forward([parent], 6.0)
    wanted, _disk, _pins = room(tmp_path, pin)
    child = target(state=state(TWO, ONE, TWO))
    asyncio.run(wanted.meet(child))
    assert wanted.of(child, PATH) == Wanted(TWO)
    assert wanted.of(target(pid=1), PATH) == Wanted(ONE, BACK)
