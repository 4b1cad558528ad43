"""The store: versions by content, complete or not there, and pruned only when nobody uses them."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liveso.errors import FileInFlux, ImageError, StoreError
from liveso.store import Store, Version

READER = """
import sys, pathlib
from liveso.errors import FileInFlux
from liveso.store.snapshot import take_snapshot
print("ready", flush=True)
while True:
    try:
        take_snapshot(pathlib.Path(sys.argv[1]))
    except FileInFlux:
        pass
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    source = tmp_path / "answer.c"
    source.write_text(
        "__thread int local; static void begin(void) __attribute__((constructor));\n"
        "static void begin(void) { local = 1; } int answer(void) { return local; }\n"
    )
    path = tmp_path / "libanswer.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def test_the_same_content_is_one_version(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    copy = tmp_path / "copy.so"
    copy.write_bytes(library.read_bytes())
    assert store.add(copy) == version
    library.unlink()
    assert store.image(version).content == copy.read_bytes()


def test_what_is_being_written_is_not_taken(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    with library.open("ab"), pytest.raises(FileInFlux):
        store.add(library)
    store.add(library)


def test_a_writer_that_comes_while_a_file_is_read_does_not_end_the_reader(tmp_path: Path, library: Path) -> None:
    reader = subprocess.Popen([sys.executable, "-c", READER, library], stdout=subprocess.PIPE)
    assert reader.stdout and reader.stdout.readline()
    met = 0
    while met < 5 and reader.poll() is None:
        try:
            os.close(os.open(library, os.O_WRONLY | os.O_NONBLOCK))
        except BlockingIOError:
            met += 1
    with pytest.raises(subprocess.TimeoutExpired):
        reader.wait(0.5)
    reader.kill()
    reader.wait()


def test_the_store_gives_a_copy_of_a_version_under_the_librarys_name(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    with library.open("rb") as source:
        copy = store.carried(version, "libanswer.so.1", source.fileno())
        assert copy.name == "libanswer.so.1" and copy.read_bytes() == library.read_bytes()
        assert store.version_of(str(copy)) == version
        shutil.rmtree(store.root)
        assert store.carried(version, "libanswer.so.1", source.fileno()).read_bytes() == library.read_bytes()
        original = store.root / version.digest[:2] / version.digest / "original"
        original.unlink()
        original.write_bytes(b"spoilt")
        assert store.carried(version, "libanswer.so.1", source.fileno()).read_bytes() == library.read_bytes()
        shutil.rmtree(store.root)
        with pytest.raises(StoreError, match="not in the store"):
            store.carried(Version("0" * 64), "libanswer.so.1", source.fileno())


def test_the_prepared_copy_differs_in_what_the_dynamic_linker_owns(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    prepared = store.prepared(version, "libanswer.so")
    assert store.version_of(str(prepared)) == version
    shown = subprocess.check_output(["readelf", "-dlrW", prepared], text=True)
    assert "INIT_ARRAY" not in shown and "TLS" not in shown.replace("STATIC_TLS", "")
    before, after = library.read_bytes(), prepared.read_bytes()
    assert len(before) == len(after) and sum(a != b for a, b in zip(before, after, strict=True)) < 60


def test_versions_in_use_are_not_pruned(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    used = store.add(library)
    other = tmp_path / "other.so"
    other.write_bytes(library.read_bytes() + b"\0")
    unused = store.add(other)
    long_ago = time.time() - 30 * 24 * 3600
    for version in (used, unused):
        os.utime(tmp_path / "store" / version.digest[:2] / version.digest / "original", (long_ago, long_ago))
    store.prune({used})
    assert Store(store.root).image(used).content == library.read_bytes()
    with pytest.raises(StoreError, match="not in the store"):
        Store(store.root).image(unused)


def test_what_is_no_library_has_no_image(tmp_path: Path) -> None:
    file = tmp_path / "text.so"
    file.write_text("not a library")
    store = Store(tmp_path / "store")
    version = store.add(file)
    with pytest.raises(ImageError, match="not an ELF file"):
        store.image(version)
    with pytest.raises(StoreError):
        store.image(Version("0" * 64))
