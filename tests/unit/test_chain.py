"""The directory entries that lead to a library."""

from pathlib import Path

from liveso.watch.chain import chain


def test_every_link_on_the_way_is_in_it(tmp_path: Path) -> None:
    for folder in ("real/1", "real/2"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "real/1/libfoo.so.1.0").touch()
    (tmp_path / "real/1/libfoo.so.1").symlink_to("libfoo.so.1.0")
    (tmp_path / "current").symlink_to("real/1")
    root = str(tmp_path)
    found = {it for it in chain(f"{root}/current/../1/libfoo.so.1") if it[0].startswith(root)}
    assert found == {
        (root, "current"),
        (root, "real"),
        (f"{root}/real", "1"),
        (f"{root}/real/1", "libfoo.so.1"),
        (f"{root}/real/1", "libfoo.so.1.0"),
    }


def test_a_missing_entry_ends_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    found = chain(f"{tmp_path}/link/libfoo.so")
    assert (str(tmp_path), "gone") in found and not any(name == "libfoo.so" for _folder, name in found)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert {(str(tmp_path), "a"), (str(tmp_path), "b")} <= chain(f"{tmp_path}/a")
