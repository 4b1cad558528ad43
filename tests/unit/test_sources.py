"""Which changes of files are a reason to build."""

import os
import subprocess
from pathlib import Path

import pytest

from liveso.cli.rebuild.files import change_of, files_below, may_be_source, not_ignored, written_by
from liveso.cli.rebuild.sources import Change, Content, Sources


def text(path: str, time: float, digest: bytes = b"1") -> Change:
    return Change(path, time, Content.TEXT, digest)


def during_a_build(*there: str) -> Sources:
    """A build has run from second 100 to second 110."""
    sources = Sources(there)
    sources.build_begins(100)
    sources.build_has_ended(110)
    return sources


def test_what_changes_while_no_build_runs_counts() -> None:
    sources = during_a_build("a.c")
    assert sources.counts(text("a.c", 111))
    assert sources.counts(text("new.c", 112))
    assert sources.counts(Change("picture.png", 113, Content.BINARY, b"2"))
    assert not sources.counts(Change("game", 114, Content.PRODUCT))


def test_what_changed_before_the_build_began_is_in_it() -> None:
    assert not during_a_build("a.c").counts(text("a.c", 99))


def test_a_source_that_changes_during_a_build_counts_though_it_never_changed_before() -> None:
    assert during_a_build("a.c").counts(text("a.c", 105))


def test_what_a_build_makes_does_not_count_then_or_later() -> None:
    sources = during_a_build("a.c", "game.bin")
    assert not sources.counts(text("generated.c", 105))
    assert not sources.counts(Change("game.bin", 106, Content.BINARY, b"2"))
    sources.build_begins(200)
    sources.build_has_ended(210)
    assert not sources.counts(text("generated.c", 205, b"2"))
    assert not sources.counts(Change("generated.c", 211, Content.GONE))
    assert sources.counts(text("generated.c", 220, b"3"))  # by hand, or elsewhere


def test_what_is_written_with_the_same_content_does_not_count_during_a_build() -> None:
    sources = during_a_build("a.c")
    assert sources.counts(text("a.c", 90)) is False  # its content is known from now on
    assert not sources.counts(text("a.c", 105))
    assert sources.counts(text("a.c", 106, b"2"))


def test_a_file_that_changes_in_each_build_ends_a_loop() -> None:
    sources, builds = Sources(["version.h"]), 0
    counts = True
    while counts:
        builds += 1
        assert builds < 10
        sources.build_begins(100 * builds)
        sources.build_has_ended(100 * builds + 10)
        counts = sources.counts(text("version.h", 100 * builds + 5, bytes([builds])))
    assert builds == 3 and sources.is_in_each_build("version.h")
    assert sources.counts(text("version.h", 100 * builds + 50, b"by hand"))
    assert not sources.is_in_each_build("version.h")


def test_somebody_who_edits_during_each_build_is_heard() -> None:
    sources = Sources(["a.c"])
    assert sources.counts(text("a.c", 50, b"0"))
    for build in range(1, 6):
        sources.build_begins(100 * build)
        assert sources.counts(text("a.c", 100 * build + 5, bytes([build])))
        sources.build_has_ended(100 * build + 10)


def test_two_steps_of_one_edit_are_one() -> None:
    sources = Sources(["a.c"])
    for build in range(1, 3):
        sources.build_begins(100 * build)
        for step in range(4):
            assert sources.counts(text("a.c", 100 * build + step, bytes([build, step])))


def test_only_what_was_there_can_be_gone() -> None:
    sources = during_a_build("a.c")
    assert not sources.counts(Change("4913", 120, Content.GONE))
    assert sources.counts(Change("a.c", 120, Content.GONE))
    assert sources.counts(text("a.c", 121))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("game.cc", True),
        ("data/level.txt", True),
        ("game.d", True),
        ("Makefile", True),
        (".git/index", False),
        ("src/.cache/a.c", False),
        ("a.o", False),
        ("lib/libgame.so", False),
        ("lib/libgame.so.1.2", False),
        ("__pycache__/a.cpython-311.pyc", False),
        ("game.c~", False),
        ("#game.c#", False),
        (".game.c.swp", False),
        ("../elsewhere.c", False),
    ],
)
def test_names_of_outputs_are_no_sources(tmp_path: Path, name: str, expected: bool) -> None:
    root = tmp_path / ".hidden-root"  # what leads to it does not matter
    assert may_be_source(root, Path(os.path.normpath(root / name))) is expected


def test_a_folder_that_can_be_filled_again_has_no_sources(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    for name in ("target/a.c", "a.c", "b.o"):
        (tmp_path / name).write_text("")
    assert not may_be_source(tmp_path, tmp_path / "target/a.c")
    assert list(files_below(tmp_path)) == [str(tmp_path / "a.c")]
    assert list(files_below(tmp_path / "a.c")) == [str(tmp_path / "a.c")]


def test_what_git_ignores_is_no_source(tmp_path: Path) -> None:
    paths = {str(tmp_path / name) for name in ("a.c", "game", "out/b.c")}
    assert not_ignored(tmp_path, paths) == paths
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/game\n/out/\n")
    (tmp_path / "out").mkdir()
    assert not_ignored(tmp_path, paths) == {str(tmp_path / "a.c")}
    inside = {str(tmp_path / "out/b.c")}  # who watches what is ignored wants that
    assert not_ignored(tmp_path / "out", inside) == inside


def test_what_a_file_is_is_read(tmp_path: Path) -> None:
    contents = {
        "a.c": (b"int a;", Content.TEXT),
        "a.png": (b"\x89PNG\0", Content.BINARY),
        "game": (b"\x7fELF\2", Content.PRODUCT),
    }
    for name, (content, expected) in contents.items():
        (tmp_path / name).write_bytes(content)
        change = change_of(str(tmp_path / name))
        assert change and change.content is expected
    gone = change_of(str(tmp_path / "gone"))
    assert gone and gone.content is Content.GONE
    os.mkfifo(tmp_path / "pipe")
    assert change_of(str(tmp_path / "pipe")) is None and change_of(str(tmp_path)) is None


def test_the_kernels_time_of_a_change_counts(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    os.utime(tmp_path / "a.c", (1, 1))
    change = change_of(str(tmp_path / "a.c"))
    assert change and change.time > 1e9


def test_files_that_a_process_writes_are_known(tmp_path: Path) -> None:
    (tmp_path / "read").write_text("")
    with (tmp_path / "log").open("w"), (tmp_path / "read").open():
        found = written_by([os.getpid()])
    assert str(tmp_path / "log") in found and str(tmp_path / "read") not in found
