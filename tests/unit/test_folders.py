"""Folders and files of other users: refused with a sentence, and left as they were. Two plain users play the parts."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.errors import UnsafePath
from liveso.folders import open_folder, open_trusted
from tests.users import ATTACKER, VICTIM, as_user, make_file, make_folder

CURE = "set LIVE_SOCKET to a folder of your own"


def make_lock(folder: Path) -> None:
    with open_folder(folder, CURE, make=True) as it:
        os.write(it.open_own("lock", os.O_RDWR), b"1\n")


def test_a_folder_of_ones_own_below_a_sticky_one_is_used_and_closed_to_others(common: Path) -> None:
    assert as_user(VICTIM, lambda: make_lock(common / "mine" / "below")) == ""
    assert as_user(VICTIM, lambda: make_lock(common / "mine" / "below")) == ""
    for folder in (common / "mine", common / "mine" / "below"):
        assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (VICTIM, 0o700)
    assert stat.S_IMODE((common / "mine/below/lock").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777, 0o1777])
def test_a_folder_that_another_made_is_refused(common: Path, mode: int) -> None:
    theirs = make_folder(common / "liveso", ATTACKER, mode)
    said = as_user(VICTIM, lambda: make_lock(theirs / "below"))
    assert said == f"{theirs} belongs to user nobody, so it is not used; {CURE}"
    assert not list(theirs.iterdir())


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_folder_on_the_way_that_others_can_write_to_is_refused(common: Path, mode: int) -> None:
    mine = make_folder(common / "mine", VICTIM, mode)
    said = as_user(VICTIM, lambda: make_lock(mine / "below"))
    assert said.startswith(
        f"{mine} can be written by other users (mode {mode:04o}), so it is not used; run `chmod go-w"
    )
    assert not list(mine.iterdir())


def test_a_sticky_folder_is_passed_but_not_used(common: Path) -> None:
    assert "can be written by other users (mode 1777)" in as_user(VICTIM, lambda: make_lock(common))
    assert not list(common.iterdir())


def test_a_link_of_another_on_the_way_is_refused_and_ones_own_is_followed(common: Path) -> None:
    home = make_folder(common / "home", VICTIM)
    for user, name in ((ATTACKER, "theirs"), (VICTIM, "mine"), (0, "roots")):
        (common / name).symlink_to(home)
        os.chown(common / name, user, user, follow_symlinks=False)
    said = as_user(VICTIM, lambda: make_lock(common / "theirs"))
    assert said == f"{common}/theirs belongs to user nobody, so it is not used; {CURE}" and not list(home.iterdir())
    assert (
        as_user(VICTIM, lambda: make_lock(common / "mine"))
        == as_user(VICTIM, lambda: make_lock(common / "roots"))
        == ""
    )
    (home / "round").symlink_to("round")
    assert "Too many levels of symbolic links" in as_user(VICTIM, lambda: make_lock(home / "round"))


def test_where_a_link_leads_is_judged_too(common: Path) -> None:
    theirs = make_folder(common / "theirs", ATTACKER)
    (common / "link").symlink_to("./theirs/../theirs")
    os.chown(common / "link", VICTIM, VICTIM, follow_symlinks=False)
    assert f"{theirs} belongs to user nobody" in as_user(VICTIM, lambda: make_lock(common / "link"))


@pytest.mark.parametrize("kind", ["link", "hard-link", "theirs", "fifo", "folder"])
def test_what_is_no_plain_file_of_the_user_is_not_written(common: Path, kind: str) -> None:
    """What lay there before a folder was closed to others."""
    mine = make_folder(common / "mine", VICTIM)
    precious = make_file(common / "precious", VICTIM)
    lock = mine / "lock"
    facts: dict[str, tuple[Callable[[], object], str]] = {
        "link": (lambda: lock.symlink_to(precious), "is a symbolic link of user root"),
        "hard-link": (lambda: lock.hardlink_to(precious), "has another name, too"),
        "theirs": (lambda: make_file(lock, ATTACKER, 0o666), "belongs to user nobody"),
        "fifo": (lambda: os.mkfifo(lock), "is not a regular file"),
        "folder": (lock.mkdir, "is not a regular file"),
    }
    make, fact = facts[kind]
    make()
    said = as_user(VICTIM, lambda: make_lock(mine))
    assert said.startswith(f"{lock} {fact}") and said.endswith(CURE)
    assert precious.read_text() == "content" and stat.S_IMODE(precious.stat().st_mode) == 0o644
    assert kind != "theirs" or lock.read_text() == "content"


def test_a_file_is_only_read_if_nobody_else_can_write_it(common: Path) -> None:
    mine = make_folder(common / "mine", VICTIM)

    def read(name: str) -> str:
        return as_user(VICTIM, lambda: open_trusted(mine / name, CURE).close())

    make_file(mine / "good", VICTIM)
    make_file(mine / "roots", 0)
    make_file(mine / "theirs", ATTACKER)
    make_file(mine / "open", VICTIM, 0o664)
    (mine / "link").symlink_to("good")
    (mine / "away").symlink_to(common / "elsewhere")
    make_file(common / "elsewhere", ATTACKER)
    assert [read(name) for name in ("good", "roots", "link")] == ["", "", ""]
    assert read("theirs").startswith(f"{mine}/theirs belongs to user nobody")
    assert read("open").startswith(f"{mine}/open can be written by other users (mode 0664)")
    assert "can be written by other users (mode 1777)" in read("away")


def test_only_a_socket_of_ones_own_is_removed(common: Path) -> None:
    mine = make_folder(common / "mine", VICTIM)

    def remove(name: str) -> str:
        def act() -> None:
            with open_folder(mine, CURE) as folder:
                folder.remove_socket(name)

        return as_user(VICTIM, act)

    def listen(name: str, user: int) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(mine / name))
        os.chown(mine / name, user, user)

    listen("own", VICTIM)
    listen("theirs", ATTACKER)
    make_file(mine / "file", VICTIM)
    (mine / "link").symlink_to("own")
    assert "is not a socket, and is left alone" in remove("file") and "is not a socket" in remove("link")
    assert "belongs to user nobody" in remove("theirs")
    assert remove("own") == remove("gone") == ""
    assert sorted(os.listdir(mine)) == ["file", "link", "theirs"]


def test_root_uses_no_folder_of_another_user(common: Path) -> None:
    theirs = make_folder(common / "theirs", VICTIM, 0o700)
    with pytest.raises(UnsafePath, match=f"belongs to user {VICTIM}, so it is not used"):
        open_folder(theirs / "below", CURE, make=True)


def test_roots_folders_are_for_everybody_to_read_whatever_the_umask(common: Path) -> None:
    code = "import os, sys, pathlib\nfrom liveso.folders import open_folder\nos.umask(0o77)\n"
    code += "open_folder(pathlib.Path(sys.argv[1]), '', make=True)"
    subprocess.run([sys.executable, "-c", code, common / "run" / "liveso"], check=True)
    assert stat.S_IMODE((common / "run" / "liveso").stat().st_mode) == 0o755


def test_what_cannot_be_written_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> list[bytes]:
        raise OSError(28, "No space left on device")

    with open_folder(tmp_path / "folder", CURE, make=True) as folder:
        with pytest.raises(OSError, match="No space"):
            folder.write("name", (it for _ in range(2) for it in blocks()), 0o600)
        assert not os.listdir(folder.path)
        folder.write("name", [b"a", b"b"], 0o440)
        assert (folder.path / "name").read_bytes() == b"ab"
