"""A package manager says that its files are in their places: its lock is waited for no more, another one's is."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveso.daemon.package_locks import PackageLocks
from liveso.folders import remove_left_overs
from liveso.store import Notes, Store, Version

HOLD = """
import fcntl, subprocess, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
with subprocess.Popen(["cat"]) as hook:  # it ends with what both read
    print(hook.pid, flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "lock").touch()
    return tmp_path / "lock"


@contextmanager
def apt(lock: Path) -> Iterator[int]:
    """A process that holds the lock, and runs a hook, whose number this gives."""
    with subprocess.Popen(["python3", "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield int(process.stdout.readline())


def test_the_lock_of_whoever_is_above_the_hook_is_excused_until_another_one_has_it(lock: Path) -> None:
    locks = PackageLocks([str(lock)])
    with apt(lock) as hook:
        assert locks.are_held([""])
        assert locks.excuse(hook) == [str(lock)]
        assert not locks.are_held([""])
        assert not locks.are_held([""])
    assert not locks.are_held([""])
    with apt(lock) as hook:
        assert locks.are_held([""])
        assert locks.excuse(hook) == [str(lock)]
        locks.wait_again()
        assert locks.are_held([""])
    with apt(lock):
        assert locks.are_held([""])


def test_a_hook_of_another_process_excuses_nothing(lock: Path, tmp_path: Path) -> None:
    locks, other = PackageLocks([str(lock)]), tmp_path / "other"
    other.touch()
    with apt(lock), apt(other) as hook:
        assert locks.excuse(hook) == []
        assert locks.are_held([""])


def test_a_hook_that_has_ended_excuses_nothing(lock: Path) -> None:
    locks = PackageLocks([str(lock)])
    with apt(lock) as hook:
        pass
    with apt(lock):
        assert locks.excuse(hook) == []
        assert locks.are_held([""])


def test_notes_lie_beside_a_version_and_are_read_only_from_this_user(tmp_path: Path) -> None:
    store, version = Store(tmp_path / "store"), Version.of(b"it")
    notes = Notes(store.root)
    notes.write(version, "packages.json", b"[]")  # it is not in the store: nothing is made
    assert notes.read(version, "packages.json") == b"" and not (tmp_path / "store").exists()
    folder = store.root / version.digest[:2] / version.digest
    folder.mkdir(parents=True)
    notes.write(version, "packages.json", b"[1]")
    notes.write(version, "packages.json", b"[2]")
    assert notes.read(version, "packages.json") == b"[2]"
    (folder / "packages.json").chmod(0o666)
    assert notes.read(version, "packages.json") == b""
    (folder / "packages.json").unlink()
    (folder / "packages.json").symlink_to("/etc/hostname")
    assert notes.read(version, "packages.json") == b""


def test_what_a_daemon_that_was_killed_has_taken_out_of_packages_goes(tmp_path: Path) -> None:
    left = tmp_path / ".new-abc"
    left.mkdir()
    (left / "0.so").write_text("x")
    remove_left_overs(tmp_path)
    assert left.exists()  # it may be at work still
    os.utime(left, (0, 0))
    remove_left_overs(tmp_path)
    assert not left.exists()
