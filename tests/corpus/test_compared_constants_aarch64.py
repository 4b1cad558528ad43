"""Constants that code for AArch64 knows by their address (witness rule `constant-identity`). Nothing is run."""

import subprocess
from pathlib import Path

import pytest

from liveso.code import compared_constants, formed_constants
from liveso.code.address_parts import address_parts
from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.test_compared_constants import RULE, SENTINELS, library

TARGET = "aarch64-linux-gnu"
COMPILERS = {"gcc": [f"{TARGET}-gcc"], "clang": ["clang", f"--target={TARGET}"]}
BUILDS = [(compiler, level) for compiler in COMPILERS for level in ("-O0", "-O2", "-O3")]


def built(folder: Path, text: str, compiler: str, level: str) -> Path:
    path = folder / f"library{len(list(folder.iterdir()))}.so"
    command = [*COMPILERS[compiler], level, "-s", "-w", "-shared", "-fPIC", "-Wl,-soname,libx.so"]
    subprocess.run([*command, "-x", "c", "-", "-o", str(path)], input=text, text=True, check=True)
    return path


@pytest.mark.parametrize("sentinel", SENTINELS)
@pytest.mark.parametrize(("compiler", "level"), BUILDS)
def test_a_sentinel_keeps_its_address(tmp_path: Path, compiler: str, level: str, sentinel: str) -> None:
    edits = "", "it->size = (int)strlen(text);"
    old, new = (
        read_image(built(tmp_path, library(sentinel, edit=edit), compiler, level).read_bytes()) for edit in edits
    )
    verdict = judge(old, new)
    assert not verdict.refusals(None)
    compared = [{it.address for it in compared_constants(image)} for image in (old, new)]
    assert len(compared[0]) == len(compared[1]) == 1
    homes = {it.start: it.old for it in verdict.tables}
    assert homes[min(compared[1])] == min(compared[0])


@pytest.mark.parametrize("sentinel", ["literal", "hidden"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_sentinel_with_another_content_is_refused(tmp_path: Path, compiler: str, sentinel: str) -> None:
    old, new = (
        read_image(built(tmp_path, library(sentinel, content=it), compiler, "-O2").read_bytes())
        for it in ("", " at all")
    )
    assert RULE in {it.rule for it in judge(old, new).refusals(None)}


def test_a_constant_whose_address_is_formed_by_way_of_another_is_found(tmp_path: Path) -> None:
    text = """
    static const int one[5] = {1, 2, 3, 4, 5}, two[5] = {6, 7, 8, 9, 10};
    const int *other(const int *, const int *);
    int both(int k) { return *other(one, two) + one[k] + two[k]; }
    """
    image = read_image(built(tmp_path, text, "gcc", "-O2").read_bytes())
    starts = {image.content.index(bytes((it, 0, 0, 0, it + 1, 0, 0, 0))) for it in (1, 6)}
    formed = formed_constants(image)
    assert starts <= set(formed.targets.tolist())
    by_linker = {int(it) for it in address_parts(image).rows["target"]}
    assert not starts <= by_linker
