"""The store: versions by content, complete or not there, and pruned only when nobody uses them."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liveso.errors import FileInFlux, StoreError
from liveso.store import Store, Version
from liveso.store.recent import Recent

READER = """
import sys, pathlib
from liveso.errors import FileInFlux
from liveso.store.snapshot import take_snapshot
print("ready", flush=True)
while True:
    try:
        with take_snapshot(pathlib.Path(sys.argv[1])):
            pass
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
    later = Store(store.root)
    later.prune({used})
    store.prune({used})
    assert Store(store.root).image(used).content == library.read_bytes()
    with pytest.raises(StoreError, match="not in the store"):
        Store(store.root).image(unused)


def test_what_is_no_library_is_not_taken(tmp_path: Path, library: Path) -> None:
    store, header = Store(tmp_path / "store"), library.read_bytes()[:64]
    contents = {
        b"": "the file is empty",
        b"not a library": "not an ELF file",
        header[:63]: "not a readable ELF file",
        header[:4] + b"\1" + header[5:]: "a file for another machine",
        header[:16] + b"\2" + header[17:]: "not a shared library",
    }
    file = tmp_path / "file.so"
    for content, reason in contents.items():
        file.write_bytes(content)
        with pytest.raises(StoreError, match=reason):
            store.add(file)
    for special, reason in (("/dev/zero", "not a regular file"), ("/proc/self/maps", "not an ELF file")):
        with pytest.raises(StoreError, match=reason):
            store.add(Path(special))
    os.mkfifo(tmp_path / "fifo.so")
    with pytest.raises(StoreError, match="not a regular file"):
        store.add(tmp_path / "fifo.so")
    assert not store.root.exists()
    with pytest.raises(StoreError, match="not in the store"):
        store.image(Version("0" * 64))


