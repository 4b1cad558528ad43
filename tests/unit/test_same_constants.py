"""Constants that are the same in two versions: built libraries, as stripped as they are shipped."""

import subprocess
from pathlib import Path

import pytest

from liveso.compare.matching import match_functions
from liveso.compare.same_constants import same_constants
from liveso.elf import Image, read_image

COMPILERS = [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O2")]
TEXTS = """
const char *one(void) { return "the first text"; }
const char *two(void) { return BETWEEN; }
const char *three(void) { return "the last text"; }
"""
NUMBERS = """
static const struct { int size, flags; } small = {8, 1}, CHANGED, large = {64, 3};
const void *one(void) { return &small; }
const void *two(void) { return &changed; }
const void *three(void) { return &large; }
"""
PARTS = """
static const struct {
    int size;
    const char name[12];
    int flags[4];
} all[] = {{1, "abc", {1, 2, 3, 4}}, {2, "defg", {5, 6, 7, LAST}}};
const void *one(void) { return all; }
const void *two(void) { return all[0].name; }
const void *three(void) { return &all[1].flags; }
"""
ENDS = """
static const char letters[] = "abcdefg";
MORE
int one(int it)
{
    for (const char *at = letters; at != letters + sizeof letters; at++)
        if (*at == it)
            return 1;
    return 0;
}
const char *two(void) { return "what follows"; }
"""


def build(folder: Path, name: str, text: str, compiler: tuple[str, str], *flags: str) -> Image:
    path = folder / f"{name}.so"
    command = [*compiler, "-s", "-fPIC", "-shared", "-x", "c", "-", "-o", str(path), *flags]
    subprocess.run(command, input=text, text=True, check=True)
    return read_image(path.read_bytes())


def found(old: Image, new: Image) -> dict[bytes, int]:
    """The first bytes of each constant that is the same, with how far it has moved."""
    pieces = same_constants(old, new, match_functions(old, new), ())
    return {
        new.bytes_at(it.start, it.end - it.start).rstrip(b"\0"): it.start - it.old
        for it in pieces
        if it.old is not None
    }


@pytest.mark.parametrize("compiler", COMPILERS, ids="".join)
def test_texts_are_the_same_whatever_lies_beside_them(tmp_path: Path, compiler: tuple[str, str]) -> None:
    old = build(tmp_path, "old", TEXTS, compiler, '-DBETWEEN="a text"')
    new = build(tmp_path, "new", TEXTS, compiler, '-DBETWEEN="another text, and longer"')
    assert {b"the first text", b"the last text"} == found(old, new).keys()
    assert len(set(found(old, new).values())) == 2  # one of them moved


@pytest.mark.parametrize("compiler", COMPILERS, ids="".join)
def test_numbers_are_the_same_where_what_lay_beside_them_is_found_elsewhere(
    tmp_path: Path, compiler: tuple[str, str]
) -> None:
    flags = "-DCHANGED=changed = {9, 9}"
    old = build(tmp_path, "old", NUMBERS, compiler, flags)
    more = "static const int further[] = {5, 6};\nconst void *four(void) { return further; }"
    new = build(tmp_path, "new", f"{more}\n{NUMBERS}", compiler, flags)
    same = found(old, new)
    assert {b"\x08\0\0\0\x01", b"@\0\0\0\x03", b"\t\0\0\0\t"} == same.keys()


@pytest.mark.parametrize("compiler", COMPILERS, ids="".join)
def test_a_part_of_what_changed_is_not_the_same(tmp_path: Path, compiler: tuple[str, str]) -> None:
    """Code forms addresses inside an array, and its last number changes: nothing of it may be read in the old place."""
    old, new = (build(tmp_path, f"{it}", PARTS, compiler, f"-DLAST={it}") for it in (8, 9))
    assert not found(old, new)
    assert (
        len(found(old, build(tmp_path, "same", f"{PARTS}\nint four(void) {{ return 4; }}", compiler, "-DLAST=8"))) > 1
    )


def test_what_code_goes_along_is_not_torn_from_its_end(tmp_path: Path) -> None:
    """The end of an array is the beginning of what follows, or of nothing, which moved otherwise."""
    old = build(tmp_path, "old", ENDS, COMPILERS[0], "-DMORE=")
    more = 'const char *three(void) { return "a text that comes in between"; }'
    new = build(tmp_path, "new", ENDS, COMPILERS[0], f"-DMORE={more}")
    assert found(old, new).keys() == {b"what follows"}
