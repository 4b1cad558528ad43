"""What must hold for any library: the verdict over it and itself, and what damaged files get."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import judge
from liveso.verdict.judge import LAYERS

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
MUTANTS = 500
ROOT = Path(__file__).parents[2]


def library(name: str) -> Path:
    found = next((folder / name for folder in FOLDERS if (folder / name).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_version_may_replace_itself(name: str) -> None:
    image = read_image(library(name).read_bytes())
    assert judge(image, image).refusals(None) == ()


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
            assert judge(old, new).refusals(None) == ()


def test_the_order_of_the_rules_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(__file__).parent / "mutations" / "store.c"
    text = source.read_text()
    images = []
    for name, changed in (("old", text), ("new", text.replace("\tint weight;\n\tchar", "\tlong weight;\n\tchar"))):
        path = tmp_path / name
        command = ["gcc", "-O2", "-g", "-w", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
        subprocess.run(command, input=changed, text=True, check=True)
        images.append(read_image(path.read_bytes()))
    expected = judge(images[0], images[1])
    assert len({it.rule for it in expected.refusals(None)}) > 1
    chance = random.Random(3)
    for _round in range(5):
        layers = [(layer, tuple(chance.sample(rules, len(rules)))) for layer, rules in LAYERS.items()]
        monkeypatch.setattr(sys.modules["liveso.verdict.judge"], "LAYERS", dict(chance.sample(layers, len(layers))))
        assert judge(images[0], images[1]) == expected


def test_damaged_files_end_in_a_verdict_or_a_clear_error() -> None:
    """A share of `make fuzz`: within bounds of memory, and of time for each file."""
    command = [sys.executable, "-m", "tests.fuzz", str(MUTANTS), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, cwd=ROOT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    counts = {name: int(number) for name, number in re.findall(r"(\w+): (\d+)", done.stdout)}
    assert counts["judged"] + counts["unreadable"] == MUTANTS and min(counts.values()) > MUTANTS / 10
