"""What is taken out of rpm's packages, and what rpm says of a file."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.dpkg import Package, chosen
from liveso.rpm import libraries_of
from liveso.rpm.archive import members
from liveso.rpm.database import owner_in

FILE, LINK, FOLDER = 0o100644, 0o120777, 0o040755


def cpio(*entries: tuple[str, int, bytes]) -> bytes:
    """An archive as rpm2cpio writes it."""
    found = b""
    for name, mode, content in (*entries, ("TRAILER!!!", 0, b"")):
        numbers = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        found += b"070701" + b"".join(b"%08x" % it for it in numbers) + name.encode() + b"\0"
        found += b"\0" * (-len(found) % 4) + content
        found += b"\0" * (-len(found) % 4)
    return found


ARCHIVE = cpio(
    ("./usr/lib64", FOLDER, b""),
    ("./usr/lib64/libone.so.1", LINK, b"libone.so.1.9.1"),
    ("./usr/lib64/libone.so.1.9.1", FILE, b"content of one"),
    ("./usr/lib64/engines/libone.so.1", FILE, b"another"),
    ("./usr/lib64/libgone.so.1", LINK, b"/usr/lib64/libgone.so.1.0"),
    ("./usr/bin/one", FILE, b"a program!!"),
    ("./lib64/libtwo.so.2", FILE, b"two"),
    ("./lib64/libempty.so.2", FILE, b""),
)
WANTED = [f"/lib64/{it}" for it in ("libone.so.1", "libgone.so.1", "libempty.so.2")] + ["/usr/lib64/libtwo.so.2"]


def taken(archive: bytes, folder: Path) -> dict[str, str]:
    return {path: copy.read_text() for path, copy in chosen(members(io.BytesIO(archive)), WANTED, folder)}


def test_libraries_are_taken_out_of_a_cpio_archive_by_the_paths_that_processes_have(tmp_path: Path) -> None:
    assert taken(ARCHIVE, tmp_path) == {"/lib64/libone.so.1": "content of one", "/usr/lib64/libtwo.so.2": "two"}
    assert len(list(tmp_path.iterdir())) == 2  # nothing else was written


def test_an_archive_that_ends_early_brings_what_came_before_and_never_half_a_library(tmp_path: Path) -> None:
    whole = {"/lib64/libone.so.1": "content of one", "/usr/lib64/libtwo.so.2": "two"}
    for end in range(len(ARCHIVE)):
        folder = tmp_path / str(end)
        folder.mkdir()
        assert taken(ARCHIVE[:end], folder).items() <= whole.items(), end


@pytest.mark.parametrize(
    "damaged",
    [b"no archive" * 20, ARCHIVE.replace(b"070701", b"07070X", 1), b"070701" + b"zz" * 52, b"070701" + b"f" * 104],
)
def test_what_is_no_archive_brings_nothing(damaged: bytes, tmp_path: Path) -> None:
    assert taken(damaged, tmp_path) == {}


def test_a_file_that_is_no_package_brings_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.rpm").write_bytes(ARCHIVE)
    assert list(libraries_of(tmp_path / "a.rpm", WANTED, tmp_path)) == []
    assert list(libraries_of(tmp_path / "nowhere.rpm", WANTED, tmp_path)) == []


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], int]:
    (tmp_path / "library").write_bytes(b"content")
    return lambda: os.open(tmp_path / "library", os.O_RDONLY)


def said(architecture: str, digest: str, version: str = "1:3.0.7-24.el9") -> str:
    files = f"-\t/usr/lib64/libssl.so.3\n-{'0' * 64}\t/usr/bin/x\n-{digest}\t/usr/lib64/libssl.so.3.0.7\n"
    return f"=openssl-libs\t{version}\t{architecture}\topenssl-{version.partition(':')[2]}.src.rpm\n{files}"


def test_a_file_is_that_package_s_whose_digest_it_has(opened: Callable[[], int]) -> None:
    path, other = "/lib64/libssl.so.3.0.7", "1" * 64
    right = hashlib.sha256(b"content").hexdigest()
    version = "1:3.0.7-24.el9"
    assert owner_in(said("x86_64", right), path, opened) == Package(
        "openssl-libs", version, "x86_64", "openssl", version
    )
    several = said("i686", other) + said("x86_64", right)
    found = owner_in(several, path, opened)
    assert found and found.architecture == "x86_64"
    old = owner_in(said("x86_64", hashlib.md5(b"content", usedforsecurity=False).hexdigest()), path, opened)
    assert old and old.name == "openssl-libs"  # packages of before 2009 have MD5


def test_a_file_that_was_changed_or_that_no_package_has_is_nobody_s(opened: Callable[[], int]) -> None:
    right = hashlib.sha256(b"content").hexdigest()
    assert owner_in(said("x86_64", "1" * 64), "/usr/lib64/libssl.so.3.0.7", opened) is None
    assert owner_in(said("x86_64", right), "/usr/lib64/libother.so.3", opened) is None
    assert owner_in(said("x86_64", right), "/usr/lib64/libssl.so.3", opened) is None  # a link has no digest
    assert owner_in("file /usr/lib64/x is not owned by any package\n", "/usr/lib64/x", opened) is None
    assert owner_in("", "/usr/lib64/x", opened) is None
