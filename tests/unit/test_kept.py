"""Verdicts that are kept: found again for the same question, and for no other."""

import json
import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import DebugSource, KeptVerdicts, Policy, Verdict
from liveso.verdict.kept import to_text


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str, str], Image]:
    def build(name: str, text: str) -> Image:
        path = tmp_path / name
        command = ["gcc", "-shared", "-fPIC", "-g", "-x", "c", "-", "-o", str(path), "-Wl,-soname,libkept.so"]
        subprocess.run(command, input=text, text=True, check=True)
        return read_image(path.read_bytes())

    return build


def kept_file(kept: KeptVerdicts) -> Path:
    (path,) = kept.folder.glob("*.json")
    return path


def test_the_same_question_is_not_judged_again(tmp_path: Path, build: Callable[[str, str], Image]) -> None:
    old, new = (
        build("old", "int x = 1; int f(void) { return x; }"),
        build("new", "long x = 1; int f(void) { return x; }"),
    )
    kept = KeptVerdicts(tmp_path / "verdicts")
    first = kept.judge(old, new, Policy.STRICT, DebugSource())
    assert first.refusals(None)
    path = kept_file(kept)
    path.write_text(to_text(Verdict(())))  # what is answered now comes from here
    assert kept.judge(old, new, Policy.STRICT, DebugSource()) == Verdict(())
    path.write_text("no JSON")
    assert kept.judge(old, new, Policy.STRICT, DebugSource()) == first
    assert kept.judge(old, new, Policy.STRICT, DebugSource()) == first


def test_another_policy_and_another_pair_are_other_questions(
    tmp_path: Path, build: Callable[[str, str], Image]
) -> None:
    old, new = (
        build("old", "int x = 1; int f(void) { return x; }"),
        build("new", "int x = 1; int f(void) { return -x; }"),
    )
    kept = KeptVerdicts(tmp_path / "verdicts")
    for pair, policy in (((old, new), Policy.STRICT), ((old, new), Policy.ELF), ((new, old), Policy.STRICT)):
        kept.judge(*pair, policy, DebugSource())
    assert len(list(kept.folder.iterdir())) == 3


def test_debug_information_that_appears_asks_anew(tmp_path: Path, build: Callable[[str, str], Image]) -> None:
    full = tmp_path / "full"
    build("full", "struct s { int a, b; } x; int f(void) { return x.a + x.b; }")
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, full], check=True)
    image = read_image(stripped.read_bytes())
    folder = tmp_path / "debug"
    source = DebugSource((str(folder),))
    kept = KeptVerdicts(tmp_path / "verdicts")
    without = kept.judge(image, image, Policy.STRICT, source)
    assert "no debug information" in without.findings[0].text
    place = folder / ".build-id" / image.build_id[:2] / f"{image.build_id[2:]}.debug"
    place.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", full, place], check=True)
    assert not kept.judge(image, image, Policy.STRICT, source).findings


def test_a_folder_that_cannot_be_written_only_costs_time(build: Callable[[str, str], Image]) -> None:
    image = build("old", "int f(void) { return 1; }")
    kept = KeptVerdicts(Path("/proc/self/verdicts"))
    assert not kept.judge(image, image, Policy.STRICT, DebugSource()).refusals(None)


def _signed(content: str) -> str:
    return f"{sha256(content.encode()).hexdigest()}\n{content}"


def _changed(change: Callable[[Any], Any]) -> Callable[[str], str]:
    """A kept verdict whose JSON, without the checksum, went through `change`."""
    return lambda text: _signed(json.dumps(change(json.loads(text.partition("\n")[2]))))


def _with(name: str, value: object) -> Callable[[str], str]:
    return _changed(lambda it: {**it, name: value})


def _with_finding(**values: object) -> Callable[[str], str]:
    return _changed(lambda it: {**it, "findings": [{**it["findings"][0], **values}]})


DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _text: "",
    "no JSON": lambda _text: _signed("no JSON"),
    "cut": lambda text: text[:-10],
    "another number": lambda text: text.replace("from 4 to", "from 5 to"),
    "no checksum": lambda text: text.partition("\n")[2],
    "a list": _changed(lambda it: [it]),
    "a number": _changed(lambda _it: 7),
    "nothing": _changed(lambda _it: None),
    "deep": lambda _text: _signed("[" * 100_000 + "]" * 100_000),
    "a long number": lambda _text: _signed('{"findings": ' + "9" * 10_000 + "}"),
    "one field too many": _with("more", 1),
    "one field too few": _changed(lambda it: {name: it[name] for name in ("findings", "variables")}),
    "findings as a number": _with("findings", 3),
    "findings as an object": _with("findings", {}),
    "findings of numbers": _with("findings", [1, 2]),
    "a weight that is none": _with_finding(weight="fine"),
    "a weight that is a list": _with_finding(weight=[]),
    "a text that is a number": _with_finding(text=5),
    "a text that cannot be shown": _with_finding(text="\ud800"),
    "a symbol without version": _with_finding(symbol=["f"]),
    "a symbol that is a text": _with_finding(symbol="ab"),
    "places that are a text": _with_finding(where="ab"),
    "places that are numbers": _with_finding(where=[1]),
    "variables as a number": _with("variables", 3),
    "variables of three parts": _with("variables", [[], [], []]),
    "a piece of two parts": _with("variables", [[[0, 8]], []]),
    "a negative piece": _with("variables", [[[-8, 8, 0]], []]),
    "a piece that ends before it starts": _with("variables", [[[8, 0, 0]], []]),
    "a piece that was at a negative place": _with("variables", [[[0, 8, -1]], []]),
    "pieces that overlap": _with("variables", [[[0, 8, 0], [4, 12, 8]], []]),
    "a huge piece": _with("variables", [[[0, 1 << 70, 0]], []]),
    "a piece of fractions": _with("variables", [[[0.0, 8.0, 0.0]], []]),
    "a piece of truth values": _with("variables", [[[False, True, False]], []]),
    "an infinite piece": lambda text: _signed(
        '{"findings": [], "variables": [[[0, 1e999, 0]], []], "thread_locals": null, "tables": []}'
    ),
    "places elsewhere that are texts": _with("variables", [[], [["a", "b"]]]),
    "places elsewhere as an object": _with("thread_locals", [[], {"1": 2}]),
    "tables as an object": _with("tables", {}),
    "a table that is a text": _with("tables", ["abc"]),
}


@pytest.fixture
def pair(build: Callable[[str, str], Image]) -> tuple[Image, Image]:
    return build("old", "int x = 1; int f(void) { return x; }"), build("new", "long x = 1; int f(void) { return x; }")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_verdict_is_reached_anew(
    tmp_path: Path, pair: tuple[Image, Image], damage: Callable[[str], str]
) -> None:
    kept = KeptVerdicts(tmp_path / "verdicts")
    first = kept.judge(*pair, Policy.STRICT, DebugSource())
    assert first.refusals(None)
    path = kept_file(kept)
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    assert kept.judge(*pair, Policy.STRICT, DebugSource()) == first
    assert path.read_text() == before


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _to_another(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text(to_text(Verdict(())))
    path.symlink_to(elsewhere)


def _of_another_user(path: Path) -> None:
    path.write_text(to_text(Verdict(())))
    os.chown(path, 65534, 65534)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
    "a symbolic link": _to_another,
    "a link to itself": lambda path: path.symlink_to(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a hole": _large,
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe" * 100),
    **({"another user's": _of_another_user} if os.geteuid() == 0 else {}),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_what_is_no_verdict_of_this_user_is_not_read(
    tmp_path: Path, pair: tuple[Image, Image], make: Callable[[Path], object]
) -> None:
    kept = KeptVerdicts(tmp_path / "verdicts")
    first = kept.judge(*pair, Policy.STRICT, DebugSource())
    _replace(kept_file(kept), make)
    assert kept.judge(*pair, Policy.STRICT, DebugSource()) == first
    assert not [it for it in kept.folder.iterdir() if it.name.startswith(".")]
