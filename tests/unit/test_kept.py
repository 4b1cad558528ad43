"""Verdicts that are kept: found again for the same question, and for no other."""

import subprocess
from collections.abc import Callable
from pathlib import Path

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