def test_a_library_that_is_large_for_its_size_on_disk_is_not_taken(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    for size, reason in (((1 << 30) - 1, "MiB of holes"), ((1 << 30) + 1, "larger than 1 GiB")):
        os.truncate(library, size)
        with pytest.raises(StoreError, match=reason):
            store.add(library)
    os.truncate(library, 32 << 20)
    assert len(store.image(store.add(library)).content) == 32 << 20


@pytest.mark.parametrize("digest", ["", "0" * 63, "A" * 64, "../" * 21 + "x", "0" * 63 + "\n", "0" * 64 + "/x"])
def test_a_version_is_named_by_a_sha256(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        Version(digest)
    assert Store(tmp_path).version_of(f"{tmp_path}/{digest[:2]}/{digest}/3/libx.so") is None


def test_only_a_path_that_the_store_makes_leads_to_a_version(tmp_path: Path) -> None:
    store, digest = Store(tmp_path), "ab" * 32
    assert store.version_of(f"{tmp_path}/ab/{digest}/carried/libx.so") == Version(digest)
    for path in (f"aa/{digest}/3/x", f"ab/{digest}", f"ab/{digest}/../../x", f"ab/{digest}/3/..", "x"):
        assert store.version_of(f"{tmp_path}/{path}") is None
    assert store.version_of(f"/ab/{digest}/3/libx.so") is None


def test_a_damaged_original_is_never_used_and_is_taken_anew(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    original = store.root / version.digest[:2] / version.digest / "original"
    os.truncate(original, 8192)
    with pytest.raises(StoreError, match=f"version {version} is damaged, so not used; remove "):
        store.image(version)
    assert store.find_build_id(store.build_id(version)) == []
    later = Store(store.root)
    with pytest.raises(StoreError, match="damaged"):
        later.prepared(version, "libanswer.so")
    assert later.add(library) == version
    assert later.image(version).content == library.read_bytes()


def test_a_damaged_copy_is_made_anew(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    prepared = store.prepared(version, "libanswer.so")
    whole = prepared.read_bytes()
    for it in (store, Store(store.root)):
        os.truncate(prepared, 100)
        assert it.prepared(version, "libanswer.so").read_bytes() == whole
    with library.open("rb") as source:
        carried = store.carried(version, "libanswer.so.1", source.fileno())
        carried.unlink()
        carried.write_bytes(b"spoilt")
        assert store.carried(version, "libanswer.so.1", source.fileno()).read_bytes() == library.read_bytes()


@pytest.mark.parametrize("name", ["original", "prepared", "carried"])
@pytest.mark.parametrize("kind", ["theirs", "writable", "link"])
def test_a_file_of_the_store_that_another_could_change_is_not_used(
    tmp_path: Path, library: Path, name: str, kind: str
) -> None:
    version = Store(tmp_path / "store").add(library)
    store = Store(tmp_path / "store")
    with library.open("rb") as source:
        files = {
            "original": store.root / version.digest[:2] / version.digest / "original",
            "prepared": store.prepared(version, "libanswer.so"),
            "carried": store.carried(version, "libanswer.so", source.fileno()),
        }
        file = files[name]
        content = file.read_bytes()
        file.unlink()
        if kind == "link":
            (tmp_path / "elsewhere").write_bytes(content)
            file.symlink_to(tmp_path / "elsewhere")
        else:
            file.write_bytes(content)
            file.chmod(0o666 if kind == "writable" else 0o644)
            os.chown(file, 65534 if kind == "theirs" else 0, 0)
        fact = {
            "theirs": "belongs to user nobody",
            "writable": "can be written by other users",
            "link": "symbolic link",
        }
        with pytest.raises(StoreError, match=fact[kind]):
            if name == "original":
                Store(store.root).image(version)
            elif name == "prepared":
                store.prepared(version, "libanswer.so")
            else:
                store.carried(version, "libanswer.so", source.fileno())


def test_a_store_of_another_user_is_not_used(tmp_path: Path, library: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    os.chown(root, 65534, 65534)
    with pytest.raises(
        StoreError, match=r"belongs to user nobody, so it is not used; set LIVE_STORE to a folder of your"
    ):
        Store(root).add(library)
    with pytest.raises(StoreError, match="belongs to user nobody"):
        Store(root).prune(())
    assert not list(root.iterdir())


def test_what_one_user_can_bring_is_bounded(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, content = Store(tmp_path / "store"), library.read_bytes()
    monkeypatch.setattr("liveso.store.accounts._MOST_BYTES", 3 * len(content))

    def add(number: int, owner: int | None) -> Version:
        library.write_bytes(content + bytes([number]))
        return store.add(library, owner)

    first, _second = add(0, 12345), add(1, 12345)
    with pytest.raises(StoreError, match="user 12345 has 2 versions"):
        add(2, 12345)
    assert add(0, 12345) == first
    add(2, 65534), add(3, None)
    assert add(2, 12345) == add(2, None)  # it is there already
    long_ago = time.time() - 30 * 24 * 3600
    os.utime(store.root / first.digest[:2] / first.digest / "original", (long_ago, long_ago))
    store.prune(())
    add(4, 12345)
    monkeypatch.setattr("liveso.store.accounts._MOST_VERSIONS", 2)
    with pytest.raises(StoreError, match="of 2 and"):
        add(5, 12345)


def test_versions_are_found_by_their_build_id_by_a_later_daemon_too(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    subprocess.run(["gcc", "-shared", "-Wl,--build-id=0xabcdef", "-o", library, "-x", "c", "/dev/null"], check=True)
    version = store.add(library)
    assert store.build_id(version) == store.image(version).build_id == "abcdef"
    subprocess.run(["strip", library], check=True)
    stripped = store.add(library)
    for it in (store, Store(store.root)):
        assert set(it.find_build_id("abcdef")) == {version, stripped}
        assert it.find_build_id("00") == []


def test_what_a_crash_left_is_removed_by_and_by(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.add(library)
    folder, empty = store.root / version.digest[:2] / version.digest, store.root / "00" / ("0" * 64)
    empty.mkdir(parents=True)
    for name in (".new-1", ".new-2"):
        (folder / name).touch()
    os.utime(folder / ".new-1", (0, 0))
    os.utime(empty, (0, 0))
    store.prune({version})
    assert sorted(os.listdir(folder)) == [".new-2", "original"] and not empty.exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, library: Path) -> None:
    code = "import resource, sys, pathlib\nfrom liveso.store import Store\nfrom liveso.errors import StoreError\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
    code += "try: Store(pathlib.Path(sys.argv[1])).add(pathlib.Path(sys.argv[2]))\nexcept StoreError as it: print(it)"
    said = subprocess.check_output([sys.executable, "-c", code, tmp_path / "store", library], text=True)
    assert said == f"the store {tmp_path}/store cannot be written: File too large\n"
    assert not [it for it in (tmp_path / "store").rglob("*") if it.is_file()]


def test_images_in_memory_are_bounded_by_their_bytes() -> None:
    recent: Recent[int, bytes] = Recent(10, len, least=2)
    for number in range(5):
        recent.put(number, bytes(4))
    assert [number for number in range(5) if recent.get(number)] == [3, 4]
    recent.put(5, bytes(100))
    assert len(recent) == 2 and recent.get(4) and recent.get(5)
    recent.drop(lambda key, _value: key == 5)
    recent.put(6, bytes(4))
    assert len(recent) == 2
