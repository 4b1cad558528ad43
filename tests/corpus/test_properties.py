"""What must hold for any library: the verdict over it and itself, and what damaged files get."""

import random
import subprocess
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.errors import ImageError
from liveso.verdict import Verdict, judge

LIBRARIES = (
    "libz.so.1",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libexpat.so.1",
    "liblzma.so.5",
    "libcrypto.so.3",
)
FOLDERS = (Path("/usr/lib/x86_64-linux-gnu"), Path("/lib/x86_64-linux-gnu"))
ROUNDS = 400


def judged(old: Image, new: Image) -> Verdict:
    return judge(old, new)


def library(name: str) -> Path:
    found = next((folder / name for folder in FOLDERS if (folder / name).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_version_may_replace_itself(name: str) -> None:
    image = read_image(library(name).read_bytes())
    assert judged(image, image).refusals(None) == ()


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-g3"), ("-O3", "-flto")], ids=" ".join)
def test_a_version_may_replace_its_stripped_self_and_its_rebuilt_self(tmp_path: Path, flags: tuple[str, ...]) -> None:
    source = Path(__file__).parent / "mutations" / "store.c"
    built, again, stripped = (tmp_path / name for name in ("built.so", "again.so", "stripped.so"))
    for output in (built, again):
        subprocess.run(["gcc", "-w", "-shared", "-fPIC", *flags, source, "-o", output], check=True)
    subprocess.run(["strip", "-o", stripped, built], check=True)
    images = [read_image(path.read_bytes()) for path in (built, again, stripped)]
    for old in images:
        for new in images:
            assert judged(old, new).refusals(None) == ()


def test_a_damaged_file_ends_in_a_verdict_or_a_clear_error(tmp_path: Path) -> None:
    source = Path(__file__).parent / "mutations" / "store.c"
    output = tmp_path / "store.so"
    subprocess.run(["gcc", "-O2", "-g", "-shared", "-fPIC", source, "-o", output], check=True)
    content = output.read_bytes()
    image = read_image(content)
    chance = random.Random(20)
    verdicts = 0
    for _round in range(ROUNDS):
        damaged = bytearray(content)
        for _flip in range(chance.choice((1, 4, 64))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.5:  # headers decide most
            damaged[chance.randrange(512)] = chance.randrange(256)
        try:
            judged(image, read_image(bytes(damaged)))
            verdicts += 1
        except ImageError as error:
            assert "\n" not in str(error)
    assert verdicts > ROUNDS / 10
