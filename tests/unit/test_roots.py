"""Paths below the root of a process."""

import os
from pathlib import Path

import pytest

from liveso.roots import below, inside, open_file, real_path, root_of, stat
from liveso.watch.chain import chain

ROOT = f"/proc/{os.getpid()}/root"
OTHER = "/proc/17/root"


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/usr/lib/libz.so.1", ""),
        (f"{OTHER}/usr/lib/libz.so.1", OTHER),
        ("/proc/17/rooted/libz.so.1", ""),
        ("/proc/self/root/libz.so.1", ""),
        (f"/srv{OTHER}/libz.so.1", ""),
    ],
)
def test_the_root_of_a_path(path: str, root: str) -> None:
    assert root_of(path) == root
    assert root_of(path) + inside(path) == path


def test_a_file_below_a_root_is_the_one_that_the_process_sees(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("content")
    (tmp_path / "absolute").symlink_to(tmp_path / "folder")
    path = f"{ROOT}{tmp_path}/absolute/file"
    with os.fdopen(open_file(path, os.O_RDONLY)) as file:
        assert file.read() == "content"
        assert not os.get_inheritable(file.fileno())
    assert stat(path).st_ino == (tmp_path / "folder/file").stat().st_ino
    assert real_path(path) == f"{ROOT}{tmp_path}/folder/file"
    with pytest.raises(FileNotFoundError):
        open_file(f"{ROOT}{tmp_path}/nothing", os.O_RDONLY)


def test_links_of_the_kernel_lead_nowhere_below_a_root() -> None:
    """They would lead to other roots."""
    with pytest.raises(OSError):
        open_file(f"{ROOT}/proc/{os.getpid()}/exe", os.O_RDONLY)


def test_what_the_kernel_shows_of_a_process_without_a_root_of_its_own() -> None:
    assert below("", "/usr/lib/libz.so.1") == "/usr/lib/libz.so.1"
    assert below(ROOT, "/usr/lib/libz.so.1") == f"{ROOT}/usr/lib/libz.so.1"


def test_the_way_to_a_file_stays_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "absolute").symlink_to(tmp_path / "folder")
    (tmp_path / "up").symlink_to("/../../" + str(tmp_path)[1:])
    here = f"{ROOT}{tmp_path}"
    assert (f"{here}/folder", "file") in chain(f"{here}/absolute/file")
    entries = chain(f"{here}/up/file")
    assert (here, "file") in entries
    assert all(folder.startswith(ROOT) for folder, _name in entries)
