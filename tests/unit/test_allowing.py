"""Which version a person means by `liveso allow`, of all that the daemon knows."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from liveso.daemon.allowing import Allowing
from liveso.daemon.events import Events
from liveso.daemon.permissions import Permissions
from liveso.daemon.state import Result
from liveso.errors import Declined, ExitCode, StoreError
from liveso.store import Version

OLD = Version("0" * 64)
NEW, ALIKE, OTHER = (Version(it.ljust(64, "9")) for it in ("abcdef1", "abcdef2", "123456"))
BUILD_IDS = {NEW: "feed00112233", ALIKE: "beef00112233"}


class Builds:
    def build_id(self, version: Version) -> str:
        if version not in BUILD_IDS:
            raise StoreError("lost")
        return BUILD_IDS[version]


def served(pid: int, path: str, refused: Version | None, result: Result = Result.WAITING, old: Version = OLD) -> Any:
    library = SimpleNamespace(
        path=path, result=result, refused=refused, reason="its layout changed", state=SimpleNamespace(current=old)
    )
    return SimpleNamespace(pid=pid, libraries={path: library}, due=asyncio.Event())


def allow(folder: Path, targets: Iterable[Any], library: str, version: str) -> dict[str, object]:
    store: Any = Builds()
    allowing = Allowing(store, Permissions(folder), Events(store, ()))
    return asyncio.run(allowing.allow(targets, library, version, "alice"))


@pytest.mark.parametrize("name", ["/lib/libone.so", "libone.so"])
@pytest.mark.parametrize("beginning", [NEW.digest, "abcdef1", "ABCDEF", "feed00", "FEED00112233"])
def test_a_version_is_known_by_the_beginning_of_both_numbers(tmp_path: Path, name: str, beginning: str) -> None:
    targets = [served(1, "/lib/libone.so", NEW), served(2, "/lib/libtwo.so", ALIKE)]
    found = allow(tmp_path, targets, name, beginning)
    names = {"version": NEW.digest, "build_id": BUILD_IDS[NEW]}
    assert found == {"libraries": ["/lib/libone.so"], **names, "pids": [1]}
    assert [it.due.is_set() for it in targets] == [True, False]
    assert Permissions(tmp_path).hold(OLD, NEW) and not Permissions(tmp_path).hold(OLD, ALIKE)


def test_one_content_may_wait_under_two_paths_and_for_two_old_versions(tmp_path: Path) -> None:
    targets = [served(1, "/a/libone.so", NEW), served(2, "/b/libone.so", NEW, old=OTHER)]
    assert allow(tmp_path, targets, "libone.so", "abcdef")["libraries"] == ["/a/libone.so", "/b/libone.so"]
    assert Permissions(tmp_path).hold(OLD, NEW) and Permissions(tmp_path).hold(OTHER, NEW)


def test_where_it_waits_for_one_process_only_no_other_pair_is_allowed(tmp_path: Path) -> None:
    targets = [
        served(1, "/lib/libone.so", NEW),
        served(2, "/lib/libone.so", NEW, Result.REFUSED, OTHER),
        served(3, "/lib/libone.so", None, Result.CURRENT),
    ]
    assert allow(tmp_path, targets, "libone.so", "abcdef")["pids"] == [1]
    assert not Permissions(tmp_path).hold(OTHER, NEW) and not targets[1].due.is_set()


@pytest.mark.parametrize(
    ("library", "beginning", "code", "text"),
    [
        ("libone.so", "abcde", ExitCode.BAD_INPUT, "at least 6 hexadecimal digits"),
        ("libone.so", "", ExitCode.BAD_INPUT, "at least 6 hexadecimal digits"),
        ("libone.so", "abcdeg1", ExitCode.BAD_INPUT, "at least 6 hexadecimal digits"),
        ("libone.so", "abcdef\n", ExitCode.BAD_INPUT, "at least 6 hexadecimal digits"),
        ("libone.so", "abcdef", ExitCode.BAD_INPUT, "several versions of libone.so begin so"),
        ("libone.so", "777777", ExitCode.NO, "no version 777777 of libone.so waits"),
        ("one", "abcdef", ExitCode.NO, "no process has a library one"),
        ("", "abcdef", ExitCode.NO, "no process has a library"),
        ("libthree.so", "123456", ExitCode.NO, "is refused, which nobody can allow: its layout changed"),
        ("libfour.so", "123456", ExitCode.NO, "is held back, which nobody can allow"),
    ],
)
def test_what_cannot_be_allowed_is_said(
    tmp_path: Path, library: str, beginning: str, code: ExitCode, text: str
) -> None:
    targets = [
        served(1, "/a/libone.so", NEW),
        served(2, "/b/libone.so", ALIKE),
        served(3, "/lib/libthree.so", OTHER, Result.REFUSED),
        served(4, "/lib/libfour.so", OTHER, Result.HELD_BACK),
    ]
    with pytest.raises(Declined, match=text) as caught:
        allow(tmp_path, targets, library, beginning)
    assert caught.value.exit_code == code and not (tmp_path / "allowed").exists()
    assert not any(it.due.is_set() for it in targets)
