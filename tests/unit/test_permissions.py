"""Permissions are for two contents, are kept, and are bounded in number."""

import os
from pathlib import Path

import pytest

from liveso.daemon import permissions
from liveso.daemon.permissions import Permissions
from liveso.errors import StoreError
from liveso.store import Version


def version(number: int) -> Version:
    return Version(f"{number:064x}")


def test_a_permission_is_for_this_pair_and_outlives_the_daemon(tmp_path: Path) -> None:
    given = Permissions(tmp_path)
    assert not given.hold(version(1), version(2))
    given.give(version(1), version(2), "/lib/libone.so")
    for it in (given, Permissions(tmp_path)):
        assert it.hold(version(1), version(2))
        assert not it.hold(version(2), version(1)) and not it.hold(version(3), version(2))


def test_the_oldest_permissions_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "_MOST", 3)
    given = Permissions(tmp_path)
    for number in range(5):
        given.give(version(number), version(9), "/lib/libone.so")
        for file in (tmp_path / "allowed").iterdir():
            os.utime(file, (file.stat().st_mtime - 60,) * 2)
    assert [given.hold(version(number), version(9)) for number in range(5)] == [False, False, True, True, True]


def test_what_is_no_file_of_this_user_is_no_permission(tmp_path: Path) -> None:
    given = Permissions(tmp_path)
    given.give(version(1), version(2), "/lib/libone.so")
    (file,) = (tmp_path / "allowed").iterdir()
    file.chmod(0o622)
    assert not given.hold(version(1), version(2))
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert not given.hold(version(1), version(2))
    file.unlink()
    file.mkdir()
    assert not given.hold(version(1), version(2))


def test_a_permission_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the permission cannot be kept"):
        Permissions(Path("/proc/self")).give(version(1), version(2), "/lib/libone.so")
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed").chmod(0o777)
    with pytest.raises(StoreError, match="can be written by other users"):
        Permissions(tmp_path).give(version(1), version(2), "/lib/libone.so")
